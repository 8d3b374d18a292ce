//! Walks along relationships, and what things are in short.

use domain::{Condition, Data, ThingBody, TypeName, Visibility};
use futures::StreamExt as _;
use proto::common::v1::Reason;
use proto::convert::NewRelationship;
use serve::deadline::Deadline;
use tokio::time::Duration;

use super::bed::{Bed, anonymous, call, edge, from, keyed, name, note, owner, private, unlisted};
use crate::change::{Change, Sequence, Write};
use crate::list::PageRequest;
use crate::store::Direction;
use crate::summary::Summary;
use crate::traverse::Traversal;

/// Things of these ids, and relationships `from-to` that lead from one to another.
async fn graph(bed: &Bed, ids: &[&str], edges: &[(&str, &str)]) {
    for id in ids {
        bed.put(&format!("onet/{id}"), "one").await;
    }
    for (from, to) in edges {
        bed.link(&format!("onet/{from}-{to}"), &format!("onet/{from}"), &format!("onet/{to}")).await.unwrap();
    }
}

pub(crate) async fn a_walk_reaches_each_thing_once_at_its_least_distance(bed: Bed) {
    let edges = [("a", "b"), ("c", "a"), ("b", "d"), ("c", "d"), ("d", "e"), ("e", "f"), ("a", "a")];
    graph(&bed, &["a", "b", "c", "d", "e", "f"], &edges).await;
    for (max_depth, reached) in [
        (1, &["b 1", "c 1"][..]),
        (2, &["b 1", "c 1", "d 2"]),
        (3, &["b 1", "c 1", "d 2", "e 3"]),
        (6, &["b 1", "c 1", "d 2", "e 3", "f 4"]),
    ] {
        let walked = bed.walk(&anonymous(), from("onet/a", max_depth)).await.unwrap();
        assert_eq!(walked, (reached.iter().map(|&reached| reached.to_owned()).collect(), false));
    }
}

pub(crate) async fn a_walk_goes_in_the_direction_and_by_the_types_that_are_asked_for(bed: Bed) {
    graph(&bed, &["a", "b", "c", "d"], &[("a", "b"), ("b", "c")]).await;
    let cites = NewRelationship { relationship_type: "cites".parse().unwrap(), ..edge("onet/d-a", "onet/d", "onet/a") };
    bed.things.put_relationship(call(&owner()), cites, Condition::None).await.unwrap();
    let types = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect::<Vec<TypeName>>();
    for (direction, words, reached) in [
        (Direction::Outgoing, &[][..], &["b 1", "c 2"][..]),
        (Direction::Incoming, &[], &["d 1"]),
        (Direction::Both, &["cites"], &["d 1"]),
        (Direction::Both, &["cites", "uses"], &["b 1", "d 1", "c 2"]),
        (Direction::Outgoing, &["cites"], &[]),
    ] {
        let traversal = Traversal { direction, types: types(words), ..from("onet/a", 6) };
        assert_eq!(bed.walk(&owner(), traversal).await.unwrap().0, reached, "{direction:?} {words:?}");
    }
}

pub(crate) async fn a_walk_does_not_go_through_what_is_hidden(bed: Bed) {
    graph(&bed, &["a", "b", "c", "d", "e"], &[("a", "b"), ("b", "c"), ("a", "d")]).await;
    let hidden = NewRelationship { visibility: Visibility::Private, ..edge("onet/a-e", "onet/a", "onet/e") };
    bed.things.put_relationship(call(&owner()), hidden, Condition::None).await.unwrap();
    for body in [private("one"), unlisted("one")] {
        bed.put_as(&owner(), "onet/b", body).await.unwrap();
        let walked = bed.walk(&anonymous(), from("onet/a", 6)).await.unwrap();
        assert_eq!(walked, (vec!["d 1".to_owned()], false));
        let walked = bed.walk(&keyed(&["read:onet"]), from("onet/a", 6)).await.unwrap();
        assert_eq!(walked.0, ["b 1", "d 1", "e 1", "c 2"]);
    }
    // What is hidden does not make a walk full.
    let traversal = Traversal { max_things: 1, ..from("onet/a", 6) };
    assert_eq!(bed.walk(&anonymous(), traversal).await.unwrap(), (vec!["d 1".to_owned()], false));
}

pub(crate) async fn a_walk_from_what_is_unlisted_reaches_nothing_for_others(bed: Bed) {
    graph(&bed, &["a", "b"], &[("a", "b")]).await;
    bed.put_as(&owner(), "onet/a", unlisted("one")).await.unwrap();
    assert_eq!(bed.walk(&anonymous(), from("onet/a", 6)).await.unwrap(), (vec![], false));
    assert_eq!(bed.walk(&owner(), from("onet/a", 6)).await.unwrap().0, ["b 1"]);
}

pub(crate) async fn a_walk_from_an_absent_thing_is_not_found(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    for named in ["onet/a", "onet/b", "none:b", "x/y/z"] {
        assert_eq!(bed.walk(&anonymous(), from(named, 1)).await.unwrap_err(), Reason::NotFound, "{named}");
    }
    assert_eq!(bed.walk(&owner(), from("onet/a", 1)).await.unwrap(), (vec![], false));
}

pub(crate) async fn a_walk_ends_where_it_is_full(bed: Bed) {
    graph(&bed, &["a", "b", "c", "d"], &[("a", "b"), ("b", "c"), ("c", "a")]).await;
    let full = |max_things| Traversal { max_things, ..from("onet/a", 6) };
    assert_eq!(bed.walk(&owner(), full(1)).await.unwrap(), (vec!["b 1".to_owned()], true));
    assert_eq!(bed.walk(&owner(), full(2)).await.unwrap(), (vec!["b 1".to_owned(), "c 1".to_owned()], false));
}

pub(crate) async fn a_walk_goes_on_where_a_thing_has_very_many_relationships(bed: Bed) {
    let (hub, many) = ("onet/hub", 700);
    bed.put(hub, "one").await;
    let put = |named: &str| Change::PutThing { reference: name(named), body: note("one"), condition: Condition::None };
    let put_edge = |relationship| Change::PutRelationship { relationship, condition: Condition::None };
    let leaf = |number| format!("onet/leaf{number:03}");
    let mut changes: Vec<_> = (0..many).map(|number| put(&leaf(number))).collect();
    changes.extend((0..many).map(|number| match number % 2 {
        0 => put_edge(edge(&leaf(number), hub, &leaf(number))),
        _ => put_edge(edge(&leaf(number), &leaf(number), hub)),
    }));
    changes.push(put("onet/near"));
    changes.push(put_edge(edge("onet/near", "onet/leaf000", "onet/near")));
    for changes in changes.chunks(500) {
        let provenance = call(&owner()).provenance;
        let (changes, sequence) = (changes.to_vec(), Sequence::default());
        let answers =
            bed.store.things.write(Write { caller: owner(), provenance, changes, sequence, part: None }).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
    let (reached, is_truncated) = bed.walk(&owner(), from("onet/near", 3)).await.unwrap();
    let mut expected = vec!["leaf000 1".to_owned(), "hub 2".to_owned()];
    expected.extend((1..many).map(|number| format!("leaf{number:03} 3")));
    assert!(!is_truncated);
    assert_eq!(reached, expected);
}

pub(crate) async fn a_walk_is_of_one_moment(bed: Bed) {
    let ids: Vec<_> = (0..400).map(|number| format!("n{number:03}")).collect();
    bed.put("onet/a", "one").await;
    for id in &ids {
        bed.put(&format!("onet/{id}"), "one").await;
        bed.link(&format!("onet/a-{id}"), "onet/a", &format!("onet/{id}")).await.unwrap();
    }
    let deadline = Deadline::after(Duration::from_mins(1));
    let mut parts = Box::pin(bed.things.traverse(&owner(), from("onet/a", 1), deadline).await.unwrap());
    let first = parts.next().await.unwrap().unwrap();
    bed.delete("onet/n399").await.unwrap();
    let mut count = first.things.len();
    while let Some(part) = parts.next().await {
        count += part.unwrap().things.len();
    }
    assert_eq!(count, 400);
    assert_eq!(bed.walk(&owner(), from("onet/a", 1)).await.unwrap().0.len(), 399);
}

pub(crate) async fn the_other_ends_are_told_in_short(bed: Bed) {
    graph(&bed, &["a", "b", "c"], &[]).await;
    let titled = |data: &str| ThingBody { data: Some(Data::parse(data).unwrap()), ..private("one") };
    bed.put_as(&owner(), "onet/b", titled(r#"{"Title":"Bee\nor not"}"#)).await.unwrap();
    let large = format!(r#"{{"title":"large","x":"{}"}}"#, "x".repeat(64 << 10));
    bed.put_as(&owner(), "onet/c", titled(&large)).await.unwrap();
    for (from, to) in [("a", "b"), ("c", "a")] {
        bed.link(&format!("onet/{from}-{to}"), &format!("onet/{from}"), &format!("onet/{to}")).await.unwrap();
    }
    let page = PageRequest { size: 10, token: String::new(), question: Vec::new() };
    let who = owner();
    let listed = bed.things.list_relationships(&who, name("onet/a"), Direction::Both, None, true, &page);
    let (_, others) = listed.await.unwrap();
    let told = |Summary { name, visibility, title, .. }: &Summary| (name.to_string(), *visibility, title.clone());
    let expected = [
        ("onet/b".to_owned(), Visibility::Private, "Bee".to_owned()),
        ("onet/c".to_owned(), Visibility::Private, String::new()),
    ];
    assert_eq!(others.iter().map(told).collect::<Vec<_>>(), expected);
}
