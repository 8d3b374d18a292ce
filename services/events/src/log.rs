//! The event log: one struct over the journal and its index; its verbs stand in a file each.
//! Never knows how a request came in.

use std::{fs, path::Path, sync::Arc, time::Duration};

use domain::{Clock, Cursor, Entity, EntityKind, Invalid, Mutation, TenantId, Timestamp};
use parking_lot::RwLockReadGuard;
use prost::Message as _;
use proto::{
    common::v1::Reason,
    convert::{self, entity_kind_to_wire, timestamp_to_wire},
    events::v1 as wire,
};
use serve::{health::Readiness, refusal::Refusal};
use tokio::{runtime::Handle, sync::Semaphore};
use ulid::Ulid;

use crate::{
    Compaction,
    append_stream::MAX_STREAMS,
    archive::{Archive, Place, Site, Table, Wanted},
    index::{self, Index, Keys, Location, Order, TenantNo},
    journal::{Journal, OpenError, Reader, Settings, Standing, UlidKey, WINDOW},
};

/// Everything that happened, durable and found by time, type, entity and ULID.
pub(crate) struct EventLog {
    pub(crate) journal: Journal,
    pub(crate) archive: Archive,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    /// Where it is told whether the journal can be written.
    pub(crate) readiness: Readiness,
    /// How long what nobody needs stays in the archive.
    pub(crate) retention: Duration,
    /// Who merges small files.
    pub(crate) compaction: Compaction,
    /// Places for append streams.
    pub(crate) append_streams: Arc<Semaphore>,
}

/// An hour: longer than a reader of another engine takes.
const RETENTION: Duration = Duration::from_hours(1);

impl EventLog {
    /// Opens the log in `dir`: the journal in `journal`, the archive at its place, its catalog as chosen.
    /// Blocks while the journal is read; `runtime` is what the archive waits with.
    pub(crate) fn open(
        dir: &Path,
        settings: Settings,
        site: &Site,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self, OpenError> {
        let log = Self::open_to_drain(dir, settings, site, clock, runtime)?;
        if log.journal.standing() == Standing::AwaitsDrain {
            return Err(OpenError::AwaitsDrain { path: dir.join("journal") });
        }
        Ok(log)
    }

    /// Opens the log, also if its journal took over from another one and has not what that one has.
    pub(crate) fn open_to_drain(
        dir: &Path,
        settings: Settings,
        site: &Site,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self, OpenError> {
        // Before the journal is opened, which makes the names of all these directories durable.
        if matches!(site.place, Place::Here) {
            let archive = dir.join("archive");
            fs::create_dir_all(&archive).map_err(OpenError::io(&archive))?;
        }
        let journal = Journal::open(&dir.join("journal"), settings, clock.clone())?;
        let archive = Archive::open(dir, site, journal.identity(), clock.clone(), runtime);
        let archive = archive.map_err(|error| OpenError::Archive(Box::new(error)))?;
        let (keys, journal_ends) = {
            let index = journal.index().read();
            (index.keys(), index.beginning()..=index.end())
        };
        let (readiness, append_streams) = (Readiness::default(), Arc::new(Semaphore::new(MAX_STREAMS)));
        let log = Self {
            journal,
            archive,
            keys,
            clock,
            readiness,
            retention: RETENTION,
            compaction: Compaction::Own,
            append_streams,
        };
        for table in Table::ALL {
            let archived = log.archive.view().table(table).position();
            if !journal_ends.contains(&archived) {
                return Err(OpenError::Apart { table: table.name(), archived, journal: journal_ends });
            }
        }
        let last_intake = log.archive.last_intake();
        log.journal.index().write().goes_on_after(last_intake);
        log.cut().map_err(OpenError::io(dir))?;
        Ok(log)
    }

    /// Whether an event is here, wherever it is now. May read files.
    pub(crate) fn knows(&self, tenant: &TenantId, ulid: Ulid) -> Result<bool, Refusal> {
        let number = self.tenant_number(tenant);
        if self.index().offset_of(number, ulid).is_some() || self.has_lately(number, ulid)? {
            return Ok(true);
        }
        if Timestamp::of_ulid(ulid).millis() >= self.clock.now().millis() - WINDOW {
            return Ok(false);
        }
        self.is_archived(Table::Events, tenant, ulid, None)
    }

    /// Whether a table of the archive has an event of this ULID; with `entity_id`, of that name only, which few files may
    /// have. Blocks.
    pub(crate) fn is_archived(
        &self,
        table: Table,
        tenant: &TenantId,
        ulid: Ulid,
        entity_id: Option<&str>,
    ) -> Result<bool, Refusal> {
        let entity_id = entity_id.map(str::to_owned);
        let wanted = Wanted { ulids: ulid..=ulid, entity_id, ..Wanted::of(tenant.clone()) };
        let view = self.archive.view();
        let files = view.table(table).files.iter().map(AsRef::as_ref);
        let found = self.archive.scan().first(files, &wanted, Order::OldestFirst, 1, usize::MAX);
        Ok(!found?.events.is_empty())
    }

    /// Whether an event has left the index within the window.
    pub(crate) fn has_lately(&self, tenant: TenantNo, ulid: Ulid) -> Result<bool, Refusal> {
        let fingerprint = self.index().fingerprint(tenant);
        for is_mutation in [true, false] {
            let key = UlidKey::new(ulid, fingerprint, is_mutation);
            if self.journal.window().has(&key).map_err(Refusal::internal)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs `work`, which reads files, where blocking hurts nobody.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let log = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&log)).await;
        done.unwrap_or_else(|panic| Err(Refusal::internal(panic)))
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.journal.index().read()
    }

    /// The number of a tenant, new if need be.
    pub(crate) fn tenant_number(&self, tenant: &TenantId) -> TenantNo {
        let known = self.index().tenant(tenant);
        known.unwrap_or_else(|| self.journal.index().write().number(tenant))
    }

    /// The position after `offset` events.
    pub(crate) fn cursor(&self, offset: u64) -> Cursor {
        Cursor { epoch: self.journal.identity().epoch, offset }
    }

    /// The offset of a cursor that this journal gave. `field` is named in the refusal.
    pub(crate) fn offset_of(&self, field: &str, cursor: &str) -> Result<u64, Refusal> {
        let rename = |Invalid { rule, .. }| Invalid::new(field, rule);
        let cursor: Cursor = cursor.parse().map_err(rename)?;
        if self.has(cursor) {
            return Ok(cursor.offset);
        }
        let invalid = |message| Refusal::new(Reason::CursorInvalid, message);
        if cursor.epoch >= self.journal.identity().epoch {
            return Err(invalid(format!("{field} {cursor} is not a position in this journal")));
        }
        // What came after was lost with the old journal, or is here under later positions.
        let resume = self.cursor(self.archive.takeovers().resume(cursor.epoch));
        let message = format!("{field} {cursor} is past what was kept of an earlier journal: go on from {resume}");
        Err(invalid(message).with("resume", resume))
    }

    /// Whether everything before a cursor is here, under the offsets that it had.
    pub(crate) fn has(&self, cursor: Cursor) -> bool {
        if cursor.epoch == self.journal.identity().epoch {
            return cursor.offset <= self.index().end();
        }
        self.archive.takeovers().keep(cursor)
    }

    /// What the index calls an entity.
    pub(crate) fn entity(&self, tenant: TenantNo, kind: EntityKind, ns: &str, id: &str) -> u64 {
        self.keys.entity(tenant, index::Entity { kind: entity_kind_to_wire(kind), ns, id })
    }
}

/// Reads an event, with the columns that its position gives.
pub(crate) fn read(reader: &mut Reader, location: Location) -> Result<wire::Event, Refusal> {
    let bytes = reader.read(location).map_err(Refusal::internal)?;
    let mut event = wire::Event::decode(bytes).map_err(Refusal::internal)?;
    event.timestamp = Some(timestamp_to_wire(location.intake));
    event.event_timestamp.get_or_insert(timestamp_to_wire(location.intake));
    event.journal_offset = location.offset as i64;
    Ok(event)
}

/// What a stored event of a relay says.
pub(crate) fn mutation(event: wire::Event) -> Result<Mutation, Refusal> {
    convert::mutation(event).map_err(Refusal::internal)
}

/// Whether both are the same name; the type may have changed.
pub(crate) fn is_same(one: &Entity, other: &Entity) -> bool {
    one.kind == other.kind && one.key == other.key
}
