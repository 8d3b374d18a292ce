//! What is asked of the stores: every way of reading, page by page.

use std::fmt::{Debug, Write as _};

use domain::{EntityKind, Namespace, Reference, TypeName, Variant};
use proptest::prelude::*;
use proptest::sample::select;
use serve::{Caller, Refusal};

use super::operation::{code, condition, namespace, relationship, thing, visibility, word};
use crate::list::{Listed, PageRequest};
use crate::store::conformance::bed::{self, Bed};
use crate::store::{Direction, Order, Scope, ThingFilter};
use crate::traverse::Traversal;

/// A question.
#[derive(Clone, Debug)]
pub(in crate::store) enum Ask {
    Thing(Reference, Vec<Variant>, bool),
    Relationship(Reference),
    Batch(Vec<Reference>),
    /// With the size of its pages.
    Things(ThingFilter, Order, usize),
    RelationshipsAt(Reference, Direction, Option<TypeName>, usize),
    Walk(Traversal),
    Name(Reference, EntityKind),
    Namespace(Namespace),
    Namespaces(Scope, usize),
    Schema(Namespace, TypeName),
    Schemas(Namespace),
    Export(Scope),
}

impl Ask {
    /// Asks it, and tells what is answered on all pages.
    pub(super) async fn perform(&self, bed: &Bed, who: &Caller) -> String {
        let things = &bed.things;
        match self {
            Self::Thing(reference, preferred, with_embedding) => {
                told(things.get_thing(who, reference.clone(), preferred.clone(), *with_embedding).await)
            }
            Self::Relationship(reference) => told(things.get_relationship(who, reference).await),
            Self::Batch(references) => told(things.batch_get_things(who, references.clone(), false).await),
            Self::Things(filter, order, size) => {
                let list = async |page| things.list_things(who, filter.clone(), order.clone(), &page).await;
                let listed = pages(*size, list).await;
                format!("{listed} {}", told(things.count_things(who, filter.clone()).await))
            }
            Self::RelationshipsAt(thing, direction, only, size) => {
                let list = async |page| {
                    let listed = things.list_relationships(who, thing.clone(), *direction, only.clone(), true, &page);
                    let (Listed { items, next_page_token }, others) = listed.await?;
                    let items = items.into_iter().zip(others).collect();
                    Ok(Listed { items, next_page_token })
                };
                pages(*size, list).await
            }
            Self::Walk(traversal) => told(bed.walk(who, traversal.clone()).await),
            Self::Name(reference, kind) => {
                let now = bed.clock.now();
                bed.clock.advance(1);
                told(things.resolve_name(who, reference.clone(), *kind, Some(now)).await)
            }
            Self::Namespace(ns) => told(things.get_namespace(who, ns).await),
            Self::Namespaces(scope, size) => {
                pages(*size, async |page| things.list_namespaces(who, scope.clone(), &page).await).await
            }
            Self::Schema(ns, thing_type) => told(things.get_schema(who, ns.clone(), thing_type.clone()).await),
            Self::Schemas(ns) => told(things.list_schemas(who, ns.clone()).await),
            Self::Export(scope) => {
                let parts = bed.export(who, scope.clone(), "").await;
                told(parts.map(|parts| parts.into_iter().flat_map(|part| part.rows).collect::<Vec<_>>()))
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what is told is not needed any more")]
fn told<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    format!("{answer:?}")
}

/// What all pages have.
async fn pages<T: Debug>(size: usize, list: impl AsyncFn(PageRequest) -> Result<Listed<T>, Refusal>) -> String {
    let (mut all, mut token) = (String::new(), String::new());
    loop {
        let page = PageRequest { size, token, question: Vec::new() };
        match list(page).await {
            Ok(Listed { items, next_page_token }) => {
                write!(all, "{items:?} ").expect("a text takes any");
                token = next_page_token;
            }
            Err(refusal) => return format!("Err {refusal:?} behind {all}"),
        }
        if token.is_empty() {
            return all;
        }
    }
}

/// Any question.
pub(super) fn any() -> impl Strategy<Value = Ask> {
    let variants = prop::collection::vec(select(vec!["es", "fr"]).prop_map(|text| text.parse().unwrap()), 0..3);
    let size = || 1..7_usize;
    prop_oneof![
        3 => (thing(), variants, proptest::bool::ANY).prop_map(|(name, variants, with)| Ask::Thing(name, variants, with)),
        2 => relationship().prop_map(Ask::Relationship),
        1 => prop::collection::vec(thing(), 1..9).prop_map(Ask::Batch),
        3 => (filter(), order(), size()).prop_map(|(mut filter, order, size)| {
            if let Order::Updated(ns) | Order::UpdatedLast(ns) = &order {
                filter.scope = Scope::Exactly(ns.clone());
            }
            Ask::Things(filter, order, size)
        }),
        2 => (thing(), direction(), prop::option::of(word()), size())
            .prop_map(|(thing, direction, only, size)| Ask::RelationshipsAt(canonical(thing), direction, only, size)),
        2 => (thing(), direction(), prop::collection::vec(word(), 0..2), 1..=6_u32, 1..9_usize)
            .prop_map(|(thing, direction, types, max_depth, max_things)| {
                Ask::Walk(Traversal { thing: canonical(thing), direction, types, max_depth, max_things })
            }),
        1 => thing().prop_map(|name| Ask::Name(name, EntityKind::Thing)),
        1 => relationship().prop_map(|name| Ask::Name(name, EntityKind::Relationship)),
        1 => namespace().prop_map(Ask::Namespace),
        1 => (scope(), size()).prop_map(|(scope, size)| Ask::Namespaces(scope, size)),
        1 => (namespace(), word()).prop_map(|(ns, thing_type)| Ask::Schema(ns, thing_type)),
        1 => namespace().prop_map(Ask::Schemas),
        1 => scope().prop_map(Ask::Export),
    ]
}

fn canonical(thing: Reference) -> Reference {
    thing.without_variant().unwrap_or_else(|_| bed::name("onet/a"))
}

fn direction() -> impl Strategy<Value = Direction> {
    select(vec![Direction::Both, Direction::Outgoing, Direction::Incoming])
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::All), namespace().prop_map(Scope::Exactly), namespace().prop_map(Scope::Under),]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Name), namespace().prop_map(Order::Updated), namespace().prop_map(Order::UpdatedLast)]
}

fn filter() -> impl Strategy<Value = ThingFilter> {
    let time = || prop::option::weighted(0.2, (0..100_000_000_i64).prop_map(|later| bed::start().plus_millis(later)));
    let parts = (
        scope(),
        prop::option::weighted(0.2, word()),
        prop::option::weighted(0.2, visibility()),
        code(),
        time(),
        time(),
        prop::collection::vec(condition(), 0..2),
    );
    parts.prop_map(|(scope, thing_type, visibility, code, updated_from, updated_until, fields)| {
        let code = code.map(|code| code.parse().unwrap());
        ThingFilter { scope, thing_type, visibility, code, updated_from, updated_until, fields }
    })
}
