//! Appending: what is refused, what is stored once, and what the answer says.

use proto::{convert::new_event, events::v1 as wire};

use super::*;
use crate::{
    fixture::{Fixture, event, event_of, event_reader, peer, thing},
    index::Order,
};

fn stored(fixture: &Fixture) -> Vec<wire::Event> {
    let end = fixture.log.index().end();
    let mut page = crate::filter::Page::new(1_000, usize::MAX);
    let filter = crate::filter::Filter::default();
    fixture.log.step(&Caller::local(), &filter, 0..end, Order::OldestFirst, &mut page).unwrap();
    page.events.into_iter().map(|(_, event)| event).collect()
}

fn with_ulid(ulid: Ulid) -> NewEvent {
    NewEvent { ulid: Some(ulid), ..event("log") }
}

fn ulid_at(millis: i64) -> Ulid {
    Ulid::from_parts(millis as u64, 1)
}

#[tokio::test]
async fn an_event_without_ulid_is_given_one_of_now_and_the_time_of_intake() {
    let fixture = Fixture::new();
    let ulids = fixture.append(vec![event("log")]).await;
    let event = stored(&fixture).remove(0);
    let now = fixture.clock.now();
    assert_eq!(Timestamp::of_ulid(ulids[0]), now);
    assert_eq!(event.ulid, ulids[0].to_string());
    let time = event.timestamp.unwrap();
    assert_eq!(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000, now.millis());
    assert_eq!(event.event_timestamp, Some(time));
    assert_eq!((event.keep.as_str(), event.tenant.as_str(), event.pipeline_instance), ("1y", "default", 1));
}

#[tokio::test]
async fn a_retry_is_stored_once_across_a_restart_and_the_first_body_wins() {
    let mut fixture = Fixture::new();
    let first = NewEvent { ulid: Some(fixture.clock.ulid()), ..event("log") };
    fixture.append(vec![first.clone()]).await;
    fixture = fixture.reopened();
    let second = NewEvent { ulid: first.ulid, ..event("metric") };
    let answer = fixture.log.append(&Caller::local(), vec![event("log"), second]).await.unwrap();
    assert_eq!(answer.appended.duplicates, [1]);
    assert_eq!(answer.ulids[1], first.ulid.unwrap());
    let types: Vec<_> = stored(&fixture).into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["log", "log"]);
}

#[tokio::test]
async fn the_same_ulid_of_two_tenants_is_two_events() {
    let fixture = Fixture::new();
    let event = with_ulid(fixture.clock.ulid());
    fixture.append(vec![event.clone()]).await;
    let foreign = Caller::keyed("foreign".parse().unwrap(), "f", [serve::auth::Scope::WriteEvents]);
    assert_eq!(fixture.log.append(&foreign, vec![event]).await.unwrap().appended.duplicates, [0u32; 0]);
}

#[tokio::test]
async fn a_ulid_older_than_a_day_or_five_minutes_ahead_is_refused() {
    let fixture = Fixture::new();
    let now = fixture.clock.now().millis();
    for legal in [now - OLDEST_ULID, now + NEWEST_ULID] {
        fixture.append(vec![with_ulid(ulid_at(legal))]).await;
    }
    for illegal in [now - OLDEST_ULID - 1, now + NEWEST_ULID + 1] {
        let events = vec![event("log"), with_ulid(ulid_at(illegal))];
        let refusal = fixture.log.append(&Caller::local(), events).await.unwrap_err();
        assert_eq!(refusal.violations[0].field, "events[1].ulid");
    }
    assert_eq!(fixture.log.index().end(), 2, "a refused batch stores nothing");
}

#[tokio::test]
async fn mutations_come_from_a_relay_only() {
    let fixture = Fixture::new();
    let mutation = fixture.put(None, thing("onet/a", domain::Visibility::Public, "x"));
    let event = event_of(&mutation, &TenantId::local());
    let refusal = fixture.log.append(&Caller::local(), vec![event.clone()]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
    let refusal = fixture.log.append(&peer(), vec![event]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::FieldInvalid);
}

#[tokio::test]
async fn appending_needs_its_scope() {
    let fixture = Fixture::new();
    let refusal = fixture.log.append(&event_reader(), vec![event("log")]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
    assert!(refusal.message.contains("events:write"), "{}", refusal.message);
}

#[tokio::test]
async fn every_column_comes_back_as_it_was_given() {
    let fixture = Fixture::new();
    let given = wire::Event {
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
        event_type: "log".into(),
        entity_ns: "onet".into(),
        entity_id: "15-1252.00#es".into(),
        entity_type: "Occupation".into(),
        entity_kind: EntityKind::Thing.into(),
        script_name: "s".into(),
        dispatch_namespace: "d".into(),
        worker_name: "w".into(),
        url: "https://annals.test/a".into(),
        method: "GET".into(),
        cf_ray: "87ed87f80cf22d84".into(),
        user_agent: "curl".into(),
        ip: "::1".into(),
        status: Some(200),
        outcome: "ok".into(),
        rpc_method: "Get".into(),
        severity: "debug".into(),
        category: "c".into(),
        error_type: "E".into(),
        error_message: "m".into(),
        has_exception: true,
        cpu_time: Some(0.5),
        wall_time: Some(1.5),
        data: "{\"b\":1,\"a\":1.0}".into(),
        metadata: "{}".into(),
        log_count: Some(7),
        logs: "[]".into(),
        exception_count: Some(0),
        exceptions: "[]".into(),
        retry_count: 2,
        ..wire::Event::default()
    };
    fixture.append(vec![new_event(given.clone()).unwrap()]).await;
    let mut read = stored(&fixture).remove(0);
    read.ulid.clear();
    read.timestamp = None;
    read.tenant.clear();
    read.keep.clear();
    read.pipeline_instance = 0;
    assert_eq!(read, given);
}
