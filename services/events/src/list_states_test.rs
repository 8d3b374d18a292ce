//! States of a namespace as of a moment: which are listed, in which order and pages, and who sees which.

use domain::{Etag, Mutation, Timestamp, Visibility};
use proto::common::v1::Reason;
use serve::deadline::UNARY;
use ulid::Ulid;

use super::*;
use crate::fixture::{Fixture, after, event_about, event_reader, reader_of, relationship, thing};

fn list(as_of: Ulid) -> ListStates {
    ListStates {
        ns: "onet".parse().unwrap(),
        kind: EntityKind::Thing,
        state_type: None,
        prefix: String::new(),
        as_of: AsOf::Ulid(as_of),
        page_size: 1_000,
        after: None,
        deadline: Deadline::after(UNARY),
    }
}

/// Ids (with variants) and contents of all pages of a list.
fn all(fixture: &Fixture, caller: &Caller, list: &ListStates) -> Vec<(String, String)> {
    let (mut listed, mut list) = (Vec::new(), list.clone());
    loop {
        list.deadline = Deadline::after(UNARY);
        let page = fixture.log.list_states_at(caller, &list).unwrap();
        assert!(page.states.len() <= list.page_size);
        listed.extend(page.states.iter().map(|state| match state {
            State::Thing(thing) => {
                let content = thing.body.content.as_ref().map_or("", |content| content.as_str());
                (thing.key.entity_id().into_owned(), content.to_owned())
            }
            State::Relationship(edge) => (edge.name.id.to_string(), edge.body.relationship_type.to_string()),
        }));
        assert!(page.next.is_none() || page.next > list.after, "a page without an end");
        list.after = page.next;
        if list.after.is_none() {
            return listed;
        }
    }
}

fn ids(fixture: &Fixture, caller: &Caller, list: &ListStates) -> Vec<String> {
    all(fixture, caller, list).into_iter().map(|(id, _)| id).collect()
}

async fn put(fixture: &mut Fixture, before: Option<&Mutation>, state: State) -> Mutation {
    let mutation = fixture.put(before.map(after).as_ref(), state);
    fixture.relay(std::slice::from_ref(&mutation)).await;
    mutation
}

fn public(name: &str, content: &str) -> State {
    thing(name, Visibility::Public, content)
}

#[tokio::test]
async fn each_name_has_its_newest_state_of_then_and_deleted_ones_are_left_out() {
    let mut fixture = Fixture::new();
    let first = put(&mut fixture, None, public("onet/a", "1")).await;
    let gone = put(&mut fixture, None, public("onet/b", "1")).await;
    let second = put(&mut fixture, Some(&first), public("onet/a", "2")).await;
    let deleted = fixture.delete(&after(&gone));
    fixture.relay(std::slice::from_ref(&deleted)).await;
    let later = put(&mut fixture, None, public("onet/c", "1")).await;
    fixture = fixture.reopened();
    let at = |ulid| all(&fixture, &Caller::local(), &list(ulid));
    let expected = |states: &[(&str, &str)]| states.iter().map(|(id, text)| ((*id).into(), (*text).into())).collect();
    let moments: [(Ulid, Vec<_>); 6] = [
        (Ulid(first.ulid.0 - 1), expected(&[])),
        (first.ulid, expected(&[("a", "1")])),
        (gone.ulid, expected(&[("a", "1"), ("b", "1")])),
        (second.ulid, expected(&[("a", "2"), ("b", "1")])),
        (deleted.ulid, expected(&[("a", "2")])),
        (later.ulid, expected(&[("a", "2"), ("c", "1")])),
    ];
    for (moment, states) in moments {
        assert_eq!(at(moment), states, "{moment}");
    }
    let by_time = ListStates { as_of: AsOf::Time(Timestamp::of_ulid(gone.ulid)), ..list(gone.ulid) };
    assert_eq!(all(&fixture, &Caller::local(), &by_time), at(gone.ulid));
    let page = fixture.log.list_states_at(&Caller::local(), &list(second.ulid)).unwrap();
    assert_eq!(page.states[0].etag(), Etag(second.ulid));
}

#[tokio::test]
async fn names_come_as_bytes_with_their_variants_and_pages_meet() {
    let mut fixture = Fixture::new();
    // A space is below `#`, which is below letters.
    let names = ["b", "a", "a#es", "a b", "a/c", "é", "a b#mobile", "Z"];
    let mut last = Ulid(0);
    for name in names {
        last = put(&mut fixture, None, public(&format!("onet/{name}"), "1")).await.ulid;
    }
    put(&mut fixture, None, public("other/a", "1")).await;
    put(&mut fixture, None, public("onet/sub/a", "1")).await;
    put(&mut fixture, None, relationship("onet/a", "onet/a", "onet/b", Visibility::Public)).await;
    fixture.append(vec![event_about("log", "onet/log")]).await;
    let expected = ["Z", "a", "a b", "a b#mobile", "a#es", "a/c", "b", "é"];
    for page_size in [1, 2, 3, 1_000] {
        assert_eq!(ids(&fixture, &Caller::local(), &ListStates { page_size, ..list(last) }), expected, "{page_size}");
    }
    let prefix = ListStates { prefix: "a ".into(), page_size: 1, ..list(last) };
    assert_eq!(ids(&fixture, &Caller::local(), &prefix), ["a b", "a b#mobile"]);
}

#[tokio::test]
async fn a_type_or_kind_that_is_asked_for_is_that_of_then() {
    let mut fixture = Fixture::new();
    let first = put(&mut fixture, None, public("onet/a", "1")).await;
    let edge = put(&mut fixture, None, relationship("onet/e", "onet/a", "onet/a", Visibility::Public)).await;
    let State::Thing(mut state) = public("onet/a", "2") else { unreachable!("it is a thing") };
    state.body.thing_type = "Crane".parse().unwrap();
    let second = put(&mut fixture, Some(&first), State::Thing(state)).await;
    let of = |name: &str, ulid| ListStates { state_type: Some(name.parse().unwrap()), ..list(ulid) };
    let local = Caller::local();
    assert_eq!(ids(&fixture, &local, &of("Note", first.ulid)), ["a"]);
    assert_eq!(ids(&fixture, &local, &of("Crane", first.ulid)), [""; 0]);
    assert_eq!(ids(&fixture, &local, &of("Note", second.ulid)), [""; 0]);
    assert_eq!(ids(&fixture, &local, &of("Crane", second.ulid)), ["a"]);
    let edges = ListStates { kind: EntityKind::Relationship, ..list(edge.ulid) };
    assert_eq!(all(&fixture, &local, &edges), [("e".to_owned(), "uses".to_owned())]);
}

#[tokio::test]
async fn who_does_not_read_the_namespace_sees_what_is_public_then_and_now() {
    use Visibility::{Private, Public, Unlisted};
    let mut fixture = Fixture::new();
    let lives = [
        ("always", Public, Public),
        ("hidden since", Public, Private),
        ("shown since", Private, Public),
        ("unlisted since", Public, Unlisted),
        ("once unlisted", Unlisted, Public),
    ];
    let mut first = Vec::new();
    for (id, then, _) in lives {
        first.push(put(&mut fixture, None, thing(&format!("onet/{id}"), then, "1")).await);
    }
    let then = first.last().unwrap().ulid;
    for ((id, _, now), before) in lives.iter().zip(&first) {
        put(&mut fixture, Some(before), thing(&format!("onet/{id}"), *now, "2")).await;
    }
    let now = fixture.clock.ulid();
    assert_eq!(ids(&fixture, &event_reader(), &list(then)), ["always"]);
    assert_eq!(ids(&fixture, &event_reader(), &list(now)), ["always", "once unlisted", "shown since"]);
    assert_eq!(ids(&fixture, &reader_of("onet"), &list(then)).len(), 5);
    for page_size in [1, 2] {
        let pages = ListStates { page_size, ..list(now) };
        assert_eq!(ids(&fixture, &event_reader(), &pages).len(), 3, "{page_size}");
    }
}

#[tokio::test]
async fn a_variant_is_listed_only_where_its_canonical_thing_is() {
    let mut fixture = Fixture::new();
    let canonical = put(&mut fixture, None, thing("onet/a", Visibility::Private, "x")).await;
    let variant = put(&mut fixture, None, public("onet/a#es", "y")).await;
    assert_eq!(ids(&fixture, &event_reader(), &list(variant.ulid)), [""; 0]);
    put(&mut fixture, Some(&canonical), public("onet/a", "x")).await;
    assert_eq!(ids(&fixture, &event_reader(), &list(variant.ulid)), [""; 0], "it was private then");
    let now = fixture.clock.ulid();
    for page_size in [1, 2] {
        assert_eq!(ids(&fixture, &event_reader(), &ListStates { page_size, ..list(now) }), ["a", "a#es"]);
    }
}

#[tokio::test]
async fn a_relationship_is_listed_only_where_both_ends_are() {
    let mut fixture = Fixture::new();
    put(&mut fixture, None, public("onet/a", "a")).await;
    let end = put(&mut fixture, None, public("other/b", "b")).await;
    let edge = put(&mut fixture, None, relationship("onet/e", "onet/a", "other/b", Visibility::Public)).await;
    let edges = |ulid| ListStates { kind: EntityKind::Relationship, ..list(ulid) };
    assert_eq!(ids(&fixture, &event_reader(), &edges(edge.ulid)), ["e"]);
    put(&mut fixture, Some(&end), thing("other/b", Visibility::Private, "b")).await;
    for (caller, sees) in [(event_reader(), 0), (reader_of("onet"), 0), (reader_of("other"), 1)] {
        assert_eq!(ids(&fixture, &caller, &edges(edge.ulid)).len(), sees, "{}", caller.principal);
    }
}

#[tokio::test]
async fn a_foreign_namespace_is_empty_and_the_future_is_refused() {
    let mut fixture = Fixture::new();
    let first = put(&mut fixture, None, public("onet/a", "1")).await;
    let foreign = Caller::keyed("foreign".parse().unwrap(), "f", ["admin:*".parse().unwrap()]);
    assert_eq!(ids(&fixture, &foreign, &list(first.ulid)), [""; 0]);
    let ahead = AsOf::Time(fixture.clock.now().plus_millis(1));
    let refused = fixture.log.list_states_at(&Caller::local(), &ListStates { as_of: ahead, ..list(first.ulid) });
    assert_eq!(refused.unwrap_err().reason, Reason::AsOfInFuture);
}

#[tokio::test]
async fn a_page_ends_at_eight_mebibytes_or_one_state() {
    let mut fixture = Fixture::new();
    let mut last = Ulid(0);
    for number in 0..10 {
        let large = "x".repeat(1 << 20);
        last = put(&mut fixture, None, public(&format!("onet/{number}"), &large)).await.ulid;
    }
    let page = fixture.log.list_states_at(&Caller::local(), &list(last)).unwrap();
    assert_eq!((page.states.len(), page.next.as_deref()), (7, Some("6")));
    assert_eq!(ids(&fixture, &Caller::local(), &list(last)).len(), 10);
}

/// More names than are kept of the journal for one page, hidden from who asks: pages end early, and none is lost.
#[tokio::test]
async fn a_page_of_little_among_much_ends_early_and_goes_on() {
    let mut fixture = Fixture::new();
    for thousand in 0..11 {
        let names = (0..1_000).map(|number| format!("onet/{:05}", thousand * 1_000 + number));
        let state = |name: String| {
            let is_shown = name.ends_with("10999") || name.ends_with("00500");
            thing(&name, if is_shown { Visibility::Public } else { Visibility::Private }, "1")
        };
        let mutations: Vec<_> = names.map(|name| fixture.put(None, state(name))).collect();
        fixture.relay(&mutations).await;
    }
    let everything = list(fixture.clock.ulid());
    let page = fixture.log.list_states_at(&event_reader(), &everything).unwrap();
    assert!(page.states.len() <= 1 && page.next.is_some(), "{:?}", page.next);
    assert_eq!(ids(&fixture, &event_reader(), &everything), ["00500", "10999"]);
    assert_eq!(ids(&fixture, &Caller::local(), &everything).len(), 11_000);
}
