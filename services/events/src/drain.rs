//! Appends what only an old journal has, after another one took over from it: each event once, however often it is done.
//! Never changes the old journal.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use domain::{Clock, TenantId, Timestamp, parse_ulid};
use proto::{convert::timestamp_to_wire, events::v1::Event};
use serve::refusal::Refusal;
use tokio::runtime::Handle;
use ulid::Ulid;

use crate::{
    EventLog,
    archive::{Site, Table},
    journal::{Batch, Identity, Old, OpenError, RelayBatch, Settings, Standing, WINDOW},
    log,
    past::Past,
};

/// Events and bytes of one append; more are not faster.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;

/// What a drain has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Drained {
    /// Events that the old journal has and that were not archived when it was taken over from.
    pub found: u64,
    /// Of these, how many were looked at.
    pub seen: u64,
    /// Of these, how many were appended now.
    pub appended: u64,
    /// How many were here already.
    pub known: u64,
    /// How many are mutations of names whose history has gone on meanwhile, and so were left out.
    pub left_out: u64,
}

/// Why a drain ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A journal could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not a journal that this archive was fed by before.
    #[error(
        "the journal in {path} ({id} epoch {epoch}) is none that another one took over from here: \
         name the directory of the old journal, after `annals archive adopt`"
    )]
    Unknown {
        /// Its directory.
        path: PathBuf,
        /// Its id.
        id: String,
        /// Its epoch.
        epoch: u64,
    },
    /// Events are missing between the archive and the old journal, or at its end.
    #[error(
        "the journal in {path} has {} to {}, and the archive had everything before {archived} when another journal took \
         over: it is an old copy, or not whole", offsets.start, offsets.end
    )]
    Gap {
        /// Its directory.
        path: PathBuf,
        /// What it has.
        offsets: Range<u64>,
        /// Where the archive ended when it was taken over from.
        archived: u64,
    },
    /// An event could not be read or appended.
    #[error("event {offset} of the old journal: {problem}")]
    Event {
        /// Its offset there.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// What was drained could not be noted.
    #[error("the drain cannot be completed")]
    Complete(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Appends the events of the old journal in or below `from` to the log in `dir`, which no process may have; tells
/// `progress` after each append. Blocks.
pub(crate) fn drain(
    (dir, site): (&Path, &Site),
    from: &Path,
    settings: Settings,
    clock: &Clock,
    runtime: &Handle,
    mut progress: impl FnMut(&Drained),
) -> Result<Drained, Error> {
    let path = journal_in(from);
    let old = Old::open(&path)?;
    let log = EventLog::open_to_drain(dir, settings, site, clock.clone(), runtime.clone())?;
    let Identity { id, epoch } = old.identity();
    let Some(takeover) = log.archive.takeovers().find(old.identity()).copied() else {
        return Err(Error::Unknown { path, id: id.to_string(), epoch });
    };
    let offsets = old.offsets();
    if !(offsets.start..=offsets.end).contains(&takeover.archived) {
        return Err(Error::Gap { path, offsets, archived: takeover.archived });
    }
    let is_first = log.journal.standing() == Standing::AwaitsDrain;
    let mut drain = Drain { log: &log, is_first, batch: Batch::new(None), drained: Drained::default() };
    drain.drained.found = offsets.end - takeover.archived;
    let mut reader = old.reader();
    for offset in takeover.archived..offsets.end {
        let problem = |problem: Refusal| Error::Event { offset, problem: problem.message };
        let location = old.locate(offset);
        let event = log::read(&mut reader, location).map_err(problem)?;
        let intake = location.intake.millis();
        if !drain.batch.takes(intake, BATCH_EVENTS, BATCH_BYTES) {
            drain.append(runtime, offset)?;
            progress(&drain.drained);
        }
        drain.add(intake, event).map_err(problem)?;
    }
    drain.append(runtime, offsets.end)?;
    let drained = drain.drained;
    progress(&drained);
    let complete = |error: Box<dyn std::error::Error + Send + Sync>| Error::Complete(error);
    // Only now: a relay whose last batch is known goes on.
    let relays = old.relays().iter().map(|(relay, number)| RelayBatch { relay: *relay, number: *number });
    log.journal.merge_relays(relays).map_err(|error| complete(error.into()))?;
    if is_first {
        if log.index().end() == offsets.end {
            // Nothing came between, so each event has the offset that it had: cursors into the old journal hold.
            log.archive.keep(old.identity(), offsets.end).map_err(|error| complete(error.into()))?;
        }
        log.journal.settle().map_err(|error| complete(error.into()))?;
    }
    Ok(drained)
}

struct Drain<'a> {
    log: &'a EventLog,
    /// Whether nobody but a drain has appended to the journal.
    is_first: bool,
    batch: Batch,
    drained: Drained,
}

impl Drain<'_> {
    /// Adds an event to the batch, unless it is known to be here or has no place any more.
    fn add(&mut self, intake: i64, mut event: Event) -> Result<(), Refusal> {
        self.drained.seen += 1;
        let tenant: TenantId = event.tenant.parse().map_err(Refusal::from)?;
        let ulid = parse_ulid("ulid", &event.ulid)?;
        let is_mutation = event.event_type == "mutation";
        if !self.is_first {
            if self.is_archived(&tenant, ulid, is_mutation.then_some(event.entity_id.as_str()))? {
                self.drained.known += 1;
                return Ok(());
            }
            if is_mutation && self.is_overtaken(&tenant, ulid, &event)? {
                self.drained.left_out += 1;
                tracing::error!(tenant.id = %tenant, %ulid, ns = event.entity_ns, id = event.entity_id,
                    "a mutation is left out: the history of its name has gone on");
                return Ok(());
            }
        }
        // Intake never runs backwards, so one that comes late is taken in late; what its time was stays.
        event.event_timestamp.get_or_insert(timestamp_to_wire(Timestamp::MIN.plus_millis(intake)));
        event.timestamp = None;
        event.journal_offset = 0;
        let number = self.log.tenant_number(&tenant);
        self.batch.intake = Some(intake);
        self.log.push(&mut self.batch, number, ulid, &event);
        Ok(())
    }

    /// Whether an event that the window does not tell any more is in the archive.
    fn is_archived(&self, tenant: &TenantId, ulid: Ulid, mutated: Option<&str>) -> Result<bool, Refusal> {
        if Timestamp::of_ulid(ulid).millis() >= self.log.clock.now().millis() - WINDOW {
            return Ok(false);
        }
        let table = if mutated.is_some() { Table::History } else { Table::Events };
        self.log.is_archived(table, tenant, ulid, mutated)
    }

    /// Whether the name of a mutation has a newer one, and not this one.
    fn is_overtaken(&self, tenant: &TenantId, ulid: Ulid, event: &Event) -> Result<bool, Refusal> {
        let number = self.log.tenant_number(tenant);
        let mutation = log::mutation(event.clone())?;
        let mut past = Past::new(self.log);
        let newest = past.newest(number, &mutation.entity, Ulid(u128::MAX))?;
        if newest.is_none_or(|newest| newest.ulid <= ulid) {
            return Ok(false);
        }
        let same = past.newest(number, &mutation.entity, ulid)?;
        Ok(same.is_none_or(|same| same.ulid != ulid))
    }

    /// Appends the batch, whose last event is before `offset` of the old journal.
    fn append(&mut self, runtime: &Handle, offset: u64) -> Result<(), Error> {
        let batch = std::mem::replace(&mut self.batch, Batch::new(None));
        let count = batch.count();
        if count == 0 {
            return Ok(());
        }
        let appended = runtime.block_on(self.log.journal.append(batch));
        let appended = appended.map_err(|error| Error::Event { offset: offset - 1, problem: error.to_string() })?;
        let known = appended.duplicates.len() as u64;
        self.drained.known += known;
        self.drained.appended += count - known;
        Ok(())
    }
}

/// The journal's directory: the one named, or the one in a data directory.
fn journal_in(from: &Path) -> PathBuf {
    let places = [from.to_owned(), from.join("journal"), from.join("events").join("journal")];
    places.iter().find(|place| place.join("identity").exists()).unwrap_or(&places[0]).clone()
}

#[cfg(test)]
#[path = "drain_test.rs"]
mod tests;
