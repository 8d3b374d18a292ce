//! Streams of batches: what is acknowledged and in which order, what ends a stream, and what holds one back.

use futures::{FutureExt as _, channel::mpsc};
use proto::common::v1::Reason;

use super::*;
use crate::fixture::{Fixture, event, event_of, event_reader, peer, thing};

#[expect(clippy::unnecessary_wraps, reason = "a stream is of what was sent or could not be read")]
fn sent(batch: i64, events: Vec<NewEvent>) -> Result<Sent, Refusal> {
    Ok(Sent { batch, events: Ok(events) })
}

fn own(fixture: &Fixture) -> NewEvent {
    NewEvent { ulid: Some(fixture.clock.ulid()), ..event("log") }
}

/// What a stream of these is told until it ends, and the refusal that ended it.
async fn append(fixture: &Fixture, sent: Vec<Result<Sent, Refusal>>) -> (Vec<Acknowledged>, Option<Refusal>) {
    let told = fixture.log.append_stream(&Caller::local(), stream::iter(sent), None);
    let told: Vec<_> = told.collect().await;
    let mut acknowledged = Vec::new();
    for told in told {
        match told {
            Ok(told) => acknowledged.push(told),
            Err(refusal) => return (acknowledged, Some(refusal)),
        }
    }
    (acknowledged, None)
}

fn batches(acknowledged: &[Acknowledged]) -> Vec<i64> {
    acknowledged.iter().map(|told| told.batch).collect()
}

#[tokio::test]
async fn batches_are_acknowledged_in_order_with_the_ulids_that_were_given() {
    let fixture = Fixture::new();
    let known = own(&fixture);
    let stream = (0..200).map(|_| sent(0, vec![event("log"), own(&fixture), event("log")]));
    let stream = stream.chain([sent(0, vec![known.clone()]), sent(0, vec![known, event("log")])]);
    let (told, refusal) = append(&fixture, stream.collect()).await;
    assert_eq!(refusal, None);
    assert_eq!(batches(&told), (1..=202).collect::<Vec<_>>());
    let ends: Vec<_> = told.iter().map(|told| told.appended.end).collect();
    assert_eq!(ends, (1..=200).map(|batch| batch * 3).chain([601, 602]).collect::<Vec<_>>());
    let given: Vec<_> = told.iter().map(|told| told.ulids.len()).collect();
    assert_eq!((given[0], given[199], given[200], given[201]), (2, 2, 0, 1));
    assert_eq!(told[201].appended.duplicates, [0]);
    let index = fixture.log.index();
    let tenant = index.tenant(&domain::TenantId::local()).unwrap();
    assert_eq!(index.offset_of(tenant, told[7].ulids[1]), Some(7 * 3 + 2));
}

#[tokio::test]
async fn numbers_are_the_clients_own_or_follow() {
    let fixture = Fixture::new();
    let stream = [7, 0, 100, 0].map(|batch| sent(batch, vec![event("log")]));
    let (told, refusal) = append(&fixture, stream.into()).await;
    assert_eq!((batches(&told), refusal), (vec![7, 8, 100, 101], None));
    for again in [7, 6, -1] {
        let (told, refusal) = append(&fixture, [7, again].map(|batch| sent(batch, vec![event("log")])).into()).await;
        let refusal = refusal.unwrap();
        assert_eq!((batches(&told), refusal.violations[0].field.as_str()), (vec![7], "batch"));
        assert_eq!(refusal.metadata["batch"], again.to_string());
    }
}

#[tokio::test]
async fn what_breaks_a_rule_ends_the_stream_after_all_before_it() {
    let fixture = Fixture::new();
    let old = NewEvent { ulid: Some(Ulid::from_parts(1, 1)), ..event("log") };
    let broken = || Ok(Sent { batch: 0, events: Err(Refusal::invalid_field("events[1].status", "must be 0 to 999")) });
    for (bad, field) in [
        (sent(0, vec![event("log"), old]), "events[1].ulid"),
        (broken(), "events[1].status"),
        (Err(Refusal::invalid_field("request", "must be a message")), "request"),
    ] {
        let before = fixture.log.index().end();
        let stream = vec![sent(0, vec![event("log")]), sent(5, vec![event("log")]), bad, sent(0, vec![event("log")])];
        let (told, refusal) = append(&fixture, stream).await;
        let refusal = refusal.unwrap();
        assert_eq!((refusal.violations[0].field.as_str(), refusal.metadata["batch"].as_str()), (field, "6"));
        assert_eq!(batches(&told), [1, 5]);
        assert_eq!(fixture.log.index().end(), before + 2, "nothing of it or after it is stored");
    }
}

#[tokio::test]
async fn a_stream_needs_the_right_and_brings_no_mutations() {
    let mut fixture = Fixture::new();
    let mutation = fixture.put(None, thing("a/b", domain::Visibility::Public, "1"));
    let none = stream::empty::<Result<Sent, Refusal>>();
    let told: Vec<_> = fixture.log.append_stream(&event_reader(), none, None).collect().await;
    let [Err(refusal)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(refusal.reason, Reason::PermissionDenied);
    let writer = Caller::keyed(domain::TenantId::local(), "w", [serve::auth::Scope::WriteEvents]);
    for (caller, reason) in [(writer, Reason::PermissionDenied), (peer(), Reason::FieldInvalid)] {
        let events = vec![event_of(&mutation, &domain::TenantId::local())];
        let mut told = Box::pin(fixture.log.append_stream(&caller, stream::iter([sent(0, events)]), None));
        assert_eq!(told.next().await.unwrap().unwrap_err().reason, reason);
        assert!(told.next().await.is_none());
    }
    fixture.relay(&[mutation]).await;
}

#[tokio::test]
async fn a_stream_is_held_back_while_there_is_no_room_and_goes_on_then() {
    let fixture = Fixture::new();
    let full = fixture.log.journal.fill().await;
    let (mut client, stream) = mpsc::channel(0);
    let mut told = Box::pin(fixture.log.append_stream(&Caller::local(), stream, None));
    client.try_send(sent(0, vec![event("log")])).unwrap();
    assert!(told.next().now_or_never().is_none());
    // One is taken from the channel, and one may wait in it.
    client.try_send(sent(0, vec![event("log")])).unwrap();
    assert!(told.next().now_or_never().is_none());
    assert!(client.try_send(sent(0, vec![event("log")])).unwrap_err().is_full(), "no more is read");
    // Who does not stream is not held back by those who do.
    fixture.append(vec![event("log")]).await;
    drop(full);
    client.close_channel();
    for batch in [1, 2] {
        assert_eq!(told.next().await.unwrap().unwrap().batch, batch);
    }
}

#[tokio::test]
async fn a_stream_that_is_held_back_until_its_deadline_says_so() {
    let fixture = Fixture::new();
    let _full = fixture.log.journal.fill().await;
    let deadline = Some(Deadline::after(Duration::from_millis(50)));
    let stream = stream::iter([sent(3, vec![event("log")])]).chain(stream::pending());
    let mut told = Box::pin(fixture.log.append_stream(&Caller::local(), stream, deadline));
    let refusal = told.next().await.unwrap().unwrap_err();
    assert_eq!((refusal.reason, refusal.metadata["batch"].as_str()), (Reason::Overloaded, "3"));
}

#[tokio::test]
async fn there_are_so_many_streams_at_a_time() {
    let fixture = Fixture::new();
    let open = || Box::pin(fixture.log.append_stream(&Caller::local(), stream::pending(), None));
    let mut streams: Vec<_> = (0..MAX_STREAMS).map(|_| open()).collect();
    assert_eq!(open().next().await.unwrap().unwrap_err().reason, Reason::Overloaded);
    streams.pop();
    assert!(open().next().now_or_never().is_none());
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_stored_once_in_whatever_stream() {
    let mut fixture = Fixture::new();
    let events: Vec<_> = (0..3).map(|_| own(&fixture)).collect();
    let again = || sent(0, events.clone());
    let (told, _) = append(&fixture, vec![again(), again(), again()]).await;
    let duplicates: Vec<_> = told.iter().map(|told| told.appended.duplicates.len()).collect();
    assert_eq!(duplicates, [0, 3, 3]);
    for _ in 0..2 {
        let (told, _) = append(&fixture, vec![again()]).await;
        assert_eq!((told[0].appended.duplicates.len(), told[0].appended.end), (3, 3));
        fixture.flush(u64::MAX);
        fixture = fixture.reopened();
    }
}
