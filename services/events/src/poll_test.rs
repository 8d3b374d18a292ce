//! Readers that poll while events are appended, archived, merged and let go of: what was acknowledged before a read is
//! in it, and nothing is in it twice.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use domain::{EntityKind, TenantId, Visibility};
use futures::StreamExt as _;
use serve::auth::Caller;
use tokio_util::sync::CancellationToken;

use crate::{
    EventLog,
    archive::Table,
    filter::Filter,
    fixture::{Fixture, after, entity, event, event_of, peer, thing},
    history::History,
    index::Order,
    journal::RelayBatch,
    query::Query,
    subscribe::Start,
};

const APPENDS: u64 = 300;
const NAME: &str = "onet/a";
/// Three appends.
const FLUSH_BYTES: u64 = 3_000;

/// What has been acknowledged, in commit order.
#[derive(Default)]
struct Acknowledged {
    events: Mutex<Vec<String>>,
    mutations: Mutex<Vec<String>>,
    is_all: AtomicBool,
}

/// Ends the others, also when a check fails.
struct Ends<'a>(&'a Acknowledged);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.is_all.store(true, Ordering::SeqCst);
    }
}

impl Acknowledged {
    /// Appends of everything, one after the other: events, and a mutation of a name.
    async fn fill(&self, fixture: &Fixture) {
        let _ends = Ends(self);
        let (mut before, tenant) = (None, TenantId::local());
        for number in 1..=APPENDS {
            let events = (0..5).map(|_| event("log")).collect();
            let ulids = fixture.log.append(&Caller::local(), events).await.unwrap().ulids;
            self.events.lock().unwrap().extend(ulids.iter().map(ToString::to_string));
            let mutation = fixture.put(before.as_ref(), thing(NAME, Visibility::Public, &number.to_string()));
            before = Some(after(&mutation));
            let batch = RelayBatch { relay: ulid::Ulid(9), number };
            fixture.log.append_relayed(&peer(), batch, vec![event_of(&mutation, &tenant)]).await.unwrap();
            self.events.lock().unwrap().push(mutation.ulid.to_string());
            self.mutations.lock().unwrap().push(mutation.ulid.to_string());
        }
    }

    /// Reads again and again, until after the last acknowledgement; what each read must begin with is acknowledged
    /// before it starts. Answers how often it has read.
    async fn compare(&self, known: &Mutex<Vec<String>>, mut read: impl AsyncFnMut() -> Vec<String>) -> usize {
        for rounds in 1.. {
            let is_last = self.is_all.load(Ordering::SeqCst);
            let known = known.lock().unwrap().clone();
            let seen = read().await;
            assert!(seen.len() >= known.len(), "{} of {} are seen", seen.len(), known.len());
            assert_eq!(seen[..known.len()], known);
            let mut once = seen.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), seen.len(), "some are seen twice");
            if is_last {
                return rounds;
            }
            tokio::task::yield_now().await;
        }
        unreachable!("it ends with the last")
    }
}

async fn queried(log: &Arc<EventLog>, order: Order) -> Vec<String> {
    let (mut seen, mut position) = (Vec::new(), None);
    loop {
        let query = Query { filter: Filter::default(), order, page_size: 64, position };
        let page = log.query(&Caller::local(), query).await.unwrap();
        seen.extend(page.events.into_iter().map(|event| event.ulid));
        if page.next.is_none() {
            break;
        }
        position = page.next;
    }
    if order == Order::NewestFirst {
        seen.reverse();
    }
    seen
}

fn history(log: &EventLog) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let history = History { entity: entity(EntityKind::Thing, NAME), page_size: 64, after };
        let Ok(page) = log.history(&Caller::local(), &history) else { return seen };
        seen.extend(page.mutations.iter().map(|mutation| mutation.ulid.to_string()));
        if page.next.is_none() {
            return seen;
        }
        after = page.next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_reads_meanwhile_misses_nothing_and_sees_nothing_twice() {
    let (fixture, acknowledged) = (Fixture::new(), Acknowledged::default());
    let (flushes, merges) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let keep_up = || {
        while !acknowledged.is_all.load(Ordering::SeqCst) {
            let before = fixture.log.archive.view().position();
            fixture.flush(FLUSH_BYTES);
            flushes.fetch_add(usize::from(fixture.log.archive.view().position() > before), Ordering::SeqCst);
            let files = || Table::ALL.map(|table| fixture.log.archive.view().table(table).files.len());
            let before = files();
            fixture.keep_up();
            merges.fetch_add(usize::from(files() < before), Ordering::SeqCst);
        }
    };
    let follow = async {
        let draining = CancellationToken::new();
        let local = Caller::local();
        let signs = fixture.log.subscribe(&local, Filter::default(), &Start::Beginning, draining).unwrap();
        let events = signs.filter_map(async |sign| sign.unwrap().event.map(|event| event.ulid));
        events.take(APPENDS as usize * 6).collect::<Vec<_>>().await
    };
    let work = async {
        let Acknowledged { events, mutations, .. } = &acknowledged;
        tokio::join!(
            acknowledged.fill(&fixture),
            acknowledged.compare(events, || queried(&fixture.log, Order::OldestFirst)),
            acknowledged.compare(events, || queried(&fixture.log, Order::NewestFirst)),
            acknowledged.compare(mutations, async || tokio::task::block_in_place(|| history(&fixture.log))),
            follow,
        )
    };
    let ((), oldest_first, newest_first, histories, followed) = thread::scope(|scope| {
        scope.spawn(keep_up);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
    });
    assert_eq!(followed, *acknowledged.events.lock().unwrap());
    let done = [flushes.into_inner(), merges.into_inner(), oldest_first, newest_first, histories];
    assert!(done.iter().all(|count| *count > 5), "flushes, merges and reads of each kind: {done:?}");
}
