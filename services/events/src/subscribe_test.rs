//! Subscriptions: from where they begin, what they pass over, and how they are resumed.

use domain::Visibility;
use futures::StreamExt as _;
use proto::common::v1::Reason;

use super::*;
use crate::fixture::{Fixture, event, event_reader, thing};

type Signs = std::pin::Pin<Box<dyn Stream<Item = Result<Sign, Refusal>>>>;

fn follow(fixture: &Fixture, filter: Filter, start: &Start) -> Signs {
    let local = Caller::local();
    Box::pin(fixture.log.subscribe(&local, filter, start, CancellationToken::new()).unwrap())
}

/// The event types and positions of the next so many signs.
async fn next(signs: &mut Signs, count: usize) -> Vec<(Option<String>, u64)> {
    let mut seen = Vec::new();
    for _ in 0..count {
        let sign = signs.next().await.unwrap().unwrap();
        seen.push((sign.event.map(|event| event.event_type), sign.resume));
    }
    seen
}

fn of(event_type: &str, resume: u64) -> (Option<String>, u64) {
    (Some(event_type.to_owned()), resume)
}

#[tokio::test]
async fn now_is_what_is_committed_after_the_call_and_the_first_sign_says_where() {
    let fixture = Fixture::new();
    fixture.append(vec![event("log")]).await;
    let mut signs = follow(&fixture, Filter::default(), &Start::Now);
    fixture.append(vec![event("metric"), event("error")]).await;
    assert_eq!(next(&mut signs, 3).await, [(None, 1), of("metric", 2), of("error", 3)]);
}

#[tokio::test]
async fn a_subscriber_resumes_after_its_last_position_also_after_a_restart() {
    let mut fixture = Fixture::new();
    fixture.append(vec![event("log"), event("metric"), event("error")]).await;
    let mut signs = follow(&fixture, Filter::default(), &Start::Beginning);
    assert_eq!(next(&mut signs, 3).await, [(None, 0), of("log", 1), of("metric", 2)]);
    drop(signs);
    let resume = Start::After(fixture.log.cursor(2).to_string());
    fixture = fixture.reopened();
    let mut signs = follow(&fixture, Filter::default(), &resume);
    assert_eq!(next(&mut signs, 2).await, [(None, 2), of("error", 3)]);
}

#[tokio::test]
async fn a_subscriber_that_waits_is_woken_by_an_append() {
    let fixture = Fixture::new();
    let mut signs = follow(&fixture, Filter::default(), &Start::Now);
    next(&mut signs, 1).await;
    let (seen, _) = tokio::join!(next(&mut signs, 1), fixture.append(vec![event("log")]));
    assert_eq!(seen, [of("log", 1)]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_heartbeats_that_move_over_what_is_filtered_out() {
    let fixture = Fixture::new();
    let filter = Filter { event_types: vec!["metric".parse().unwrap()], ..Filter::default() };
    let mut signs = follow(&fixture, filter, &Start::Now);
    next(&mut signs, 1).await;
    fixture.append(vec![event("log"), event("log")]).await;
    let before = tokio::time::Instant::now();
    assert_eq!(next(&mut signs, 1).await, [(None, 2)]);
    assert_eq!(before.elapsed().as_secs(), HEARTBEAT.as_secs());
}

#[tokio::test]
async fn a_slow_subscriber_lags_and_misses_nothing() {
    let fixture = Fixture::new();
    let mut signs = follow(&fixture, Filter::default(), &Start::Now);
    for _ in 0..3 {
        fixture.append((0..AHEAD_EVENTS).map(|_| event("log")).collect()).await;
    }
    let seen = next(&mut signs, 1 + 3 * AHEAD_EVENTS).await;
    let positions: Vec<_> = seen.into_iter().map(|(_, resume)| resume).collect();
    assert_eq!(positions, (0..=3 * AHEAD_EVENTS as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_subscription_ends_when_the_server_drains() {
    let fixture = Fixture::new();
    let draining = CancellationToken::new();
    let signs = fixture.log.subscribe(&Caller::local(), Filter::default(), &Start::Now, draining.clone()).unwrap();
    draining.cancel();
    assert_eq!(signs.count().await, 1);
}

#[tokio::test]
async fn mutations_of_private_things_are_left_out_for_who_does_not_read_the_namespace() {
    let mut fixture = Fixture::new();
    let hidden = fixture.put(None, thing("onet/a", Visibility::Private, "secret"));
    let shown = fixture.put(None, thing("onet/b", Visibility::Public, "1"));
    fixture.relay(&[hidden, shown.clone()]).await;
    let token = CancellationToken::new();
    let signs = fixture.log.subscribe(&event_reader(), Filter::default(), &Start::Beginning, token).unwrap();
    let mut signs = Box::pin(signs);
    signs.next().await.unwrap().unwrap();
    let sign = signs.next().await.unwrap().unwrap();
    assert_eq!(sign.event.unwrap().ulid, shown.ulid.to_string());
}

#[tokio::test]
async fn events_of_all_tenants_are_for_another_service_only() {
    let fixture = Fixture::new();
    fixture.append(vec![event("log")]).await;
    let other = Caller::keyed("foreign".parse().unwrap(), "frida", [serve::auth::Scope::WriteEvents]);
    fixture.log.append(&other, vec![event("metric")]).await.unwrap();
    fixture.append(vec![event("error")]).await;
    let subscribe = |caller: &Caller, all_tenants| {
        let filter = Filter { all_tenants, ..Filter::default() };
        fixture.log.subscribe(caller, filter, &Start::Beginning, CancellationToken::new()).map(Box::pin)
    };
    let peer = Caller::peer(Caller::local().tenant);
    let mut all: Signs = subscribe(&peer, true).unwrap();
    assert_eq!(next(&mut all, 4).await, [(None, 0), of("log", 1), of("metric", 2), of("error", 3)]);
    let mut own: Signs = subscribe(&peer, false).unwrap();
    assert_eq!(next(&mut own, 3).await, [(None, 0), of("log", 1), of("error", 3)]);
    for caller in [Caller::local(), event_reader()] {
        let refused = subscribe(&caller, true).err().map(|refusal| refusal.reason);
        assert_eq!(refused, Some(Reason::PermissionDenied));
    }
}

#[tokio::test]
async fn a_position_of_another_journal_and_a_caller_without_the_scope_are_refused() {
    let fixture = Fixture::new();
    let subscribe = |caller: &Caller, start: &Start| {
        fixture.log.subscribe(caller, Filter::default(), start, CancellationToken::new()).err().unwrap().reason
    };
    assert_eq!(subscribe(&Caller::local(), &Start::After("c1-1".into())), Reason::CursorInvalid);
    let caller = Caller::anonymous(domain::TenantId::local());
    assert_eq!(subscribe(&caller, &Start::Now), Reason::Unauthenticated);
}
