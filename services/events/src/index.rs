//! Owns where every event of the journal is and how it is found: by offset, by time, by ULID, by entity.
//! Lives in memory (about 80 bytes an event) and is rebuilt from the journal at start. Never reads a file.

mod key;
mod rows;

use std::{
    collections::HashMap,
    ops::{ControlFlow, Range},
};

use domain::{TenantId, Timestamp};
use hashbrown::HashTable;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use self::rows::Rows;
pub(crate) use self::{
    key::{Entity, Keys, Stored},
    rows::Row,
};
use crate::journal::{RelayBatch, UlidKey};

/// A tenant's number in this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TenantNo(pub(crate) u32);

/// What the index keeps of an event, as it comes out of an append or the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) tenant: TenantNo,
    pub(crate) ulid: Ulid,
    /// Of the event type; 0 is none.
    pub(crate) event_type: u32,
    /// Of the entity's namespace; 0 is none.
    pub(crate) ns: u32,
    /// Of the whole entity; 0 is none.
    pub(crate) entity: u64,
}

impl Entry {
    /// Whether it came from a relay: nobody else may append mutations.
    pub(crate) fn is_mutation(&self) -> bool {
        self.event_type == key::MUTATION
    }
}

/// Where an event's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Location {
    /// Its position in commit order.
    pub(crate) offset: u64,
    /// The first offset of its segment, which names the file.
    pub(crate) segment: u64,
    /// Of its entry in the file.
    pub(crate) position: u32,
    /// Of the event.
    pub(crate) length: u32,
    /// When it was taken in.
    pub(crate) intake: Timestamp,
    /// Its ULID.
    pub(crate) ulid: Ulid,
}

/// In which order events are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// As they were committed, which is also the order of their intake times.
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// Finds events. One writer publishes; readers hold it for microseconds.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: Keys,
    rows: Rows,
    /// First offset of every segment.
    segments: Vec<u64>,
    /// Slot of each (tenant, ULID).
    ulids: HashTable<u32>,
    /// Slot of the newest event of each entity; `Row::previous` leads on.
    heads: HashTable<u32>,
    tenants: HashMap<TenantId, u32>,
    /// By the number of the tenant: who it is, and its fingerprint.
    tenants_by_number: Vec<(TenantId, u128)>,
    /// Of the events that are here.
    bytes: u64,
    relays: HashMap<Ulid, u64>,
    /// Whether the first batch of a relay may have any number.
    takes_any_relay: bool,
    /// When the newest event that is not here any more was taken in, as far as it is known.
    last_archived: Option<i64>,
}

impl Index {
    /// The offset of the next event.
    pub(crate) fn end(&self) -> u64 {
        self.rows.base + u64::from(self.rows.len())
    }

    /// How many events are here.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.rows.len())
    }

    /// The offset of the oldest event that is kept.
    pub(crate) fn beginning(&self) -> u64 {
        self.rows.base
    }

    /// When the newest event was taken in.
    pub(crate) fn last_intake(&self) -> Option<i64> {
        self.rows.last().map(|row| row.intake).max(self.last_archived)
    }

    /// Sets when the newest archived event was taken in: what follows is not taken in before it.
    pub(crate) fn goes_on_after(&mut self, intake: Option<i64>) {
        self.last_archived = intake;
    }

    /// Sets whether the first batch of a relay may have any number.
    pub(crate) fn takes_any_relay(&mut self, takes: bool) {
        self.takes_any_relay = takes;
    }

    /// Makes the hashes of what is looked up here.
    pub(crate) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// The number of a tenant that has one.
    pub(crate) fn tenant(&self, tenant: &TenantId) -> Option<TenantNo> {
        self.tenants.get(tenant).copied().map(TenantNo)
    }

    /// The number of a tenant, new if need be.
    pub(crate) fn number(&mut self, tenant: &TenantId) -> TenantNo {
        if let Some(known) = self.tenant(tenant) {
            return known;
        }
        let number = u32::try_from(self.tenants.len()).expect("there are fewer than 2^32 tenants");
        self.tenants.insert(tenant.clone(), number);
        self.tenants_by_number.push((tenant.clone(), fingerprint(tenant)));
        TenantNo(number)
    }

    /// The offset of the event that the tenant knows by this ULID.
    pub(crate) fn offset_of(&self, tenant: TenantNo, ulid: Ulid) -> Option<u64> {
        let same = |slot: &u32| self.rows.get(*slot).is(tenant, ulid);
        self.ulids.find(self.keys.ulid(tenant, ulid), same).map(|slot| self.rows.offset_of(*slot))
    }

    /// The mutation that the tenant knows by this ULID.
    pub(crate) fn mutation_of(&self, tenant: TenantNo, ulid: Ulid) -> Option<&Row> {
        let same = |slot: &u32| {
            let row = self.rows.get(*slot);
            row.is(tenant, ulid) && row.is_mutation()
        };
        self.ulids.find(self.keys.ulid(tenant, ulid), same).map(|slot| self.rows.get(*slot))
    }

    /// Whether an event is a duplicate. Mutations are told from other events: a client's event that has the ULID of a
    /// mutation to come must not keep it out of history.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let Entry { tenant, ulid, .. } = *entry;
        let same = |slot: &u32| {
            let row = self.rows.get(*slot);
            row.is(tenant, ulid) && row.is_mutation() == entry.is_mutation()
        };
        self.ulids.find(self.keys.ulid(tenant, ulid), same).is_some()
    }

    /// The last batch taken from a relay that sends one of this number; 0 if none was.
    pub(crate) fn last_batch(&self, sent: RelayBatch) -> u64 {
        let unknown = if self.takes_any_relay { sent.number - 1 } else { 0 };
        self.relays.get(&sent.relay).copied().unwrap_or(unknown)
    }

    /// Begins a segment with the next event.
    pub(crate) fn begin_segment(&mut self, first: u64) {
        if self.segments.is_empty() {
            self.rows.base = first;
        }
        if self.segments.last() != Some(&first) {
            self.segments.push(first);
        }
    }

    /// Adds the next event, which stands at `position` of the last segment.
    pub(crate) fn push(&mut self, entry: Entry, intake: i64, position: u32, length: u32) {
        let slot = self.rows.next_slot();
        let mut row = Row::new(entry, intake, position, length);
        let rows = &self.rows;
        if entry.entity != 0 {
            let same = |slot: &u32| rows.get(*slot).entity == entry.entity;
            if let Some(head) = self.heads.find_mut(entry.entity, same) {
                row.follow(*head);
                *head = slot;
            } else {
                self.heads.insert_unique(entry.entity, slot, |slot| rows.get(*slot).entity);
            }
        }
        self.bytes += u64::from(length);
        self.rows.push(row);
        let (rows, keys) = (&self.rows, &self.keys);
        let hash_of = |slot: &u32| keys.ulid(rows.get(*slot).tenant(), rows.get(*slot).ulid());
        self.ulids.insert_unique(hash_of(&slot), slot, hash_of);
    }

    /// The last batch of every relay.
    pub(crate) fn relays(&self) -> &HashMap<Ulid, u64> {
        &self.relays
    }

    /// The identities of these events.
    pub(crate) fn identities(&self, offsets: Range<u64>) -> Vec<UlidKey> {
        let rows = offsets.map(|offset| self.rows.get(self.rows.slot_of(offset)));
        rows.map(|row| UlidKey::new(row.ulid(), self.fingerprint(row.tenant()), row.is_mutation())).collect()
    }

    /// Drops some of the oldest events before `offset`, at most `most`, which are found elsewhere from now on; whether
    /// there are more.
    pub(crate) fn drop_before(&mut self, offset: u64, most: u64) -> bool {
        let count = offset.saturating_sub(self.rows.base).min(u64::from(self.rows.droppable())).min(most) as u32;
        for offset in self.rows.base..self.rows.base + u64::from(count) {
            let slot = self.rows.slot_of(offset);
            let row = self.rows.get(slot);
            self.bytes -= u64::from(row.length);
            let hash = self.keys.ulid(row.tenant(), row.ulid());
            if let Ok(found) = self.ulids.find_entry(hash, |other| *other == slot) {
                found.remove();
            }
            if let Ok(head) = self.heads.find_entry(row.entity, |other| *other == slot) {
                head.remove();
            }
        }
        self.rows.drop_oldest(count);
        let first = self.segments.partition_point(|first| *first <= self.rows.base).saturating_sub(1);
        self.segments.drain(..first);
        count > 0
    }

    /// Goes on with the event of this offset, without any that came before.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        while self.drop_before(offset, u64::MAX) {}
        self.rows.base = offset;
        self.segments.clear();
    }

    /// What tells a tenant's ULIDs from those of others, on disk.
    pub(crate) fn fingerprint(&self, tenant: TenantNo) -> u128 {
        self.tenants_by_number[tenant.0 as usize].1
    }

    /// The tenant of a number.
    pub(crate) fn tenant_of(&self, tenant: TenantNo) -> &TenantId {
        &self.tenants_by_number[tenant.0 as usize].0
    }

    /// Bytes of the events that are here.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Remembers that a relay's batch is in the journal.
    pub(crate) fn took(&mut self, batch: RelayBatch) {
        let last = self.relays.entry(batch.relay).or_default();
        *last = batch.number.max(*last);
    }

    /// Where the event of this offset is.
    pub(crate) fn locate(&self, offset: u64) -> Location {
        let row = self.rows.get(self.rows.slot_of(offset));
        let segment = self.segments[self.segments.partition_point(|first| *first <= offset) - 1];
        let intake = Timestamp::MIN.plus_millis(row.intake);
        Location { offset, segment, position: row.position, length: row.length, intake, ulid: row.ulid() }
    }

    /// The offsets of the events taken in from `from` and before `to`, in milliseconds; with all that have left the
    /// index, if the first one that is here may not be the first. Intake never runs backwards, so they are one range.
    /// O(log n).
    pub(crate) fn taken_in(&self, from: i64, to: i64) -> Range<u64> {
        let first = self.rows.partition_point(|row| row.intake < from);
        let end = self.rows.partition_point(|row| row.intake < to).max(first);
        let start = if first == 0 { 0 } else { self.rows.base + u64::from(first) };
        start..self.rows.base + u64::from(end)
    }

    /// Visits the rows of these offsets, in this order, until `visit` breaks.
    pub(crate) fn scan(
        &self,
        offsets: Range<u64>,
        order: Order,
        mut visit: impl FnMut(u64, &Row) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let length = offsets.end.saturating_sub(offsets.start);
        for step in 0..length {
            let offset = match order {
                Order::OldestFirst => offsets.start + step,
                Order::NewestFirst => offsets.end - 1 - step,
            };
            visit(offset, self.rows.get(self.rows.slot_of(offset)))?;
        }
        ControlFlow::Continue(())
    }

    /// The offsets and rows of an entity, newest first. Another entity of the same hash may be among them.
    pub(crate) fn of_entity(&self, entity: u64) -> impl Iterator<Item = (u64, &Row)> {
        let same = |slot: &u32| self.rows.get(*slot).entity == entity;
        let mut next = self.heads.find(entity, same).copied();
        std::iter::from_fn(move || {
            let slot = next?;
            let row = self.rows.get(slot);
            next = row.previous().filter(|slot| self.rows.has(*slot));
            Some((self.rows.offset_of(slot), row))
        })
    }
}

/// The first half of the SHA-256 of a tenant's name.
pub(crate) fn fingerprint(tenant: &TenantId) -> u128 {
    let hash = Sha256::digest(tenant.as_str());
    u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"))
}
