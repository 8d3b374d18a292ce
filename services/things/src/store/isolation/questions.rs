//! What a tenant asks to see whether somebody else shows: everything, as who sees all of it and as who sees little.

use domain::{Condition, Data, EntityKind, Style, ThingBody};

use crate::change::Change;
use crate::store::conformance::bed::{edge, from, name, note, ns, private};
use crate::store::differential::ask::Ask;
use crate::store::differential::operation::{Given, NAMESPACES, Operation, RELATIONSHIPS, THINGS, Who};
use crate::store::{Direction, Order, Scope, ThingFilter};

/// What is done before anything is there, and asked then: what is told otherwise where somebody has such names, sees them in another
/// way, or has too much that goes with them.
pub(super) fn first() -> Vec<Operation> {
    let changed = |change| Operation::Change(Who::Owner, Given::always(change));
    let put = |text, body| changed(Change::PutThing { reference: name(text), body, condition: Condition::None });
    let link = |text, from, to| {
        changed(Change::PutRelationship { relationship: edge(text, from, to), condition: Condition::None })
    };
    let delete = |text| changed(Change::DeleteThing { reference: name(text), condition: Condition::None });
    let schema = |named, word: &str, text| Operation::PutSchema(Who::Owner, ns(named), word.parse().unwrap(), text);
    let unschema = |named| changed(Change::DeleteSchema { ns: ns(named), thing_type: "Note".parse().unwrap() });
    let data = Some(Data::parse(r#"{"n":1}"#).unwrap());
    let mut operations = vec![
        changed(Change::RegisterNamespace { ns: ns("onet/git"), style: Style::Literal }),
        put("onet:a", note("one")),
        put("onet:b", note("one")),
        put("onet:c", note("one")),
        put("onet:c#es", note("one")),
        put("onet:d", private("one")),
        put("onet:d#es", ThingBody { data, ..note("one") }),
        link("onet/1", "onet:c", "onet:c"),
        link("onet/2", "onet:b", "onet:d"),
        link("onet/3", "onet:d", "onet:b"),
        // Which others' things break, one of another type, and some in a namespace that is taken back.
        schema("onet", "Crowd", r#"{"maxProperties":1}"#),
        changed(Change::RegisterNamespace { ns: ns("none"), style: Style::Wiki }),
        schema("none", "Note", "{}"),
        unschema("none"),
        schema("none", "uses", "{}"),
        changed(Change::DeleteNamespace { ns: ns("none") }),
        unschema("none"),
    ];
    operations.extend(all());
    operations.extend(["onet:a", "onet:c"].map(delete));
    operations
}

/// Everything that can be asked.
pub(super) fn all() -> Vec<Operation> {
    let mut asks = Vec::new();
    for order in [Order::Name, Order::Updated(ns("onet")), Order::UpdatedLast(ns("onet"))] {
        let scope = if order == Order::Name { Scope::All } else { Scope::Exactly(ns("onet")) };
        asks.push(Ask::Things(ThingFilter::all_of(scope.clone()), order, 100));
        let typed = ThingFilter { fields: vec!["/n".parse().unwrap()], ..ThingFilter::all_of(scope) };
        asks.push(Ask::Things(typed, Order::Name, 100));
    }
    let canonical = || THINGS.iter().filter(|text| !text.contains('#')).map(|text| name(text));
    for thing in canonical() {
        for direction in [Direction::Both, Direction::Outgoing, Direction::Incoming] {
            asks.push(Ask::RelationshipsAt(thing.clone(), direction, None, 100));
        }
    }
    asks.extend(["onet/a", "onet/b", "onet:d"].map(|thing| Ask::Walk(from(thing, 6))));
    asks.push(Ask::Batch(THINGS.map(name).to_vec()));
    asks.extend(THINGS.map(|text| Ask::Thing(name(text), Vec::new(), true)));
    asks.extend(THINGS.map(|text| Ask::Name(name(text), EntityKind::Thing)));
    asks.extend(RELATIONSHIPS.map(|text| Ask::Relationship(name(text))));
    asks.extend(RELATIONSHIPS.map(|text| Ask::Name(name(text), EntityKind::Relationship)));
    asks.extend(NAMESPACES.map(|text| Ask::Namespace(ns(text))));
    asks.extend(NAMESPACES.map(|text| Ask::Schemas(ns(text))));
    asks.extend(["onet", "none"].map(|text| Ask::Schema(ns(text), "Note".parse().unwrap())));
    asks.push(Ask::Namespaces(Scope::All, 100));
    let asked = |ask: Ask| [Who::Owner, Who::Anonymous].map(|who| Operation::Ask(who, ask.clone()));
    asks.into_iter().flat_map(asked).collect()
}
