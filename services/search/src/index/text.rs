//! Owns one tenant's texts: what is on the disk, and above it the tail. Never shows a state that a newer one replaced.

mod analyzer;
mod base;
mod expand;
mod plan;
mod statistics;
mod tail;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tantivy::{Searcher, query::Bm25StatisticsProvider as _};

pub(crate) use self::analyzer::Analyzer;
use self::{
    base::Base,
    expand::expand,
    plan::Plan,
    statistics::{Statistics, Visible},
    tail::Tail,
};
use super::{Change, Error, Filter, Found, OfTenant, Sight};
use crate::{
    document::{self, Field},
    query::Clause,
};

/// Of a long text only so much is looked at to say what it is about, in bytes and in different words.
const LOOKED_AT_BYTES: usize = 64 << 10;
const LOOKED_AT_WORDS: usize = 512;

/// Which texts are looked for.
pub(crate) struct Matching<'a> {
    /// One of these matches at least.
    pub(crate) clauses: &'a [Clause],
    pub(crate) filter: &'a Filter,
    pub(crate) sight: Sight<'a>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// A tenant's texts.
pub(crate) struct Texts {
    base: Base,
    tail: RwLock<Tail>,
    /// Up to where events are on the disk.
    position: AtomicU64,
}

impl OfTenant for Texts {
    type Settings = ();

    fn open(path: &Path, (): &()) -> Result<Self, Error> {
        let base = Base::open(path)?;
        let position = AtomicU64::new(base.position()?);
        Ok(Self { base, tail: RwLock::default(), position })
    }

    fn apply(&self, changes: Vec<(Change, u64)>) -> Result<(), Error> {
        let position = self.position.load(Ordering::Relaxed);
        for (change, _) in changes.into_iter().filter(|(_, of)| *of > position) {
            self.tail.write().unwrap_or_else(PoisonError::into_inner).put(change);
        }
        Ok(())
    }

    fn checkpoint(&self, position: u64) -> Result<(), Error> {
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

    fn in_memory(&self) -> (usize, usize) {
        self.tail.read().unwrap_or_else(PoisonError::into_inner).size()
    }
}

impl Texts {
    /// What matches, best first; of what is equally good the first name. Blocks.
    pub(crate) fn matching(&self, wanted: &Matching<'_>) -> Result<Vec<Found>, Error> {
        let Matching { clauses, filter, sight, limit } = *wanted;
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let (searcher, fields) = (self.base.searcher(), self.base.fields());
        let visible = self.visible(&searcher, sight)?;
        let statistics = Statistics::new(&searcher, &tail, fields.texts, sight, visible.as_ref())?;
        let parts = expand(clauses, &statistics)?;
        if parts.is_empty() || statistics.total_num_docs()? == 0 {
            return Ok(Vec::new());
        }
        let plan = Plan { parts, filter, sight };
        let visible = visible.as_ref().map(|visible| &*visible.query);
        let mut found = self.base.search(&searcher, &statistics, &plan, visible, tail.names(), limit)?;
        found.extend(tail.search(&plan, &plan.weights(fields, &statistics)?));
        found.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
        found.truncate(limit);
        Ok(found)
    }

    /// The words of a thing's texts that say most about it: often there, and in few others that may be seen. At most
    /// `count`, the most telling first. Blocks.
    pub(crate) fn telling(&self, of: &document::Texts, sight: Sight<'_>, count: usize) -> Result<Vec<Clause>, Error> {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let (searcher, fields) = (self.base.searcher(), self.base.fields());
        let visible = self.visible(&searcher, sight)?;
        let statistics = Statistics::new(&searcher, &tail, fields.texts, sight, visible.as_ref())?;
        let documents = statistics.total_num_docs()? as f32;
        let mut telling = Vec::new();
        for (word, often) in often(of) {
            // Without the thing itself: what nobody else has finds nobody.
            let others = statistics.most_in_a_field(&word)?.saturating_sub(1);
            if others > 0 {
                let rarity = (1.0 + (documents - others as f32 + 0.5).max(0.0) / (others as f32 + 0.5)).ln();
                telling.push((often / (often + 1.0) * rarity, word));
            }
        }
        telling.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        telling.truncate(count);
        Ok(telling.into_iter().map(|(_, word)| Clause::Word(word)).collect())
    }

    /// What of the disk may be seen; none is everything.
    fn visible(&self, searcher: &Searcher, sight: Sight<'_>) -> Result<Option<Visible>, Error> {
        let query = sight.0.map(|may_read| self.base.visible(searcher, may_read)).transpose()?;
        query.map(|query| Visible::new(searcher, query)).transpose()
    }
}

/// The first different words of a thing's texts, and how often each is there, by the weights of the fields.
fn often(of: &document::Texts) -> HashMap<String, f32> {
    let (mut analyzer, mut words) = (Analyzer::new(), HashMap::new());
    for (field, text) in Field::ALL.into_iter().zip(of) {
        analyzer.each(&text[..text.floor_char_boundary(LOOKED_AT_BYTES)], |token| {
            if words.len() < LOOKED_AT_WORDS || words.contains_key(token.term) {
                *words.entry(token.term.to_owned()).or_default() += field.weight();
            }
        });
    }
    words
}

#[cfg(test)]
#[path = "text/text_test.rs"]
mod tests;
