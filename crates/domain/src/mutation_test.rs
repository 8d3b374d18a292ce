//! Mutations and their events: nothing is lost on the way, and what is none is refused.

use super::*;
use crate::{Key, Namespace};

fn name(id: &str) -> Name {
    Name { ns: "river".parse::<Namespace>().unwrap(), id: crate::Id::from_canonical(id).unwrap() }
}

fn etag() -> Etag {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

fn thing(content: &str) -> Thing {
    let body = ThingBody {
        thing_type: "Gauge".parse().unwrap(),
        visibility: Visibility::Unlisted,
        content: Some(Content::try_from(content.to_owned()).unwrap()),
        code: Some("g-1".parse().unwrap()),
        data: Some(Data::parse(r#"{"z":1.50,"a":[-0,"\n"]}"#).unwrap()),
        embedding: None,
    };
    Thing { key: Key::from(name("a")), body, created_at: etag().time(), etag: etag() }
}

fn provenance() -> Provenance {
    Provenance { actor: "ann".into(), request_id: "r\"1".into(), cause: "".into() }
}

fn round_trip(mutation: &Mutation) -> Mutation {
    let (data, metadata) = (mutation.data(), mutation.metadata());
    Mutation::from_event(mutation.ulid, mutation.entity.clone(), data.as_str(), metadata.as_str()).unwrap()
}

#[test]
fn a_mutation_of_a_thing_survives_its_event() {
    let entity = Entity::thing(Key::from(name("a")), "Gauge".parse().unwrap());
    let (before, after) = (State::Thing(thing("low\u{1}")), State::Thing(thing("\"high\" ü")));
    for (before, after, said) in [
        (None, Some(after.clone()), MutationType::Created),
        (Some(before.clone()), Some(after), MutationType::Updated),
        (Some(before), None, MutationType::Deleted),
    ] {
        let mutation = Mutation { ulid: etag().0, entity: entity.clone(), before, after, provenance: provenance() };
        assert_eq!(round_trip(&mutation), mutation);
        assert_eq!(mutation.mutation_type(), said);
        assert!(mutation.latest().is_some());
    }
}

#[test]
fn a_mutation_of_a_relationship_survives_its_event() {
    let body = RelationshipBody {
        relationship_type: "feeds".parse().unwrap(),
        from: name("a"),
        to: name("b/\"c\""),
        visibility: Visibility::Private,
        data: None,
    };
    let relationship = Relationship { name: name("a-b"), body, created_at: etag().time(), etag: etag() };
    let entity = Entity::relationship(name("a-b"), "feeds".parse().unwrap());
    let after = Some(State::Relationship(relationship));
    let mutation = Mutation { ulid: etag().0, entity, before: None, after, provenance: provenance() };
    assert_eq!(round_trip(&mutation), mutation);
}

#[test]
fn an_embedding_is_said_to_be_there_and_left_out() {
    let mut thing = thing("low");
    thing.body.embedding = Some(crate::Embedding::try_from(vec![0.625, 1.5]).unwrap());
    let entity = Entity::thing(Key::from(name("a")), "Gauge".parse().unwrap());
    let after = Some(State::Thing(thing));
    let mutation = Mutation { ulid: etag().0, entity, before: None, after, provenance: provenance() };
    assert!(mutation.metadata().as_str().ends_with(r#""has_embedding":true}"#));
    assert!(!mutation.data().as_str().contains("0.625"));
}

#[test]
fn data_as_deep_as_it_may_be_survives_its_event() {
    let mut deep = thing("low");
    let text = format!("{}1{}", r#"{"a":"#.repeat(json::MAX_DEPTH), "}".repeat(json::MAX_DEPTH));
    deep.body.data = Some(Data::parse(&text).unwrap());
    let entity = Entity::thing(Key::from(name("a")), "Gauge".parse().unwrap());
    let after = Some(State::Thing(deep));
    let mutation = Mutation { ulid: etag().0, entity, before: None, after, provenance: provenance() };
    assert_eq!(round_trip(&mutation), mutation);
}

#[test]
fn an_event_without_a_state_is_no_mutation() {
    let entity = Entity::thing(Key::from(name("a")), "Gauge".parse().unwrap());
    let metadata = r#"{"actor":"ann","request_id":"r","cause":""}"#;
    for data in ["{}", r#"{"before":null,"after":null}"#, "[]", r#"{"after":{"type":"T"}}"#, r#"{"after":1}"#] {
        let refused = Mutation::from_event(etag().0, entity.clone(), data, metadata).unwrap_err();
        assert!(refused.field.starts_with("data"), "{data}: {refused}");
    }
}
