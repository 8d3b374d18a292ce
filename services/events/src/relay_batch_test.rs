//! Relays' batches: each takes effect once, in order, without a gap.

use domain::{EntityKind, TenantId, Visibility};
use proto::common::v1::Reason;
use ulid::Ulid;

use super::*;
use crate::fixture::{Fixture, RELAY, after, entity, event, event_of, peer, thing};
use crate::history::History;

fn batch(number: u64) -> RelayBatch {
    RelayBatch { relay: RELAY, number }
}

/// The events of one name's creation and update.
fn events(fixture: &Fixture) -> Vec<NewEvent> {
    let created = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let updated = fixture.put(Some(&after(&created)), thing("onet/a", Visibility::Public, "2"));
    [created, updated].iter().map(|mutation| event_of(mutation, &TenantId::local())).collect()
}

fn stored(fixture: &Fixture) -> usize {
    let history = History { entity: entity(EntityKind::Thing, "onet/a"), page_size: 1_000, after: None };
    fixture.log.history(&peer(), &history).map_or(0, |page| page.mutations.len())
}

#[tokio::test]
async fn a_batch_that_is_sent_again_takes_effect_once_also_after_a_restart() {
    let mut fixture = Fixture::new();
    let events = events(&fixture);
    for _ in 0..2 {
        fixture.log.append_relayed(&peer(), batch(1), events.clone()).await.unwrap();
        assert_eq!(stored(&fixture), 2);
    }
    fixture = fixture.reopened();
    let again = fixture.log.append_relayed(&peer(), batch(1), events).await.unwrap();
    assert_eq!((again.appended.end, again.appended.duplicates), (2, vec![0, 1]));
    assert_eq!(stored(&fixture), 2);
}

#[tokio::test]
async fn a_batch_that_skips_one_is_refused_with_the_last_one_taken() {
    let fixture = Fixture::new();
    let events = events(&fixture);
    let first = fixture.log.append_relayed(&peer(), batch(2), events.clone()).await.unwrap_err();
    assert_eq!(first.reason, Reason::RelayGap);
    fixture.log.append_relayed(&peer(), batch(1), events[..1].to_vec()).await.unwrap();
    let third = fixture.log.append_relayed(&peer(), batch(3), events[1..].to_vec()).await.unwrap_err();
    assert_eq!((third.reason, third.metadata["last_batch"].as_str()), (Reason::RelayGap, "1"));
    assert_eq!(stored(&fixture), 1);
}

#[tokio::test]
async fn what_another_relay_left_over_is_told_by_its_ulid_and_the_batch_is_remembered() {
    let mut fixture = Fixture::new();
    let events = events(&fixture);
    fixture.log.append_relayed(&peer(), batch(1), events.clone()).await.unwrap();
    let renewed = |number| RelayBatch { relay: Ulid(43), number };
    let leftovers = fixture.log.append_relayed(&peer(), renewed(1), events.clone()).await.unwrap();
    assert_eq!(leftovers.appended.duplicates, [0, 1]);
    fixture = fixture.reopened();
    fixture.log.append_relayed(&peer(), renewed(2), events).await.unwrap();
    assert_eq!(stored(&fixture), 2);
}

#[tokio::test]
async fn a_duplicate_that_is_another_names_mutation_is_counted_as_lost_and_a_replayed_one_is_not() {
    serve::telemetry::init("off").unwrap();
    let fixture = Fixture::new();
    let first = fixture.put(None, thing("onet/a", Visibility::Public, "1"));
    let mut namesake = fixture.put(None, thing("onet/b", Visibility::Public, "1"));
    namesake.ulid = first.ulid;
    let [first, namesake] = [first, namesake].map(|mutation| vec![event_of(&mutation, &TenantId::local())]);
    let before = lost_mutations();
    for events in [&first, &first, &namesake] {
        fixture.log.append_relayed(&peer(), batch(1), events.clone()).await.unwrap();
    }
    let lost = fixture.log.append_relayed(&peer(), batch(2), namesake).await.unwrap();
    assert_eq!(lost.appended.duplicates, [0]);
    // Other tests may count at the same time.
    assert!(lost_mutations() >= before + 2);
}

fn lost_mutations() -> u64 {
    let page = serve::telemetry::metrics();
    let line = page.lines().find_map(|line| line.strip_prefix("annals_events_lost_mutations_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_clients_event_with_the_ulid_of_a_mutation_to_come_does_not_keep_it_out() {
    let mut fixture = Fixture::new();
    let events = events(&fixture);
    for kept in &events {
        fixture.append(vec![NewEvent { ulid: kept.ulid, ..event("log") }]).await;
    }
    fixture.log.append_relayed(&peer(), batch(1), events.clone()).await.unwrap();
    assert_eq!(stored(&fixture), 2);
    fixture = fixture.reopened();
    let again = RelayBatch { relay: Ulid(43), number: 1 };
    let leftovers = fixture.log.append_relayed(&peer(), again, events).await.unwrap();
    assert_eq!(leftovers.appended.duplicates, [0, 1]);
}

#[tokio::test]
async fn mutations_older_than_the_window_are_told_from_archived_ones_and_from_clients_events() {
    let fixture = Fixture::new();
    let events = events(&fixture);
    for kept in &events {
        fixture.append(vec![NewEvent { ulid: kept.ulid, ..event("log") }]).await;
    }
    fixture.flush(u64::MAX);
    fixture.clock.advance(2 * WINDOW);
    let first = fixture.log.append_relayed(&peer(), batch(1), events.clone()).await.unwrap();
    assert_eq!(first.appended.duplicates, [0_u32; 0]);
    fixture.flush(u64::MAX);
    let again = RelayBatch { relay: Ulid(43), number: 1 };
    let leftovers = fixture.log.append_relayed(&peer(), again, events).await.unwrap();
    assert_eq!(leftovers.appended.duplicates, [0, 1]);
}

#[tokio::test]
async fn only_a_peer_may_relay() {
    let fixture = Fixture::new();
    let refusal = fixture.log.append_relayed(&Caller::local(), batch(1), events(&fixture)).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::PermissionDenied);
}

#[tokio::test]
async fn what_is_no_whole_mutation_is_refused_by_its_field() {
    let fixture = Fixture::new();
    let whole = events(&fixture).remove(0);
    let other = NewEvent { ulid: whole.ulid, tenant: whole.tenant.clone(), ..event("log") };
    let mut without_data = whole.clone();
    without_data.body.data = None;
    let cases = [
        (NewEvent { tenant: None, ..whole.clone() }, "events[1].tenant"),
        (NewEvent { ulid: None, ..whole.clone() }, "events[1].ulid"),
        (other, "events[1].event_type"),
        (without_data, "events[1].data"),
    ];
    for (event, field) in cases {
        let refusal = fixture.log.append_relayed(&peer(), batch(1), vec![whole.clone(), event]).await.unwrap_err();
        assert_eq!(refusal.violations[0].field, field);
    }
    assert_eq!(stored(&fixture), 0);
}

#[tokio::test]
async fn the_age_of_a_ulid_does_not_matter_in_a_relays_batch() {
    let fixture = Fixture::new();
    let events = events(&fixture);
    fixture.clock.advance(400 * 24 * 3_600_000);
    fixture.log.append_relayed(&peer(), batch(1), events).await.unwrap();
    assert_eq!(stored(&fixture), 2);
}
