//! Waiting for a write: until it is here, or a typed refusal at the deadline.

use std::time::Duration;

use domain::Visibility;

use super::*;
use crate::fixture::{Fixture, event, thing};

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

#[tokio::test]
async fn an_event_that_is_here_or_a_position_that_was_given_out_is_not_waited_for() {
    let fixture = Fixture::new();
    let ulid = fixture.append(vec![event("log")]).await[0];
    let local = Caller::local();
    for wait_for in [String::new(), ulid.to_string(), fixture.log.cursor(1).to_string()] {
        fixture.log.wait_for(&local, &wait_for, Some(soon())).await.unwrap();
    }
}

#[tokio::test]
async fn a_read_waits_until_the_event_arrives() {
    let mut fixture = Fixture::new();
    let mutations = [fixture.put(None, thing("onet/a", Visibility::Public, "1"))];
    let (log, ulid) = (std::sync::Arc::clone(&fixture.log), mutations[0].ulid.to_string());
    let local = Caller::local();
    let waiting = log.wait_for(&local, &ulid, None);
    let (waited, ()) = tokio::join!(waiting, fixture.relay(&mutations));
    waited.unwrap();
}

#[tokio::test]
async fn an_event_that_does_not_arrive_is_relay_behind_at_the_deadline() {
    let fixture = Fixture::new();
    let (ulid, other) = (fixture.clock.ulid(), Caller::peer("foreign".parse().unwrap()));
    let appended = fixture.append(vec![event("log")]).await[0];
    for (caller, ulid) in [(Caller::local(), ulid), (other, appended)] {
        let refusal = fixture.log.wait_for(&caller, &ulid.to_string(), Some(soon())).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::RelayBehind);
    }
}

#[tokio::test]
async fn a_position_of_another_journal_or_past_the_end_is_refused() {
    let fixture = Fixture::new();
    for wait_for in ["c2-0", "c1-1"] {
        let refusal = fixture.log.wait_for(&Caller::local(), wait_for, None).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::CursorInvalid, "{wait_for}");
    }
    let refusal = fixture.log.wait_for(&Caller::local(), "yesterday", None).await.unwrap_err();
    assert_eq!(refusal.violations[0].field, "wait_for");
}

#[tokio::test]
async fn the_position_of_a_write_is_behind_it_and_not_past_the_end() {
    let fixture = Fixture::new();
    let ulids = fixture.append(vec![event("log"), event("log")]).await;
    fixture.append(vec![event("log")]).await;
    let resolve = async |wait_for: String| fixture.log.resolve_cursor(&Caller::local(), &wait_for, Some(soon())).await;
    for (offset, ulid) in (0..).zip(ulids) {
        let position = resolve(ulid.to_string()).await.unwrap();
        assert!((offset + 1..=3).contains(&position), "event {offset} is before {position}");
    }
    assert_eq!(resolve(fixture.log.cursor(2).to_string()).await.unwrap(), 2);
    let absent = resolve(fixture.clock.ulid().to_string()).await.unwrap_err();
    assert_eq!(absent.reason, Reason::RelayBehind);
    assert_eq!(resolve(String::new()).await.unwrap_err().violations[0].field, "wait_for");
}
