//! Owns one tenant's index: what is on the disk, and above it the tail. Never shows a state that a newer one replaced.

use std::{
    path::Path,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tantivy::query::Bm25StatisticsProvider as _;

use super::{
    Change, Error, Found, Wanted,
    base::Base,
    expand::expand,
    plan::{Plan, Sight},
    statistics::{Statistics, Visible},
    tail::Tail,
};

/// A tenant's index.
pub(super) struct TenantIndex {
    base: Base,
    tail: RwLock<Tail>,
    /// Up to where events are on the disk.
    position: AtomicU64,
}

impl TenantIndex {
    /// The index in `path`. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let base = Base::open(path)?;
        let position = AtomicU64::new(base.position()?);
        Ok(Self { base, tail: RwLock::default(), position })
    }

    /// Takes what the event before `position` says, unless it is here already.
    pub(super) fn apply(&self, change: Change, position: u64) {
        if position > self.position.load(Ordering::Relaxed) {
            self.tail.write().unwrap_or_else(PoisonError::into_inner).put(change);
        }
    }

    /// Moves the tail to the disk; it has everything up to `position`. Blocks.
    pub(super) fn checkpoint(&self, position: u64) -> Result<(), Error> {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        if tail.size().0 == 0 {
            return Ok(());
        }
        self.base.write(tail.changes(), position)?;
        self.position.store(position, Ordering::Relaxed);
        drop(tail);
        // A reader that has the old tail has it with any state of the disk, and one without it has the new one.
        *self.tail.write().unwrap_or_else(PoisonError::into_inner) = Tail::default();
        Ok(())
    }

    /// Names in the tail, and bytes of their texts.
    pub(super) fn in_memory(&self) -> (usize, usize) {
        self.tail.read().unwrap_or_else(PoisonError::into_inner).size()
    }

    /// What matches, best first; of what is equally good the first name. Blocks.
    pub(super) fn search(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, Error> {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let (searcher, fields, sight) = (self.base.searcher(), self.base.fields(), Sight(wanted.may_read));
        let visible = sight.0.map(|may_read| self.base.visible(&searcher, may_read)).transpose()?;
        let visible = visible.map(|query| Visible::new(&searcher, query)).transpose()?;
        let statistics = Statistics::new(&searcher, &tail, fields.texts, sight, visible.as_ref())?;
        let parts = expand(&wanted.clauses, &statistics)?;
        if parts.is_empty() || statistics.total_num_docs()? == 0 {
            return Ok(Vec::new());
        }
        let plan = Plan { parts, filter: &wanted.filter, sight };
        let visible = visible.as_ref().map(|visible| &*visible.query);
        let mut found = self.base.search(&searcher, &statistics, &plan, visible, tail.names(), wanted.limit)?;
        found.extend(tail.search(&plan, &plan.weights(fields, &statistics)?));
        found.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
        found.truncate(wanted.limit);
        Ok(found)
    }
}
