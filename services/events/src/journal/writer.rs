//! Owns the thread that writes: groups waiting appends, makes them durable, publishes them, answers.
//! Never acknowledges what is not on disk, and never trusts pages whose sync failed.

use std::{collections::HashSet, io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc, time::Instant};

use domain::Clock;
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::{
    AppendError, Appended, Batch, ENTRY_HEADER, Identity, RelayBatch, UlidKey, WINDOW,
    frame::{self, Header, RECORD_HEADER},
    recovery::Tail,
    segment::{self, SEGMENT_HEADER},
    window::Window,
};
use crate::index::{Entry, Index};

/// A group takes no further append beyond this: larger writes are not faster, and acknowledgements wait for them.
const GROUP_BYTES: usize = 8 << 20;

/// A batch that waits for the disk.
pub(super) struct Append {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its bytes of the queue.
    pub(super) room: OwnedSemaphorePermit,
}

impl Append {
    /// Answers it, its bytes of the queue free again: who is told may append the next at once.
    fn answered(self, answer: Result<Appended, AppendError>) {
        drop(self.room);
        // A caller who went away does not need the answer.
        let _ = self.answer.send(answer);
    }
}

pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) identity: Identity,
    pub(super) segment_bytes: u64,
    pub(super) clock: Clock,
    pub(super) tail: Tail,
    /// What must happen to the tail before the next write.
    pub(super) mend: Mend,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) window: Arc<Window>,
    pub(super) end: watch::Sender<u64>,
    pub(super) buffer: Vec<u8>,
}

/// What a failure asks for before the next write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mend {
    Nothing,
    /// A write failed: cut the segment to what is durable.
    Cut,
    /// A sync failed, and the pages of the segment cannot be trusted: cut it, and go on in a fresh one.
    Replace,
}

/// What one write and one sync make durable.
struct Group {
    now: i64,
    /// Of the last event that was taken in.
    intake: i64,
    end: u64,
    /// Each event, when it was taken in, the position of its entry, and its length.
    events: Vec<(Entry, i64, u32, u32)>,
    ulids: HashSet<(u32, u128, bool)>,
    batches: Vec<RelayBatch>,
    answers: Vec<Result<Appended, AppendError>>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut bytes = first.batch.len();
            let mut appends = vec![first];
            while bytes < GROUP_BYTES
                && let Ok(next) = waiting.try_recv()
            {
                bytes += next.batch.len();
                appends.push(next);
            }
            self.commit(appends);
        }
    }

    fn commit(&mut self, appends: Vec<Append>) {
        match self.store(&appends) {
            Ok(answers) => {
                for (append, answer) in appends.into_iter().zip(answers) {
                    append.answered(answer);
                }
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    appends = appends.len(),
                    "the journal refused appends"
                );
                metrics::counter!("annals_journal_refused_total").increment(appends.len() as u64);
                let error = AppendError::Unavailable(error.to_string().into());
                for append in appends {
                    append.answered(Err(error.clone()));
                }
                // At once, so that a full disk has this room back; the next append tries again.
                let _ = self.mend();
            }
        }
    }

    fn store(&mut self, appends: &[Append]) -> io::Result<Vec<Result<Appended, AppendError>>> {
        let bytes: usize = appends.iter().map(|append| append.batch.len()).sum();
        self.mend()?;
        if self.tail.synced > SEGMENT_HEADER && self.tail.synced + bytes as u64 > self.segment_bytes {
            self.begin_segment();
        }
        let group = self.gather(appends);
        if !self.buffer.is_empty() {
            self.write()?;
        }
        Ok(self.publish(group))
    }

    /// Brings the tail into a state that can be appended to.
    fn mend(&mut self) -> io::Result<()> {
        if self.mend == Mend::Nothing {
            return Ok(());
        }
        self.tail.file = Some(segment::cut(&segment::path_of(&self.dir, self.tail.first), self.tail.synced)?);
        if self.mend == Mend::Replace {
            self.begin_segment();
        }
        self.mend = Mend::Nothing;
        Ok(())
    }

    /// Goes on in a segment that is made together with its first records.
    fn begin_segment(&mut self) {
        self.tail = Tail { file: None, first: self.index.read().end(), synced: SEGMENT_HEADER };
    }

    /// Decides about each append and puts the records of those that are taken into the buffer.
    fn gather(&mut self, appends: &[Append]) -> Group {
        let index = self.index.read();
        let now = self.clock.now().millis();
        let events = appends.iter().map(|append| append.batch.entries.len()).sum();
        let mut group = Group {
            now,
            intake: index.last_intake().unwrap_or(i64::MIN),
            end: index.end(),
            events: Vec::with_capacity(events),
            ulids: HashSet::with_capacity(events),
            batches: Vec::new(),
            answers: Vec::with_capacity(appends.len()),
        };
        self.buffer.clear();
        for append in appends {
            let known = Known { index: &index, window: &self.window, oldest: now - WINDOW };
            let answer = group.add(&append.batch, &known, &mut self.buffer, self.tail.synced, self.identity.mark());
            group.answers.push(answer);
        }
        group
    }

    /// Makes the buffer durable.
    fn write(&mut self) -> io::Result<()> {
        let started = Instant::now();
        if let Some(file) = &self.tail.file {
            if let Err(error) = file.write_all_at(&self.buffer, self.tail.synced) {
                self.mend = Mend::Cut;
                return Err(error);
            }
            if let Err(error) = file.sync_data() {
                self.mend = Mend::Replace;
                return Err(error);
            }
        } else {
            let file = segment::create(&self.dir, self.identity, self.tail.first, &self.buffer);
            self.tail.file = Some(file.map_err(io::Error::other)?);
        }
        metrics::histogram!("annals_journal_sync_seconds").record(started.elapsed());
        metrics::gauge!("annals_journal_bytes").increment(self.buffer.len() as f64);
        self.tail.synced += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(GROUP_BYTES);
        Ok(())
    }

    /// Shows readers what is durable now.
    fn publish(&self, group: Group) -> Vec<Result<Appended, AppendError>> {
        let Group { now: _, intake: _, end, events, ulids: _, batches, answers } = group;
        metrics::counter!("annals_events_appended_total").increment(events.len() as u64);
        let mut index = self.index.write();
        index.begin_segment(self.tail.first);
        for (entry, intake, position, length) in events {
            index.push(entry, intake, position, length);
        }
        for batch in batches {
            index.took(batch);
        }
        drop(index);
        self.end.send_replace(end);
        answers
    }
}

impl Group {
    /// Takes a batch into the group, as one record of `buffer`, which will be written at `base` of the segment.
    fn add(
        &mut self,
        batch: &Batch,
        known: &Known<'_>,
        buffer: &mut Vec<u8>,
        base: u64,
        mark: u64,
    ) -> Result<Appended, AppendError> {
        if let Some(sent) = batch.relay {
            let pending = self.batches.iter().rev().find(|pending| pending.relay == sent.relay);
            let last = pending.map_or_else(|| known.index.last_batch(sent), |pending| pending.number);
            if sent.number <= last {
                // An old copy of the relay's database numbers other mutations as it did before: they are new.
                for (entry, _) in batch.events() {
                    if known.misses(entry)? && !self.ulids.contains(&identity_of(entry)) {
                        return Err(AppendError::Gap { batch: sent, last });
                    }
                }
                return Ok(Appended { end: self.end, duplicates: (0..batch.entries.len() as u32).collect() });
            }
            if sent.number > last + 1 {
                return Err(AppendError::Gap { batch: sent, last });
            }
            self.batches.push(sent);
        }
        // Intake never runs backwards, whatever the clock does.
        self.intake = self.intake.max(batch.intake.unwrap_or(self.now));
        let (first, start) = (self.end, buffer.len());
        buffer.resize(start + RECORD_HEADER, 0);
        let mut duplicates = Vec::new();
        for (place, (entry, bytes)) in batch.events().enumerate() {
            if known.has(entry)? || !self.ulids.insert(identity_of(entry)) {
                duplicates.push(place as u32);
                continue;
            }
            let position = base + buffer.len() as u64;
            self.events.push((*entry, self.intake, position as u32, (bytes.len() - ENTRY_HEADER) as u32));
            self.end += 1;
            buffer.extend_from_slice(bytes);
        }
        if self.end == first && batch.relay.is_none() {
            buffer.truncate(start);
        } else {
            let header = Header {
                first,
                position: base + start as u64,
                synced: base,
                intake: self.intake,
                relay: batch.relay,
                events: (self.end - first) as u32,
            };
            frame::seal(buffer, start, mark, &header);
        }
        Ok(Appended { end: self.end, duplicates })
    }
}

fn identity_of(entry: &Entry) -> (u32, u128, bool) {
    (entry.tenant.0, entry.ulid.0, entry.is_mutation())
}

/// Which events are there already.
struct Known<'a> {
    index: &'a Index,
    window: &'a Window,
    /// Time in milliseconds from which on the window has every ULID.
    oldest: i64,
}

impl Known<'_> {
    fn has(&self, entry: &Entry) -> Result<bool, AppendError> {
        if self.index.has(entry) {
            return Ok(true);
        }
        let key = UlidKey::new(entry.ulid, self.index.fingerprint(entry.tenant), entry.is_mutation());
        self.window.has(&key).map_err(|error| AppendError::Unavailable(error.to_string().into()))
    }

    /// Whether an event would be there if it ever had been, and is not.
    fn misses(&self, entry: &Entry) -> Result<bool, AppendError> {
        Ok(entry.ulid.timestamp_ms() as i64 >= self.oldest && !self.has(entry)?)
    }
}

#[cfg(test)]
#[path = "writer_test.rs"]
mod tests;
