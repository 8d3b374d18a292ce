//! Queries: filters, order, pages, and what is left out for whom.

use domain::{EntityKind, Visibility};
use proto::common::v1::Reason;
use ulid::Ulid;

use super::*;
use crate::{
    filter::About,
    fixture::{Fixture, after, entity, event, event_about, event_reader, key, reader_of, thing},
    history::History,
};

fn everything() -> Query {
    let filter = Filter::default();
    let order = Order::OldestFirst;
    Query { filter, order, page_size: 1_000, position: None }
}

async fn ulids(fixture: &Fixture, query: Query) -> Vec<String> {
    let page = fixture.log.query(&Caller::local(), query).await.unwrap();
    page.events.into_iter().map(|event| event.ulid).collect()
}

fn texts(ulids: &[Ulid]) -> Vec<String> {
    ulids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_time_range_includes_its_beginning_and_not_its_end() {
    let fixture = Fixture::new();
    let start = fixture.clock.now();
    let mut appended = Vec::new();
    for _ in 0..4 {
        appended.extend(fixture.append(vec![event("log")]).await);
        fixture.clock.advance(1_000);
    }
    let within = |from: i64, to: i64| {
        let times = start.millis() + from..start.millis() + to;
        Query { filter: Filter { times, ..Filter::default() }, ..everything() }
    };
    assert_eq!(ulids(&fixture, within(1_000, 3_000)).await, texts(&appended[1..3]));
    assert_eq!(ulids(&fixture, within(0, 1_001)).await, texts(&appended[..2]));
    assert_eq!(ulids(&fixture, within(3_000, 0)).await, texts(&[]));
}

#[tokio::test]
async fn filters_hold_together() {
    let fixture = Fixture::new();
    let events = vec![
        event_about("log", "onet/a"),
        event_about("metric", "onet/a"),
        event_about("log", "onet/b"),
        event_about("log", "onet.x/a"),
        event("log"),
    ];
    let appended = fixture.append(events).await;
    let about = |about, types: &[&str]| {
        let event_types = types.iter().map(|word| word.parse().unwrap()).collect();
        Query { filter: Filter { event_types, about, ..Filter::default() }, ..everything() }
    };
    let onet = || About::Namespace("onet".parse().unwrap());
    assert_eq!(ulids(&fixture, about(onet(), &[])).await, texts(&appended[..3]));
    assert_eq!(ulids(&fixture, about(onet(), &["metric", "error"])).await, texts(&appended[1..2]));
    assert_eq!(ulids(&fixture, about(About::Entity(key("onet/a")), &["log"])).await, texts(&appended[..1]));
    assert_eq!(ulids(&fixture, about(About::Entity(key("onet/a#es")), &[])).await, texts(&[]));
    let mut edges = about(onet(), &[]);
    edges.filter.kind = Some(EntityKind::Relationship);
    assert_eq!(ulids(&fixture, edges).await, texts(&[]));
}

#[tokio::test]
async fn pages_meet_in_both_orders_while_events_arrive() {
    let fixture = Fixture::new();
    let mut appended = fixture.append((0..700).map(|_| event("log")).collect()).await;
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut read, mut position) = (Vec::new(), None);
        loop {
            let query = Query { order, page_size: 300, position, ..everything() };
            let page = fixture.log.query(&Caller::local(), query).await.unwrap();
            read.extend(page.events.into_iter().map(|event| event.ulid));
            position = page.next;
            if position.is_none() {
                break;
            }
            let late = fixture.append(vec![event("log")]).await;
            if order == Order::OldestFirst {
                appended.extend(late);
            }
        }
        let mut expected = texts(&appended);
        if order == Order::NewestFirst {
            expected.reverse();
        }
        assert_eq!(read, expected, "{order:?}");
    }
}

#[tokio::test]
async fn the_last_page_has_no_next_one() {
    let fixture = Fixture::new();
    fixture.append(vec![event("log"), event("log")]).await;
    for (page_size, next) in [(1, Some(1)), (2, None)] {
        let page = fixture.log.query(&Caller::local(), Query { page_size, ..everything() }).await.unwrap();
        assert_eq!((page.events.len(), page.next), (page_size, next));
    }
}

#[tokio::test]
async fn events_of_other_tenants_are_not_there() {
    let fixture = Fixture::new();
    fixture.append(vec![event("log")]).await;
    let foreign = Caller::peer("foreign".parse().unwrap());
    assert_eq!(fixture.log.query(&foreign, everything()).await.unwrap().events, []);
}

#[tokio::test]
async fn querying_needs_its_scope() {
    let fixture = Fixture::new();
    let caller = Caller::keyed(domain::TenantId::local(), "w", [serve::auth::Scope::WriteEvents]);
    let refusal = fixture.log.query(&caller, everything()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
}

#[tokio::test]
async fn mutations_show_to_who_does_not_read_the_namespace_as_the_anonymous_see_them() {
    let mut fixture = Fixture::new();
    let public = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let unlisted = fixture.put(None, thing("onet/b", Visibility::Unlisted, "1"));
    let private = fixture.put(None, thing("onet/c", Visibility::Private, "secret"));
    fixture.relay(&[public.clone(), unlisted.clone(), private.clone()]).await;
    let eve = event_reader();
    let listed = fixture.log.query(&eve, everything()).await.unwrap().events;
    assert_eq!(listed.iter().map(|event| event.ulid.clone()).collect::<Vec<_>>(), [public.ulid.to_string()]);
    assert_eq!(listed[0].data, public.data().as_str());
    assert_eq!(listed[0].metadata, "");
    let named = Filter { about: About::Entity(key("onet/b")), ..Filter::default() };
    let named = fixture.log.query(&eve, Query { filter: named, ..everything() }).await.unwrap().events;
    assert_eq!(named.len(), 1, "an unlisted thing shows to who names it");
    let whole = fixture.log.query(&reader_of("onet"), everything()).await.unwrap().events;
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[2].metadata, private.metadata().as_str());
}

#[tokio::test]
async fn a_private_state_before_is_left_out_of_a_public_mutation() {
    let mut fixture = Fixture::new();
    let private = fixture.put(None, thing("onet/a", Visibility::Private, "secret"));
    let public = fixture.put(Some(&after(&private)), thing("onet/a", Visibility::Public, "1"));
    fixture.relay(&[private, public]).await;
    let seen = fixture.log.query(&event_reader(), everything()).await.unwrap().events;
    assert_eq!(seen.len(), 1);
    assert!(seen[0].data.starts_with("{\"before\":null,"), "{}", seen[0].data);
    assert!(!seen[0].data.contains("secret"));
    let history = History { entity: entity(EntityKind::Thing, "onet/a"), page_size: 50, after: None };
    let told = fixture.log.history(&event_reader(), &history).unwrap().mutations;
    assert_eq!((seen[0].mutation_type.as_str(), told[0].mutation_type().as_str()), ("created", "created"));
    let whole = fixture.log.query(&reader_of("onet"), everything()).await.unwrap().events;
    assert_eq!(whole[1].mutation_type, "updated");
}
