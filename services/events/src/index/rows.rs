//! Owns one fixed-size row per event. Rows are kept in blocks, so that growing never copies them.

use std::collections::VecDeque;

use ulid::Ulid;

use super::{Entry, TenantNo, key::MUTATION};

const NONE: u32 = u32::MAX;
const BLOCK: usize = 8192;

/// What the index knows of one event: 64 bytes.
#[derive(Debug)]
pub(crate) struct Row {
    /// In two halves, so that a row needs no padding to 16 bytes.
    ulid: [u64; 2],
    /// When it was taken in, in milliseconds.
    pub(crate) intake: i64,
    /// See [`Entry`].
    pub(crate) entity: u64,
    pub(crate) event_type: u32,
    pub(crate) ns: u32,
    pub(super) position: u32,
    pub(crate) length: u32,
    tenant: u32,
    previous: u32,
}

impl Row {
    pub(super) fn new(entry: Entry, intake: i64, position: u32, length: u32) -> Self {
        let Entry { tenant, ulid, event_type, ns, entity } = entry;
        let ulid = [(ulid.0 >> 64) as u64, ulid.0 as u64];
        Self { ulid, intake, entity, event_type, ns, position, length, tenant: tenant.0, previous: NONE }
    }

    /// Its ULID.
    pub(crate) fn ulid(&self) -> Ulid {
        Ulid(u128::from(self.ulid[0]) << 64 | u128::from(self.ulid[1]))
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> TenantNo {
        TenantNo(self.tenant)
    }

    /// Whether it is the event of this identity.
    pub(super) fn is(&self, tenant: TenantNo, ulid: Ulid) -> bool {
        self.tenant == tenant.0 && self.ulid() == ulid
    }

    pub(super) fn is_mutation(&self) -> bool {
        self.event_type == MUTATION
    }

    pub(super) fn follow(&mut self, previous: u32) {
        self.previous = previous;
    }

    pub(super) fn previous(&self) -> Option<u32> {
        (self.previous != NONE).then_some(self.previous)
    }
}

/// The rows by slot. A slot is an offset less that of the first row that this process has seen, modulo 2^32: far more
/// than rows fit into memory, so those that are there have slots of their own.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Offset of the first row.
    pub(super) base: u64,
    /// Slot of the first row of the first block.
    first: u32,
    /// How many rows of the first block are gone.
    gone: u32,
    blocks: VecDeque<Vec<Row>>,
}

impl Rows {
    pub(super) fn len(&self) -> u32 {
        let Some(last) = self.blocks.back() else { return 0 };
        let count = (self.blocks.len() - 1) * BLOCK + last.len();
        u32::try_from(count).ok().filter(|count| *count < NONE).expect("2^32 rows of 64 bytes do not fit in memory")
            - self.gone
    }

    /// The slot of the row that comes next.
    pub(super) fn next_slot(&self) -> u32 {
        self.first.wrapping_add(self.gone).wrapping_add(self.len())
    }

    /// The slot of an offset that is there.
    pub(super) fn slot_of(&self, offset: u64) -> u32 {
        self.first.wrapping_add(self.gone).wrapping_add((offset - self.base) as u32)
    }

    /// The offset of a slot that is there.
    pub(super) fn offset_of(&self, slot: u32) -> u64 {
        self.base + u64::from(slot.wrapping_sub(self.first.wrapping_add(self.gone)))
    }

    /// Whether the row of a slot is there.
    pub(super) fn has(&self, slot: u32) -> bool {
        slot.wrapping_sub(self.first.wrapping_add(self.gone)) < self.len()
    }

    pub(super) fn get(&self, slot: u32) -> &Row {
        let place = slot.wrapping_sub(self.first) as usize;
        &self.blocks[place / BLOCK][place % BLOCK]
    }

    pub(super) fn last(&self) -> Option<&Row> {
        self.blocks.back()?.last()
    }

    pub(super) fn push(&mut self, row: Row) {
        if self.blocks.back().is_none_or(|last| last.len() == BLOCK) {
            self.blocks.push_back(Vec::with_capacity(BLOCK));
        }
        self.blocks.back_mut().expect("a block was just added").push(row);
    }

    /// Drops the oldest rows: `count` of them, at most a block and never all of it that is still filled.
    pub(super) fn drop_oldest(&mut self, count: u32) {
        self.base += u64::from(count);
        self.gone += count;
        if self.gone as usize == BLOCK {
            self.blocks.pop_front();
            self.first = self.first.wrapping_add(BLOCK as u32);
            self.gone = 0;
        }
    }

    /// How many of the oldest rows can be dropped at once.
    pub(super) fn droppable(&self) -> u32 {
        (BLOCK as u32 - self.gone).min(self.len())
    }

    /// How many leading rows hold `before`, which no row does after one that does not.
    pub(super) fn partition_point(&self, before: impl Fn(&Row) -> bool) -> u32 {
        let full = self.blocks.partition_point(|block| block.last().is_some_and(&before));
        let count = match self.blocks.get(full) {
            Some(block) => (full * BLOCK + block.partition_point(&before)) as u32,
            None => self.len() + self.gone,
        };
        // Rows that are gone came before all that are there.
        count.saturating_sub(self.gone)
    }
}
