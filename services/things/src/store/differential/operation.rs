//! What is done to the stores, and how often each.

use domain::{
    Condition, Content, Data, Embedding, Etag, FieldFilter, Namespace, Reference, Style, TenantId, ThingBody, TypeName,
    Visibility,
};
use futures::stream;
use proptest::prelude::*;
use proptest::sample::select;
use proto::convert::{Edit, NewRelationship, ThingPatch};
use serve::{Caller, Refusal};
use ulid::Ulid;

use super::ask::{self, Ask};
use crate::atomic::{Idempotency, Terms};
use crate::change::Change;
use crate::import::{Course, Rows};
use crate::store::conformance::bed::{Bed, call, name, ns};

/// Something that a client does.
#[derive(Clone, Debug)]
pub(in crate::store) enum Operation {
    Change(Who, Given),
    /// Together, all or none; only validated, or under a request id.
    Write(Who, Vec<Given>, bool, Option<u8>),
    /// Under an id of an import that may be gone on with.
    Import(Who, Vec<Given>, Option<u8>),
    PutSchema(Who, Namespace, TypeName, &'static str),
    Ask(Who, Ask),
    TimePasses(i64),
}

/// Who does it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Who {
    Owner,
    Anonymous,
    Reader,
    Writer,
    Foreigner,
}

/// A change, and what must hold for it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Given {
    change: Change,
    holds: Holds,
}

#[derive(Clone, Copy, Debug)]
enum Holds {
    Nothing,
    Absent,
    There,
    /// Its present etag.
    Present,
    Stale,
}

impl Operation {
    /// Does it, and tells what is answered.
    pub(in crate::store) async fn perform(&self, bed: &Bed, tenants: &Tenants) -> String {
        match self {
            Self::Change(who, given) => {
                format!("{:?}", bed.things.change(call(&who.caller(tenants)), given.change(bed, tenants).await).await)
            }
            Self::Write(who, given, validate_only, request) => {
                let changes = changes(bed, given, tenants).await;
                let idempotency = request.filter(|_| !validate_only).map(|number| Idempotency {
                    request_id: format!("request-{number}").into(),
                    digest: [number % 2; 32],
                });
                let terms = Terms { validate_only: *validate_only, idempotency };
                format!("{:?}", bed.things.write_things(call(&who.caller(tenants)), changes, terms).await)
            }
            Self::Import(who, given, import) => {
                let course = import.map(|number| Course { import_id: format!("import-{number}").into(), first_row: 0 });
                let rows = changes(bed, given, tenants).await.into_iter().map(Ok).collect();
                let rows = Rows { each: rows, provenance: call(&who.caller(tenants)).provenance, course };
                let rows = stream::iter([Ok::<_, Refusal>(rows)]);
                format!("{:?}", bed.things.import(&who.caller(tenants), rows).await)
            }
            Self::PutSchema(who, ns, thing_type, text) => {
                let call = call(&who.caller(tenants));
                let put = bed.things.put_schema(call, ns.clone(), thing_type.clone(), (*text).to_owned());
                format!("{:?}", put.await)
            }
            Self::Ask(who, ask) => ask.perform(bed, &who.caller(tenants)).await,
            Self::TimePasses(millis) => {
                bed.clock.advance(*millis);
                String::new()
            }
        }
    }
}

impl Who {
    fn caller(self, tenants: &Tenants) -> Caller {
        match self {
            Self::Owner => tenants.owner(),
            Self::Anonymous => Caller::anonymous(tenants.home.clone()),
            Self::Reader => keyed(&tenants.home, &["read:onet"]),
            Self::Writer => keyed(&tenants.home, &["write:onet", "admin:git/*"]),
            Self::Foreigner => keyed(&tenants.foreign, &["admin:*"]),
        }
    }
}

/// The tenant of most callers, and that of the others.
#[derive(Clone, Debug)]
pub(in crate::store) struct Tenants {
    pub(in crate::store) home: TenantId,
    pub(in crate::store) foreign: TenantId,
}

impl Tenants {
    /// Whose callers are all of one.
    pub(in crate::store) fn one(home: TenantId) -> Self {
        Self { foreign: home.clone(), home }
    }

    /// Who sees all of home.
    pub(in crate::store) fn owner(&self) -> Caller {
        keyed(&self.home, &["admin:*"])
    }
}

fn keyed(tenant: &TenantId, scopes: &[&str]) -> Caller {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect::<Vec<_>>();
    Caller::keyed(tenant.clone(), "somebody", scopes)
}

async fn changes(bed: &Bed, given: &[Given], tenants: &Tenants) -> Vec<Change> {
    let mut changes = Vec::with_capacity(given.len());
    for given in given {
        changes.push(given.change(bed, tenants).await);
    }
    changes
}

impl Given {
    /// A change for which nothing need hold.
    pub(in crate::store) fn always(change: Change) -> Self {
        Self { change, holds: Holds::Nothing }
    }

    /// The change with its condition, of what there is now.
    async fn change(&self, bed: &Bed, tenants: &Tenants) -> Change {
        let (mut change, owner) = (self.change.clone(), tenants.owner());
        let (present, condition) = match &mut change {
            Change::PutThing { reference, condition, .. }
            | Change::PatchThing { reference, condition, .. }
            | Change::DeleteThing { reference, condition } => {
                let found = bed.things.get_thing(&owner, reference.clone(), Vec::new(), false).await;
                (found.ok().map(|(thing, _)| thing.etag), condition)
            }
            Change::PutRelationship { relationship: NewRelationship { reference, .. }, condition }
            | Change::DeleteRelationship { reference, condition } => {
                (bed.things.get_relationship(&owner, reference).await.ok().map(|(found, _)| found.etag), condition)
            }
            Change::RegisterNamespace { .. }
            | Change::DeleteNamespace { .. }
            | Change::PutSchema { .. }
            | Change::DeleteSchema { .. } => return change,
        };
        *condition = match self.holds {
            Holds::Nothing => Condition::None,
            Holds::Absent => Condition::CreateOnly,
            Holds::There => Condition::UpdateOnly,
            Holds::Present => Condition::Etags(vec![present.unwrap_or(Etag(Ulid::nil()))]),
            Holds::Stale => Condition::Etags(vec![Etag(Ulid::nil())]),
        };
        change
    }
}

/// Anything, what changes something more often.
pub(in crate::store) fn any() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (who(), given(true)).prop_map(|(who, given)| Operation::Change(who, given)),
        2 => (who(), prop::collection::vec(given(false), 1..5), any_of([false, false, true]), prop::option::of(0..8_u8))
            .prop_map(|(who, given, validate, request)| Operation::Write(who, given, validate, request)),
        1 => (who(), prop::collection::vec(put(), 1..8), prop::option::of(0..4_u8))
            .prop_map(|(who, given, import)| Operation::Import(who, given, import)),
        1 => (who(), namespace(), word(), any_of(SCHEMAS))
            .prop_map(|(who, ns, thing_type, text)| Operation::PutSchema(who, ns, thing_type, text)),
        6 => (who(), ask::any()).prop_map(|(who, ask)| Operation::Ask(who, ask)),
        1 => (-5_000..2_000_000_i64).prop_map(Operation::TimePasses),
    ]
}

fn any_of<T: Clone + std::fmt::Debug + 'static, const N: usize>(values: [T; N]) -> impl Strategy<Value = T> + Clone {
    select(Vec::from(values))
}

fn who() -> impl Strategy<Value = Who> {
    any_of([Who::Owner, Who::Owner, Who::Owner, Who::Anonymous, Who::Reader, Who::Writer, Who::Writer, Who::Foreigner])
}

/// A change; of a namespace only where it is alone.
fn given(is_alone: bool) -> impl Strategy<Value = Given> {
    let holds = any_of([Holds::Nothing, Holds::Nothing, Holds::Absent, Holds::There, Holds::Present, Holds::Stale]);
    let of_namespaces = u32::from(is_alone);
    let change = prop_oneof![
        6 => put_thing(),
        3 => patch_thing(),
        2 => thing().prop_map(|reference| Change::DeleteThing { reference, condition: Condition::None }),
        5 => put_relationship(),
        1 => relationship().prop_map(|reference| Change::DeleteRelationship { reference, condition: Condition::None }),
        of_namespaces => register(),
        of_namespaces => namespace().prop_map(|ns| Change::DeleteNamespace { ns }),
        of_namespaces => (namespace(), word()).prop_map(|(ns, thing_type)| Change::DeleteSchema { ns, thing_type }),
    ];
    (change, holds).prop_map(|(change, holds)| {
        let is_deletion = matches!(change, Change::DeleteThing { .. } | Change::DeleteRelationship { .. });
        // Which a deletion cannot ask for.
        let holds = if is_deletion && matches!(holds, Holds::Absent) { Holds::Nothing } else { holds };
        Given { change, holds }
    })
}

/// A row of an import.
fn put() -> impl Strategy<Value = Given> {
    let change = prop_oneof![4 => put_thing(), 3 => put_relationship(), 1 => register()];
    change.prop_map(|change| Given { change, holds: Holds::Nothing })
}

fn put_thing() -> impl Strategy<Value = Change> {
    let embedding = any_of([None, None, None, Some(vec![0.5]), Some(vec![-1.0, 2.0])]);
    let parts = (thing(), word(), visibility(), content(), code(), data(), embedding);
    parts.prop_map(|(reference, thing_type, visibility, content, code, data, embedding)| Change::PutThing {
        reference,
        body: ThingBody {
            thing_type,
            visibility,
            content,
            code: code.map(|code| code.parse().unwrap()),
            data,
            embedding: embedding.map(|numbers| Embedding::try_from(numbers).unwrap()),
        },
        condition: Condition::None,
    })
}

fn patch_thing() -> impl Strategy<Value = Change> {
    let content = prop_oneof![Just(Edit::Keep), Just(Edit::Clear), content().prop_map(set)];
    let merge = any_of([None, None, Some(r#"{"n":null,"b":{"c":2}}"#), Some(r#"{"n":1.50}"#), Some("{}")]);
    let parts = (thing(), prop::option::of(visibility()), content, merge);
    parts.prop_map(|(reference, visibility, content, merge)| {
        let data = merge.map_or(Edit::Keep, |merge| Edit::Set(domain::json::parse(merge).unwrap()));
        let patch = ThingPatch { visibility, content, data, ..ThingPatch::default() };
        Change::PatchThing { reference, patch, condition: Condition::None }
    })
}

fn set<T>(value: Option<T>) -> Edit<T> {
    value.map_or(Edit::Keep, Edit::Set)
}

fn put_relationship() -> impl Strategy<Value = Change> {
    let parts = (relationship(), word(), thing(), thing(), visibility(), data());
    parts.prop_map(|(reference, relationship_type, from, to, visibility, data)| {
        let [from, to] = [from, to].map(|end| end.without_variant().unwrap_or_else(|_| name("onet/a")));
        let relationship = NewRelationship { reference, relationship_type, from, to, visibility, data };
        Change::PutRelationship { relationship, condition: Condition::None }
    })
}

fn register() -> impl Strategy<Value = Change> {
    (namespace(), any_of([Style::Wiki, Style::Literal])).prop_map(|(ns, style)| Change::RegisterNamespace { ns, style })
}

/// Names of things: by key or path, in a namespace that may not be there, of a variant now and then.
pub(in crate::store) const THINGS: [&str; 16] = [
    "onet/a",
    "onet/b",
    "onet/c",
    "onet:d",
    "onet/e_f",
    "onet:e f",
    "onet/git/x",
    "onet/a#es",
    "onet:a#es",
    "onet:b#fr",
    "git/repos/a",
    "git/repos:a_b",
    "git/repos/c",
    "git/other/x",
    "deep/x/y",
    "onet:a",
];
pub(in crate::store) const RELATIONSHIPS: [&str; 7] =
    ["onet/1", "onet/2", "onet/3", "onet:4", "onet/a", "git/repos/1", "git/repos:1_2"];
pub(in crate::store) const NAMESPACES: [&str; 7] =
    ["onet", "git", "git/repos", "git/other", "onet/git", "deep/x", "none"];

/// What data may have to satisfy; the last is none.
pub(in crate::store) const SCHEMAS: [&str; 6] = [
    "{}",
    r#"{"properties":{"n":{"type":"number"}}}"#,
    r#"{"maxProperties":1}"#,
    r#"{"properties":{"tags":{"type":"array"}},"additionalProperties":{"type":["number","string"]}}"#,
    r#"{"required":["n"]}"#,
    r#"{"type":"none"}"#,
];

pub(super) fn thing() -> impl Strategy<Value = Reference> {
    any_of(THINGS).prop_map(name)
}

pub(super) fn relationship() -> impl Strategy<Value = Reference> {
    any_of(RELATIONSHIPS).prop_map(name)
}

pub(super) fn namespace() -> impl Strategy<Value = Namespace> {
    any_of(NAMESPACES).prop_map(ns)
}

pub(super) fn word() -> impl Strategy<Value = TypeName> {
    any_of(["Note", "uses", "é"]).prop_map(|word| word.parse().unwrap())
}

pub(super) fn visibility() -> impl Strategy<Value = Visibility> {
    any_of([Visibility::Public, Visibility::Public, Visibility::Private, Visibility::Unlisted])
}

pub(super) fn code() -> impl Strategy<Value = Option<&'static str>> {
    any_of([None, None, Some("x"), Some("X")])
}

fn content() -> impl Strategy<Value = Option<Content>> {
    any_of([None, Some("one"), Some("two\nlines"), Some("")])
        .prop_map(|text| text.map(|text| text.to_owned().try_into().unwrap()))
}

fn data() -> impl Strategy<Value = Option<Data>> {
    any_of([
        None,
        Some("{}"),
        Some(r#"{"n":1}"#),
        Some(r#"{"n":1.0,"title":"One"}"#),
        Some(r#"{"n":-2e3,"tags":["a","b"]}"#),
        Some(r#"{"n":"1","b":{"c":null}}"#),
        Some(r#"{"NAME":"é\nx","tags":"a"}"#),
    ])
    .prop_map(|text| text.map(|text| Data::parse(text).unwrap()))
}

pub(super) fn condition() -> impl Strategy<Value = FieldFilter> {
    any_of(["/n=1", "/n>=-3000", "/n<1.5", "/tags=a", "/b/c", "!/n", "/title>=\"A\"", "/none"])
        .prop_map(|text| text.parse().unwrap())
}
