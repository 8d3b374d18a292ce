//! Adopting and draining: an archive goes on with another journal, and nothing is lost, doubled or passed over.

use std::{os::unix::fs::symlink, sync::Arc};

use domain::{Cursor, EntityKind, Mutation, Visibility};
use proto::{common::v1::Reason, convert::NewEvent};
use serve::Caller;

use super::*;
use crate::{
    adopt::{Adopted, adopt},
    archive::{self, Handover, Incoming},
    filter::{Filter, Page},
    fixture::{Closed, Fixture, RELAY, SETTINGS, after, apart, entity, event, event_of, here, peer, thing},
    history::History,
    index::Order,
    journal::Vacant,
};

/// A log whose journal is not in its place any more.
struct Bereft {
    closed: Closed,
    old: PathBuf,
}

impl Bereft {
    fn of(closed: Closed) -> Self {
        let old = closed.dir.path().join("old");
        std::fs::rename(closed.dir.path().join("journal"), &old).unwrap();
        Self { closed, old }
    }

    fn adopt(&self, is_lost: bool) -> Result<Adopted, OpenError> {
        apart(|runtime| adopt(self.closed.dir.path(), &here(), is_lost, &self.closed.clock, runtime))
    }

    fn drain(&self) -> Result<Drained, Error> {
        let dir = self.closed.dir.path();
        apart(|runtime| drain((dir, &here()), &self.old, SETTINGS, &self.closed.clock, runtime, |_| {}))
    }

    fn open(&self) -> Result<EventLog, OpenError> {
        let (dir, clock) = (self.closed.dir.path(), self.closed.clock.clone());
        apart(|runtime| EventLog::open(dir, SETTINGS, &here(), clock, runtime.clone()))
    }
}

fn own(fixture: &Fixture) -> NewEvent {
    NewEvent { ulid: Some(fixture.clock.ulid()), ..event("log") }
}

/// Every event, but for which flush brought it into the archive.
fn all(log: &EventLog) -> Vec<Event> {
    let end = log.index().end();
    let mut page = Page::new(10_000, usize::MAX);
    let mut rest = 0..end;
    while !rest.is_empty() {
        rest = log.step(&Caller::local(), &Filter::default(), rest, Order::OldestFirst, &mut page).unwrap();
    }
    page.events.into_iter().map(|(_, event)| Event { pipeline_batch_id: 0, ..event }).collect()
}

fn history(log: &EventLog, name: &str) -> Vec<Mutation> {
    let history = History { entity: entity(EntityKind::Thing, name), page_size: 100, after: None };
    log.history(&Caller::local(), &history).unwrap().mutations
}

/// Puts the newest events into the first table only, as a kill between two commits leaves them.
fn half_flush(fixture: &Fixture) {
    let log = &fixture.log;
    let (position, end) = (log.archive.view().position(), log.index().end());
    let mut reader = log.journal.reader();
    let mut incoming = Incoming::default();
    for offset in position..end {
        let location = log.index().locate(offset);
        incoming.push(crate::log::read(&mut reader, location).unwrap()).unwrap();
    }
    incoming.complete().unwrap();
    log.archive.append(Table::Events, &incoming, end).unwrap();
}

/// A log with events in the archive, in one table of it, and in the journal alone; and a name with a mutation in each.
async fn furnished() -> (Fixture, Vec<NewEvent>, Vec<Mutation>) {
    let mut fixture = Fixture::new();
    let (mut events, mut mutations): (Vec<NewEvent>, Vec<Mutation>) = (Vec::new(), Vec::new());
    for part in 0..3 {
        let fresh: Vec<_> = (0..3).map(|_| own(&fixture)).collect();
        fixture.append(fresh.clone()).await;
        events.extend(fresh);
        let before = mutations.last().map(after);
        let mutation = fixture.put(before.as_ref(), thing("a/b", Visibility::Public, &part.to_string()));
        fixture.relay(std::slice::from_ref(&mutation)).await;
        mutations.push(mutation);
        match part {
            0 => fixture.flush(u64::MAX),
            1 => half_flush(&fixture),
            _ => {}
        }
    }
    (fixture, events, mutations)
}

#[tokio::test]
async fn after_adopt_and_drain_everything_is_where_it_was() {
    let (fixture, events, mutations) = furnished().await;
    let (before, end) = (all(&fixture.log), fixture.log.cursor(fixture.log.index().end()));
    let bereft = Bereft::of(fixture.closed());
    let refusal = format!("{:?}", bereft.open().err().unwrap());
    assert!(refusal.contains("Mismatch"), "{refusal}");
    for _ in 0..2 {
        let adopted = bereft.adopt(false).unwrap();
        assert_eq!((adopted.epoch, adopted.position, adopted.awaits_drain), (2, 8, true));
        assert!(matches!(bereft.open(), Err(OpenError::AwaitsDrain { .. })));
    }
    bereft.closed.clock.advance(10_000);
    let drained = bereft.drain().unwrap();
    assert_eq!((drained.found, drained.appended, drained.known, drained.left_out), (4, 4, 0, 0));

    let fixture = bereft.closed.opened();
    assert_eq!(all(&fixture.log), before);
    assert_eq!(history(&fixture.log, "a/b"), mutations);
    // A cursor of the old journal holds to its end, and no further.
    assert_eq!(fixture.log.offset_of("cursor", &end.to_string()), Ok(end.offset));
    let beyond = Cursor { offset: end.offset + 1, ..end }.to_string();
    let refusal = fixture.log.offset_of("cursor", &beyond).unwrap_err();
    assert_eq!((refusal.reason, refusal.metadata["resume"].as_str()), (Reason::CursorInvalid, "c2-c"));
    // What was stored is known, wherever it was; and the new journal goes on.
    let stored = fixture.log.append(&Caller::local(), events.clone()).await.unwrap();
    assert_eq!(stored.appended.duplicates.len(), events.len());
    fixture.append(vec![event("log")]).await;
    let end = fixture.log.index().end();
    assert_eq!(fixture.log.cursor(end).to_string(), "c2-d");
    fixture.flush(u64::MAX);
    fixture.keep_up();
    assert_eq!(all(&fixture.log).len(), before.len() + 1);
}

#[tokio::test]
async fn a_relay_goes_on_where_it_was() {
    let (fixture, _, mutations) = furnished().await;
    let bereft = Bereft::of(fixture.closed());
    bereft.adopt(false).unwrap();
    bereft.drain().unwrap();
    let mut fixture = bereft.closed.opened();
    // The answer to the last batch may have been lost.
    let last = mutations.last().unwrap();
    let batch = RelayBatch { relay: RELAY, number: 3 };
    let events = vec![event_of(last, &TenantId::local())];
    let again = fixture.log.append_relayed(&peer(), batch, events).await.unwrap();
    assert_eq!(again.appended.duplicates, [0]);
    let next = fixture.put(Some(&after(last)), thing("a/b", Visibility::Public, "next"));
    let batch = RelayBatch { relay: RELAY, number: 5 };
    let events = vec![event_of(&next, &TenantId::local())];
    let refusal = fixture.log.append_relayed(&peer(), batch, events).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.metadata["last_batch"].as_str()), (Reason::RelayGap, "3"));
    fixture.relay(&[next]).await;
    assert_eq!(history(&fixture.log, "a/b").len(), 4);
}

#[tokio::test]
async fn a_drain_that_is_repeated_appends_nothing() {
    let (fixture, ..) = furnished().await;
    let before = all(&fixture.log);
    let bereft = Bereft::of(fixture.closed());
    bereft.adopt(false).unwrap();
    bereft.drain().unwrap();
    for later in [0, 25 * 3_600_000] {
        bereft.closed.clock.advance(later);
        let drained = bereft.drain().unwrap();
        assert_eq!((drained.found, drained.appended, drained.known), (4, 0, 4));
        let log = bereft.open().unwrap();
        apart(|_| log.flush(u64::MAX).unwrap());
    }
    assert_eq!(all(&bereft.open().unwrap()), before);
}

#[tokio::test]
async fn a_kill_between_the_steps_is_made_good_by_the_next_try() {
    let (fixture, _, mutations) = furnished().await;
    let before = all(&fixture.log);
    let bereft = Bereft::of(fixture.closed());
    let dir = bereft.closed.dir.path();
    // Killed when one table was taken.
    let clock = bereft.closed.clock.clone();
    apart(|runtime| {
        let mut journal = Vacant::open(&dir.join("journal"), &clock).unwrap();
        let handover = Handover::open(dir, &here(), journal.identity(), clock.clone(), runtime.clone()).unwrap();
        let terms = handover.terms(journal.identity().id).unwrap().unwrap();
        journal.begin(terms.epoch, terms.position, Standing::AwaitsDrain).unwrap();
        handover.take_one(Table::Events, journal.identity(), &terms).unwrap();
    });
    assert!(bereft.open().is_err());
    assert_eq!(bereft.adopt(false).unwrap().epoch, 2);
    // Killed in the middle of the drain: some are here, and the journal still waits.
    apart(|runtime| {
        let log = EventLog::open_to_drain(dir, SETTINGS, &here(), clock.clone(), runtime.clone()).unwrap();
        let old = Old::open(&bereft.old).unwrap();
        let mut drain = Drain { log: &log, is_first: true, batch: Batch::new(None), drained: Drained::default() };
        let location = old.locate(8);
        let event = log::read(&mut old.reader(), location).unwrap();
        drain.add(location.intake.millis(), event).unwrap();
        drain.append(runtime, 9).unwrap();
    });
    assert!(matches!(bereft.open(), Err(OpenError::AwaitsDrain { .. })));
    let drained = bereft.drain().unwrap();
    assert_eq!((drained.appended, drained.known), (3, 1));
    let fixture = bereft.closed.opened();
    assert_eq!(all(&fixture.log), before);
    assert_eq!(history(&fixture.log, "a/b"), mutations);
}

#[tokio::test]
async fn without_the_old_journal_what_is_lost_is_told_and_relays_go_on() {
    let (fixture, events, mutations) = furnished().await;
    let bereft = Bereft::of(fixture.closed());
    bereft.adopt(false).unwrap();
    let adopted = bereft.adopt(true).unwrap();
    assert_eq!((adopted.epoch, adopted.awaits_drain), (2, false));
    let Bereft { closed, old } = bereft;
    let fixture = closed.opened();
    assert_eq!(all(&fixture.log).len(), 8);
    // A cursor that was past what is here is refused, and says where to go on.
    assert_eq!(fixture.log.offset_of("cursor", "c1-8"), Ok(8));
    let refusal = fixture.log.offset_of("cursor", "c1-9").unwrap_err();
    assert_eq!((refusal.reason, refusal.metadata["resume"].as_str()), (Reason::CursorInvalid, "c2-8"));
    // What was archived is known.
    let stored = fixture.log.append(&Caller::local(), events[..6].to_vec()).await.unwrap();
    assert_eq!(stored.appended.duplicates.len(), 6);
    // The first batch is taken as it comes, then without a gap.
    let next = fixture.put(Some(&after(&mutations[2])), thing("a/b", Visibility::Public, "next"));
    let relay = async |fixture: &Fixture, number, mutation: &Mutation| {
        let events = vec![event_of(mutation, &TenantId::local())];
        fixture.log.append_relayed(&peer(), RelayBatch { relay: RELAY, number }, events).await
    };
    relay(&fixture, 17, &next).await.unwrap();
    let gap = fixture.put(Some(&after(&next)), thing("a/b", Visibility::Public, "gap"));
    assert_eq!(relay(&fixture, 19, &gap).await.unwrap_err().reason, Reason::RelayGap);
    relay(&fixture, 18, &gap).await.unwrap();

    // It turns up after all: what still has a place comes, and a history stays in order.
    let bereft = Bereft { closed: fixture.closed(), old };
    let drained = bereft.drain().unwrap();
    assert_eq!((drained.found, drained.appended, drained.left_out), (4, 3, 1));
    let fixture = bereft.closed.opened();
    let ulids: Vec<_> = history(&fixture.log, "a/b").iter().map(|mutation| mutation.ulid).collect();
    assert_eq!(ulids, [&mutations[0], &mutations[1], &next, &gap].map(|mutation| mutation.ulid));
    assert_eq!(all(&fixture.log).len(), 8 + 2 + 3);
}

#[tokio::test]
async fn an_old_writer_that_wakes_up_changes_nothing_and_says_so() {
    let (old, ..) = furnished().await;
    let before = all(&old.log);
    let place = tempfile::tempdir().unwrap();
    for part in ["archive", "catalog.db"] {
        symlink(old.path().join(part), place.path().join(part)).unwrap();
    }
    // It is at work all the time, so only what is archived can be had.
    let adopted = apart(|runtime| adopt(place.path(), &here(), true, &old.clock, runtime)).unwrap();
    assert_eq!((adopted.epoch, adopted.position), (2, 8));
    let new =
        apart(|runtime| EventLog::open(place.path(), SETTINGS, &here(), old.clock.clone(), runtime.clone())).unwrap();
    let new = Arc::new(new);
    new.append(&Caller::local(), vec![event("log")]).await.unwrap();
    apart(|_| new.flush(u64::MAX).unwrap());

    let owned = || apart(|_| old.log.archive.check_owner());
    assert!(matches!(owned(), Err(archive::Error::Mismatch { .. })));
    let flushed = apart(|_| old.log.flush(u64::MAX));
    assert!(matches!(flushed, Err(crate::flush::Error::Archive(archive::Error::Mismatch { .. }))), "{flushed:?}");
    for table in Table::ALL {
        apart(|_| old.log.archive.expire(table, i64::MAX)).unwrap_err();
    }
    assert_eq!(all(&new)[..8], before[..8]);
    assert_eq!(all(&new).len(), 9);
    for table in Table::ALL {
        assert_eq!(apart(|_| new.archive.verify(table)).unwrap(), [""; 0]);
    }

    old.log.superseded(&owned().unwrap_err());
    let refusal = old.log.append(&Caller::local(), vec![event("log")]).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::JournalMismatch);
    assert!(!old.log.readiness.is_ready());
}

#[tokio::test]
async fn what_is_no_old_journal_of_the_archive_is_refused() {
    let (fixture, ..) = furnished().await;
    let bereft = Bereft::of(fixture.closed());
    // Not adopted yet; then a stranger's; then one that is in use.
    assert!(matches!(bereft.drain(), Err(Error::Open(OpenError::Archive(_)))));
    bereft.adopt(false).unwrap();
    let stranger = Fixture::new();
    stranger.append(vec![event("log")]).await;
    let stranger = stranger.closed();
    let from = |from: &Path| {
        let (dir, clock) = (bereft.closed.dir.path(), &bereft.closed.clock);
        apart(|runtime| drain((dir, &here()), from, SETTINGS, clock, runtime, |_| {}))
    };
    assert!(matches!(from(stranger.dir.path()), Err(Error::Unknown { .. })));
    let lock = std::fs::File::open(bereft.old.join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(bereft.drain(), Err(Error::Open(OpenError::Locked { .. }))));
    drop(lock);
    // A journal with events of its own cannot take over.
    let own = tempfile::tempdir().unwrap();
    for part in ["archive", "catalog.db"] {
        symlink(bereft.closed.dir.path().join(part), own.path().join(part)).unwrap();
    }
    std::fs::rename(stranger.dir.path().join("journal"), own.path().join("journal")).unwrap();
    let refused = apart(|runtime| adopt(own.path(), &here(), false, &bereft.closed.clock, runtime));
    assert!(matches!(refused, Err(OpenError::NotEmpty { .. })), "{refused:?}");
    bereft.drain().unwrap();
}
