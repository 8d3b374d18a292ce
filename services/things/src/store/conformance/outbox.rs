//! The outbox, as the relay sees it.

use domain::{Condition, State};
use futures::FutureExt as _;
use proto::common::v1::Reason;

use super::bed::{Bed, keyed, mutation, note, owner};
use crate::store::{Backlog, Batch, Taken};

pub(crate) async fn a_mutation_says_before_after_actor_request_and_cause(bed: Bed) {
    let first = bed.put("onet/a", "one").await.state;
    let second = bed.put_as(&keyed(&["write:onet"]), "onet/a", note("two")).await.unwrap().state;
    let mutations = bed.mutations().await;
    assert_eq!((&mutations[0].before, &mutations[0].after), (&None, &Some(State::Thing(first.clone()))));
    assert_eq!(mutations[1].before, Some(State::Thing(first)));
    assert_eq!((mutations[1].ulid, &mutations[1].after), (second.etag.0, &Some(State::Thing(second))));
    let provenance = &mutations[1].provenance;
    assert_eq!((&*provenance.actor, &*provenance.request_id, &*provenance.cause), ("somebody", "request", "a case"));
}

pub(crate) async fn a_refused_write_leaves_no_mutation(bed: Bed) {
    bed.put("onet/a", "one").await;
    let refused = bed.put_if("onet/a", "two", Condition::CreateOnly).await.unwrap_err();
    assert_eq!(refused.reason, Reason::AlreadyExists);
    assert_eq!(bed.mutations().await.len(), 1);
}

pub(crate) async fn a_batch_is_the_same_until_it_is_acknowledged(bed: Bed) {
    bed.put("onet/a", "one").await;
    let lease = bed.lease().await;
    let first = bed.take(lease, None).await;
    bed.put("onet/a", "two").await;
    assert_eq!(bed.take(lease, None).await, first);
    assert_eq!(bed.take(bed.lease().await, None).await, first);
}

pub(crate) async fn batches_are_numbered_without_gap(bed: Bed) {
    let lease = bed.lease().await;
    for number in 1..=5 {
        bed.put("onet/a", &number.to_string()).await;
        let batch = bed.take(lease, Some(number - 1)).await;
        assert_eq!((batch.number, batch.payloads.len()), (number, 1));
    }
    assert_eq!(bed.store.outbox.take(lease, Some(5)).await.unwrap(), Taken::Nothing);
    assert_eq!(bed.store.outbox.take(lease, None).await.unwrap(), Taken::Nothing);
}

pub(crate) async fn a_batch_is_at_most_ten_thousand_events(bed: Bed) {
    let names: Vec<_> = (0..=Batch::MAX_EVENTS).map(|number| format!("onet/{number}")).collect();
    futures::future::join_all(names.iter().map(|named| bed.put(named, "one"))).await;
    let sizes: Vec<_> = bed.batches().await.iter().map(|batch| batch.payloads.len()).collect();
    assert_eq!(sizes, [10_000, 1]);
}

pub(crate) async fn a_batch_is_at_most_eight_mebibytes_or_one_event(bed: Bed) {
    for number in 0..9 {
        bed.put(&format!("onet/{number}"), &"x".repeat(1 << 20)).await;
    }
    // Escapes make the last two larger than a batch.
    bed.put("onet/a", &"\u{1}".repeat(1 << 20)).await;
    bed.put("onet/a", &"\u{2}".repeat(1 << 20)).await;
    let batches = bed.batches().await;
    let size = |batch: &Batch| batch.payloads.iter().map(bytes::Bytes::len).sum::<usize>();
    assert!(batches.iter().all(|batch| size(batch) <= Batch::MAX_BYTES || batch.payloads.len() == 1));
    assert_eq!(batches.iter().map(|batch| batch.payloads.len()).collect::<Vec<_>>(), [7, 2, 1, 1]);
    assert!(size(&batches[3]) > Batch::MAX_BYTES);
}

pub(crate) async fn an_older_lease_takes_nothing(bed: Bed) {
    bed.put("onet/a", "one").await;
    let older = bed.lease().await;
    let newer = bed.lease().await;
    assert_eq!(older.relay, newer.relay);
    assert_eq!(bed.store.outbox.take(older, None).await.unwrap(), Taken::LeaseLost);
    let batch = bed.take(newer, None).await;
    assert_eq!(bed.store.outbox.take(older, Some(batch.number)).await.unwrap(), Taken::LeaseLost);
    assert_eq!(bed.take(newer, None).await, batch);
}

pub(crate) async fn the_backlog_counts_what_waits(bed: Bed) {
    for text in ["one", "two"] {
        bed.put("onet/a", text).await;
    }
    assert_eq!(bed.store.outbox.backlog().rows, 2);
    let bed = bed.reopened().await;
    let bytes = bed.store.outbox.backlog().bytes;
    let batches = bed.batches().await;
    assert_eq!(bytes, batches[0].payloads.iter().map(|payload| payload.len() as u64).sum::<u64>());
    assert_eq!(bed.store.outbox.backlog(), Backlog::default());
}

pub(crate) async fn a_waiting_relay_is_woken_by_a_commit(bed: Bed) {
    bed.woken().await;
    assert!(!bed.is_woken());
    bed.put("onet/a", "one").await;
    bed.woken().await;
    bed.put("onet/a", "one").await;
    assert!(!bed.is_woken());
}

pub(crate) async fn an_acknowledged_batch_does_not_come_again_after_a_restart(bed: Bed) {
    bed.put("onet/a", "one").await;
    assert_eq!(bed.batches().await.len(), 1);
    let bed = bed.reopened().await;
    assert_eq!(bed.batches().await, []);
    bed.put("onet/a", "two").await;
    assert_eq!(bed.batches().await[0].number, 2);
}

pub(crate) async fn an_unacknowledged_batch_comes_again_after_a_restart(bed: Bed) {
    let put = bed.put("onet/a", "one").await;
    let lease = bed.lease().await;
    let batch = bed.take(lease, None).await;
    let bed = bed.reopened().await;
    bed.put("onet/b", "two").await;
    let again = bed.lease().await;
    assert_eq!((again.relay, bed.take(again, None).await), (lease.relay, batch.clone()));
    assert_eq!(mutation(&batch.payloads[0]).ulid, put.state.etag.0);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap(), put.state);
}

pub(crate) async fn it_is_settled_once_all_that_was_committed_before_is_acknowledged(bed: Bed) {
    bed.store.outbox.settle().await.unwrap();
    bed.put("onet/a", "one").await;
    let lease = bed.lease().await;
    let first = bed.take(lease, None).await;
    bed.put("onet/a", "two").await;
    let mut settled = bed.store.outbox.settle();
    // So that it has asked before what comes next.
    assert!(settled.as_mut().now_or_never().is_none());
    bed.put("onet/a", "three").await;
    let second = bed.take(lease, Some(first.number)).await;
    assert!(settled.as_mut().now_or_never().is_none(), "the second put is taken and not acknowledged");
    bed.put("onet/a", "four").await;
    bed.take(lease, Some(second.number)).await;
    settled.await.unwrap();
    assert!(bed.store.outbox.settle().now_or_never().is_none(), "the fourth put is not acknowledged");
}

pub(crate) async fn what_was_acknowledged_is_settled_after_a_restart(bed: Bed) {
    bed.put("onet/a", "one").await;
    assert_eq!(bed.batches().await.len(), 1);
    let bed = bed.reopened().await;
    bed.store.outbox.settle().await.unwrap();
    bed.put("onet/a", "two").await;
    let bed = bed.reopened().await;
    let mut settled = bed.store.outbox.settle();
    assert!(settled.as_mut().now_or_never().is_none());
    assert_eq!(bed.batches().await.len(), 1);
    settled.await.unwrap();
}

pub(crate) async fn no_write_after_a_settling_is_at_or_before_its_time(bed: Bed) {
    let now = bed.clock.now();
    bed.clock.advance(1);
    bed.store.outbox.settle().await.unwrap();
    bed.clock.advance(-60_000);
    assert!(bed.put("onet/a", "one").await.state.updated_at() > now);
}

pub(crate) async fn a_settling_counts_every_write_that_was_asked_for_before(bed: Bed) {
    for round in 0..20 {
        let text = round.to_string();
        let put = bed.put("onet/a", &text);
        let settled = async {
            let settled = bed.store.outbox.settle();
            let relayed = async {
                // The bell may have rung before the put.
                loop {
                    bed.woken().await;
                    let batches = bed.batches().await;
                    if !batches.is_empty() {
                        break batches;
                    }
                }
            };
            futures::join!(settled, relayed)
        };
        let (_, (settled, batches)) = futures::join!(put, settled);
        settled.unwrap();
        assert_eq!(batches.len(), 1);
    }
}
