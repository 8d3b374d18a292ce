//! Owns reading the archive and the journal as one snapshot: in no moment is an event in neither or in both.
//! Never decides who may see one.

mod names;

use std::{ops::Range, sync::Arc};

use domain::{Entity, Mutation};
use proto::{convert::entity_kind_to_wire, events::v1 as wire};
use serve::refusal::Refusal;
use ulid::Ulid;

use crate::{
    EventLog,
    archive::{Cost, Found, Scan, Table, View, Wanted},
    index::{Index, Location, Order, Row, TenantNo},
    journal::Reader,
    log,
};

pub(crate) use self::names::{Name, NamesOf, Read};

/// Row groups of the archive that are looked at in one step.
const STEP_GROUPS: usize = 16;

/// Mutations of the journal that are read in one step; each may be large.
const STEP_MUTATIONS: usize = 64;

/// What one request reads.
pub(crate) struct Past<'a> {
    pub(crate) log: &'a EventLog,
    /// Held as long as this is: the journal is cut behind it only.
    view: Arc<View>,
    reader: Reader,
    scan: Scan<'a>,
}

impl<'a> Past<'a> {
    pub(crate) fn new(log: &'a EventLog) -> Self {
        Self { log, view: log.archive.view(), reader: log.journal.reader(), scan: log.archive.scan() }
    }

    /// What reading the archive has cost until now.
    pub(crate) fn cost(&self) -> Cost {
        self.scan.cost
    }

    /// From this offset on a table's events are in the journal.
    pub(crate) fn position(&self, table: Table) -> u64 {
        self.view.table(table).position()
    }

    /// Reads an event of the journal.
    pub(crate) fn read(&mut self, location: Location) -> Result<wire::Event, Refusal> {
        log::read(&mut self.reader, location)
    }

    /// The first archived events that are wanted, with what is left over.
    pub(crate) fn archived(
        &mut self,
        table: Table,
        wanted: &Wanted,
        order: Order,
        limit: usize,
    ) -> Result<Found, Refusal> {
        let files = self.view.table(table).files.iter().map(AsRef::as_ref);
        Ok(self.scan.first(files, wanted, order, limit, STEP_GROUPS)?)
    }

    /// The newest mutation of an entity up to a ULID.
    pub(crate) fn newest(
        &mut self,
        tenant: TenantNo,
        entity: &Entity,
        until: Ulid,
    ) -> Result<Option<Mutation>, Refusal> {
        for others in 0.. {
            let location = mutations(self.log, &self.log.index(), tenant, entity, until).nth(others);
            let Some(location) = location else { break };
            let found = log::mutation(self.read(location)?)?;
            if log::is_same(&found.entity, entity) {
                return Ok(Some(found));
            }
        }
        let mut wanted = self.mutations_of(tenant, entity, Ulid(0), until);
        while !wanted.offsets.is_empty() {
            let found = self.archived(Table::History, &wanted, Order::NewestFirst, 1)?;
            if let Some(event) = found.events.into_iter().next() {
                return log::mutation(event).map(Some);
            }
            wanted.offsets = found.rest;
        }
        Ok(None)
    }

    /// The next mutations of an entity from `offsets`, oldest first and at most `limit` of them (fewer where they are
    /// large), and what is left over.
    pub(crate) fn history(
        &mut self,
        tenant: TenantNo,
        entity: &Entity,
        after: Ulid,
        offsets: Range<u64>,
        limit: usize,
    ) -> Result<(Vec<Mutation>, Range<u64>), Refusal> {
        let position = self.position(Table::History);
        if offsets.start < position {
            let mut wanted = self.mutations_of(tenant, entity, after, Ulid(u128::MAX));
            wanted.offsets = offsets.start..position;
            let found = self.archived(Table::History, &wanted, Order::OldestFirst, limit)?;
            let next = if found.rest.is_empty() { position } else { found.rest.start };
            let archived: Result<_, _> = found.events.into_iter().map(log::mutation).collect();
            return Ok((archived?, next..offsets.end));
        }
        let mut locations: Vec<_> = mutations(self.log, &self.log.index(), tenant, entity, Ulid(u128::MAX)).collect();
        locations.reverse();
        let mut found = Vec::new();
        for location in locations.into_iter().filter(|it| it.ulid >= after && it.offset >= offsets.start) {
            if found.len() == limit.min(STEP_MUTATIONS) {
                return Ok((found, location.offset..offsets.end));
            }
            let mutation = log::mutation(self.read(location)?)?;
            if log::is_same(&mutation.entity, entity) {
                found.push(mutation);
            }
        }
        Ok((found, offsets.end..offsets.end))
    }

    /// The archived mutations of an entity.
    fn mutations_of(&self, tenant: TenantNo, entity: &Entity, from: Ulid, until: Ulid) -> Wanted {
        let tenant = self.log.index().tenant_of(tenant).clone();
        Wanted {
            entity_ns: Some(entity.key.ns.as_str().into()),
            entity_id: Some(entity.key.entity_id().into()),
            entity_kind: Some(entity.kind.as_str()),
            ulids: from..=until,
            offsets: 0..self.position(Table::History),
            ..Wanted::of(tenant)
        }
    }
}

/// Where the mutations of an entity are in the journal, newest first, up to a ULID. A relay keeps the order of a name,
/// so they are in ULID order. Another entity of the same hash may be among them.
fn mutations<'a>(
    log: &EventLog,
    index: &'a Index,
    tenant: TenantNo,
    entity: &Entity,
    until: Ulid,
) -> impl Iterator<Item = Location> + use<'a> {
    let mutation = log.keys.word("mutation");
    let id = entity.key.entity_id();
    let key = crate::index::Entity { kind: entity_kind_to_wire(entity.kind), ns: entity.key.ns.as_str(), id: &id };
    let hash = log.keys.entity(tenant, key);
    let wanted = move |row: &Row| row.tenant() == tenant && row.event_type == mutation && row.ulid() <= until;
    index.of_entity(hash).filter(move |(_, row)| wanted(row)).map(|(offset, _)| index.locate(offset))
}
