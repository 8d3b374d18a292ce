//! The event log: one struct over the journal and its index; its verbs stand in a file each.
//! Never knows how a request came in.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLockReadGuard},
};

use domain::{Clock, Cursor, Entity, EntityKind, Invalid, Mutation, TenantId};
use prost::Message as _;
use proto::{
    common::v1::Reason,
    convert::{entity_kind_to_wire, event_from_wire, timestamp_to_wire},
    events::v1 as wire,
};
use serve::{health::Readiness, refusal::Refusal};
use ulid::Ulid;

use crate::{
    index::{self, Index, Keys, Location, Row, TenantNo},
    journal::{Journal, OpenError, Reader, Settings},
};

/// Everything that happened, durable and found by time, type, entity and ULID.
pub(crate) struct EventLog {
    pub(crate) journal: Journal,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    /// Where it is told whether the journal can be written.
    pub(crate) readiness: Readiness,
}

impl EventLog {
    /// Opens the log in `dir`. Blocks while the journal is read.
    pub(crate) fn open(dir: &Path, settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        let journal = Journal::open(dir, settings, clock.clone())?;
        let keys = journal.index().read().unwrap_or_else(PoisonError::into_inner).keys();
        Ok(Self { journal, keys, clock, readiness: Readiness::default() })
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
        self.journal.index().read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a tenant, new if need be.
    pub(crate) fn tenant_number(&self, tenant: &TenantId) -> TenantNo {
        let known = self.index().tenant(tenant);
        known.unwrap_or_else(|| self.journal.index().write().unwrap_or_else(PoisonError::into_inner).number(tenant))
    }

    /// The position after `offset` events.
    pub(crate) fn cursor(&self, offset: u64) -> Cursor {
        Cursor { epoch: self.journal.identity().epoch, offset }
    }

    /// The offset of a cursor that this journal gave. `field` is named in the refusal.
    pub(crate) fn offset_of(&self, field: &str, cursor: &str) -> Result<u64, Refusal> {
        let rename = |Invalid { rule, .. }| Invalid::new(field, rule);
        let cursor: Cursor = cursor.parse().map_err(rename)?;
        let index = self.index();
        if cursor.epoch != self.journal.identity().epoch || !(index.beginning()..=index.end()).contains(&cursor.offset)
        {
            return Err(Refusal::new(
                Reason::CursorInvalid,
                format!("{field} {cursor} is not a position in this journal"),
            ));
        }
        Ok(cursor.offset)
    }

    /// What the index calls an entity.
    pub(crate) fn entity(&self, tenant: TenantNo, kind: EntityKind, ns: &str, id: &str) -> u64 {
        self.keys.entity(tenant, index::Entity { kind: entity_kind_to_wire(kind), ns, id })
    }

    /// Where the mutations of an entity are, newest first, up to a ULID. A relay keeps the order of a name,
    /// so they are in ULID order. Another entity of the same hash may be among them.
    pub(crate) fn mutations<'a>(
        &self,
        index: &'a Index,
        tenant: TenantNo,
        entity: &Entity,
        until: Ulid,
    ) -> impl Iterator<Item = Location> + use<'a> {
        let mutation = self.keys.word("mutation");
        let hash = self.entity(tenant, entity.kind, entity.key.ns.as_str(), &entity.key.entity_id());
        let wanted = move |row: &Row| row.tenant() == tenant && row.event_type == mutation && row.ulid() <= until;
        index.of_entity(hash).filter(move |(_, row)| wanted(row)).map(|(offset, _)| index.locate(offset))
    }

    /// The newest mutation of an entity up to a ULID.
    pub(crate) fn newest(
        &self,
        reader: &mut Reader,
        tenant: TenantNo,
        entity: &Entity,
        until: Ulid,
    ) -> Result<Option<Mutation>, Refusal> {
        for others in 0.. {
            let location = self.mutations(&self.index(), tenant, entity, until).nth(others);
            let Some(location) = location else { break };
            let found = mutation(read(reader, location)?)?;
            if is_same(&found.entity, entity) {
                return Ok(Some(found));
            }
        }
        Ok(None)
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

/// What an event of a relay says.
pub(crate) fn mutation(event: wire::Event) -> Result<Mutation, Refusal> {
    let parse = || {
        let event = event_from_wire(event)?;
        let missing = |field| Invalid::new(field, "is missing in a stored mutation");
        let entity = event.body.entity.ok_or_else(|| missing("entity_id"))?;
        let data = event.body.data.ok_or_else(|| missing("data"))?;
        let metadata = event.body.metadata.ok_or_else(|| missing("metadata"))?;
        Mutation::from_event(event.ulid, entity, data.as_str(), metadata.as_str())
    };
    parse().map_err(Refusal::internal)
}

/// Whether both are the same name; the type may have changed.
pub(crate) fn is_same(one: &Entity, other: &Entity) -> bool {
    one.kind == other.kind && one.key == other.key
}
