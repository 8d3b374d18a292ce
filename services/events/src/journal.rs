//! The durable, ordered front of the event log: what an append is acknowledged by.
//!
//! Owns the directory `journal/`: segment files, the identity of the journal and the lock on it. One thread writes;
//! it drains all waiting appends into one write and one fdatasync, publishes them to the index and acknowledges.
//! Never decides what an event may say.

mod error;
mod frame;
mod identity;
mod reader;
mod recovery;
mod relays;
mod segment;
mod takeover;
mod window;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread,
};

use domain::Clock;
use parking_lot::RwLock;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

pub use self::error::OpenError;
pub(crate) use self::{
    error::AppendError,
    frame::RelayBatch,
    identity::Identity,
    reader::Reader,
    takeover::{Old, Standing, Vacant},
    window::{UlidKey, WINDOW, Window},
};
use self::{
    frame::{ENTRY_HEADER, push_entry},
    writer::{Append, Mend, Writer},
};
use crate::{
    disk,
    index::{Entry, Index},
};

/// Appends that wait at the same time; each also takes its bytes of the queue, so this bounds small ones only.
const QUEUE: usize = 4_096;

/// Batches of streams that wait at the same time: the other half is for single appends, which do not wait for room.
const STREAMED: usize = QUEUE / 2;

/// Events that the index holds, about 320 MiB. While the archive is away the journal takes no more than these.
const MAX_EVENTS: u64 = 4_000_000;

/// Events for which the index is held at a time by long work, in a slow turn of a niced thread for a millisecond: appends
/// wait for it.
pub(crate) const STEP: u64 = 1_024;

/// How the journal is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// A segment is closed before it grows past this, unless one group of appends alone is larger.
    pub(crate) segment_bytes: u64,
    /// Bytes of appends that may wait for the disk.
    pub(crate) queue_bytes: usize,
}

/// A journal that is open in this process.
pub(crate) struct Journal {
    dir: PathBuf,
    identity: Identity,
    standing: Standing,
    /// Why nothing may be appended any more: another journal has taken over.
    superseded: OnceLock<Arc<str>>,
    index: Arc<RwLock<Index>>,
    window: Arc<Window>,
    clock: Clock,
    end: watch::Receiver<u64>,
    room: Arc<Semaphore>,
    /// The half of the queue's bytes that streams may take.
    streams: Arc<Semaphore>,
    /// Told whenever events have left the index.
    emptied: Notify,
    queue_bytes: usize,
    queue: Option<mpsc::Sender<Append>>,
    writer: Option<thread::JoinHandle<()>>,
    _lock: fs::File,
}

/// Events that are stored together, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    relay: Option<RelayBatch>,
    /// When its events were taken in, in milliseconds, if not now; later if later ones are here already.
    pub(crate) intake: Option<i64>,
    /// What the index keeps of each event, and where its entry ends in `bytes`.
    entries: Vec<(Entry, usize)>,
    bytes: Vec<u8>,
}

/// That a batch is on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Appended {
    /// Offset after the last of its events.
    pub(crate) end: u64,
    /// Which of its events were there before, by their place in the batch.
    pub(crate) duplicates: Vec<u32>,
}

/// A batch that waits for the disk.
pub(crate) struct UnderWay {
    answered: oneshot::Receiver<Result<Appended, AppendError>>,
    /// Its bytes of what streams may take.
    _room: OwnedSemaphorePermit,
}

impl Batch {
    /// No events yet, from a relay or from a client.
    pub(crate) fn new(relay: Option<RelayBatch>) -> Self {
        Self { relay, ..Self::default() }
    }

    /// Adds an event, which `encode` writes.
    pub(crate) fn push(&mut self, entry: Entry, encode: impl FnOnce(&mut Vec<u8>)) {
        push_entry(&mut self.bytes, encode);
        self.entries.push((entry, self.bytes.len()));
    }

    /// How many events it has.
    pub(crate) fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether an event of this intake may be added, to at most so many events and bytes.
    pub(crate) fn takes(&self, intake: i64, max_events: usize, max_bytes: usize) -> bool {
        let is_room = self.entries.len() < max_events && self.bytes.len() < max_bytes;
        self.entries.is_empty() || is_room && self.intake == Some(intake)
    }

    /// Bytes that it takes in the queue and on disk.
    pub(crate) fn len(&self) -> usize {
        frame::RECORD_HEADER + self.bytes.len()
    }

    /// Each event: what the index keeps of it, and its entry.
    fn events(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |(entry, end)| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            (entry, bytes)
        })
    }
}

impl Journal {
    /// Opens the journal in `dir`, made if it is not there: takes the lock, reads every record into the index,
    /// cuts a torn tail (and says so in the log), refuses other damage.
    pub(crate) fn open(dir: &Path, settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        let window = dir.join("window");
        fs::create_dir_all(&window).map_err(OpenError::io(&window))?;
        let lock = identity::lock(dir)?;
        let firsts = segment::list(dir)?;
        let (identity, standing) = Identity::open(dir, &clock, !firsts.is_empty())?;
        disk::sync_dir(dir).map_err(OpenError::io(dir))?;
        disk::sync_ancestors(dir).map_err(OpenError::io(dir))?;
        let window = Arc::new(Window::open(&window).map_err(OpenError::io(&window))?);
        let mut index = Index::default();
        index.takes_any_relay(standing == Standing::RelaysUnknown);
        for batch in relays::read(dir)? {
            index.took(batch);
        }
        let tail = recovery::recover(dir, identity, &firsts, &mut index)?;
        let (published, end) = watch::channel(index.end());
        let index = Arc::new(RwLock::new(index));
        let writer = Writer {
            dir: dir.to_owned(),
            identity,
            segment_bytes: settings.segment_bytes,
            clock: clock.clone(),
            tail,
            mend: Mend::Nothing,
            index: Arc::clone(&index),
            window: Arc::clone(&window),
            end: published,
            buffer: Vec::new(),
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(waiting))
            .map_err(OpenError::io(dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            standing,
            superseded: OnceLock::new(),
            index,
            window,
            clock,
            end,
            room: Arc::new(Semaphore::new(settings.queue_bytes)),
            streams: Arc::new(Semaphore::new(settings.queue_bytes / 2)),
            emptied: Notify::new(),
            queue_bytes: settings.queue_bytes,
            queue: Some(queue),
            writer: Some(writer),
            _lock: lock,
        })
    }

    /// Stores a batch. When it returns, the batch is on disk and in the index.
    pub(crate) async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        self.check_superseded()?;
        if self.index.read().len() >= MAX_EVENTS {
            return Err(AppendError::Full);
        }
        // A batch larger than the whole queue gets in when nothing else waits.
        let bytes = batch.len().min(self.queue_bytes) as u32;
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return Err(AppendError::Full);
        };
        let (answer, answered) = oneshot::channel();
        match self.queue().try_send(Append { batch, answer, room }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(AppendError::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(stopped()),
        }
        self.tell_queue();
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Takes a batch of a stream as soon as there is room for it: in the part of the queue that streams have, in the
    /// queue, and in the index. Dropped before, it was not taken.
    pub(crate) async fn enter(&self, batch: Batch) -> Result<UnderWay, AppendError> {
        self.check_superseded()?;
        loop {
            // Before the look, so that no telling is missed.
            let emptied = self.emptied.notified();
            if self.index.read().len() < MAX_EVENTS {
                break;
            }
            emptied.await;
        }
        let part = self.queue_bytes / 2;
        // Small ones take as much as bounds their number.
        let bytes = batch.len().clamp(part.div_ceil(STREAMED), part) as u32;
        let streamed = Arc::clone(&self.streams).acquire_many_owned(bytes).await.map_err(|_| stopped())?;
        let bytes = batch.len().min(self.queue_bytes) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| stopped())?;
        let (answer, answered) = oneshot::channel();
        self.queue().send(Append { batch, answer, room }).await.map_err(|_| stopped())?;
        self.tell_queue();
        Ok(UnderWay { answered, _room: streamed })
    }

    /// Takes no more appends: another journal feeds the archive now.
    pub(crate) fn supersede(&self, why: &str) {
        self.superseded.get_or_init(|| why.into());
    }

    fn check_superseded(&self) -> Result<(), AppendError> {
        self.superseded.get().map_or(Ok(()), |why| Err(AppendError::Superseded(Arc::clone(why))))
    }

    /// What is known of what it took over.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Notes that everything that it took over is here, durably. At its next opening it stands so.
    pub(crate) fn settle(&self) -> Result<(), OpenError> {
        self.identity.write(&self.dir, Standing::Whole)
    }

    /// Remembers, durably, the last batches that another journal took from relays.
    pub(crate) fn merge_relays(&self, batches: impl IntoIterator<Item = RelayBatch>) -> io::Result<()> {
        let mut index = self.index.write();
        batches.into_iter().for_each(|batch| index.took(batch));
        relays::write(&self.dir, index.relays())
    }

    /// Takes all the room that streams have, as long as it is held.
    #[cfg(test)]
    pub(crate) async fn fill(&self) -> OwnedSemaphorePermit {
        let all = (self.queue_bytes / 2) as u32;
        Arc::clone(&self.streams).acquire_many_owned(all).await.expect("it is not closed")
    }

    fn queue(&self) -> &mpsc::Sender<Append> {
        self.queue.as_ref().expect("the queue is closed by drop only")
    }

    fn tell_queue(&self) {
        metrics::gauge!("annals_journal_queue_bytes").set((self.queue_bytes - self.room.available_permits()) as f64);
    }

    /// Gives up everything before `offset`, which is durable elsewhere: remembers the ULIDs that may be sent again and
    /// the relays' numbers, drops the events from the index, removes the files that have no others. Blocks.
    ///
    /// Files that a power cut gives back are removed at the next start: the archive knows better.
    pub(crate) fn cut(&self, offset: u64) -> io::Result<()> {
        let (mut next, mut keys) = (self.index.read().beginning(), Vec::new());
        while next < offset {
            let step = next..offset.min(next + STEP);
            next = step.end;
            keys.extend(self.index.read().identities(step));
        }
        self.window.add(keys, self.clock.now())?;
        while self.index.write().drop_before(offset, STEP) {}
        self.emptied.notify_waiters();
        // What is unfinished there is the writer's, which may be about to give it its name.
        let firsts = segment::firsts(&self.dir).map_err(io::Error::other)?;
        let whole = firsts.windows(2).take_while(|firsts| firsts[1] <= offset).map(|firsts| firsts[0]);
        let whole: Vec<_> = whole.collect();
        if whole.is_empty() {
            return Ok(());
        }
        // Not while it is held: that takes two syncs.
        let relays = self.index.read().relays().clone();
        relays::write(&self.dir, &relays)?;
        for first in whole {
            let path = segment::path_of(&self.dir, first);
            let bytes = fs::metadata(&path)?.len();
            fs::remove_file(&path)?;
            metrics::gauge!("annals_journal_bytes").decrement(bytes as f64);
        }
        Ok(())
    }

    /// The ULIDs of events that have left the index.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// Which journal this is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Where the events are.
    pub(crate) fn index(&self) -> &RwLock<Index> {
        &self.index
    }

    /// The offset after the last event that is on disk and in the index, as it moves.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.end.clone()
    }

    /// Reads events by their location. Blocks.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(&self.dir)
    }
}

impl UnderWay {
    /// Returns when the batch is on disk and in the index, or refused.
    pub(crate) async fn stored(self) -> Result<Appended, AppendError> {
        self.answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Journal {
    /// What waits is still written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

fn stopped() -> AppendError {
    AppendError::Unavailable("its writer has stopped".into())
}

#[cfg(test)]
mod recovery_test;
