//! Owns one tenant's texts: what is on the disk, and above it the tail. Never shows a state that a newer one replaced.

mod analyzer;
mod base;
mod bits;
mod conditions;
mod expand;
mod facets;
mod fields;
mod files;
mod max_score;
mod plan;
mod postings;
mod statistics;
mod tail;
mod top_k;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::Key;
use tantivy::query::{ConstScoreQuery, Occur, Query};

pub(crate) use self::{
    analyzer::Analyzer,
    facets::{Counted, Facet},
    plan::Needs,
};
use self::{
    base::Base,
    expand::expand,
    facets::Matched,
    fields::{HASH, THING},
    files::Files,
    plan::{Part, Plan},
    postings::PostingLists,
    statistics::Statistics,
    tail::Tail,
};
use super::{Change, Error, Filter, Found, OfTenant, Sight, hash_of, next_version};
use crate::{
    document::{self, Field},
    query::Clause,
};

/// Of a long text only so much is looked at to say what it is about, in bytes and in different words.
const LOOKED_AT_BYTES: usize = 64 << 10;
const LOOKED_AT_WORDS: usize = 512;

/// Which texts are looked for.
pub(crate) struct Matching<'a> {
    pub(crate) clauses: &'a [Clause],
    /// Which of the clauses.
    pub(crate) needs: Needs,
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
    version: AtomicU64,
}

/// What a term in a field, or several that follow each other, add to the score of a thing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TermScore {
    pub(crate) terms: Vec<String>,
    pub(crate) field: Field,
    pub(crate) score: f32,
}

/// What everything of one search looks at.
struct View<'a> {
    tail: &'a Tail,
    files: &'a Files,
    /// What of the disk may be seen; none is everything.
    visible: Option<Box<dyn Query>>,
    statistics: Statistics<'a>,
    plan: Plan<'a>,
}

impl OfTenant for Texts {
    type Settings = ();

    fn open(path: &Path, (): &()) -> Result<Self, Error> {
        let base = Base::open(path)?;
        let position = AtomicU64::new(base.position()?);
        Ok(Self { base, tail: RwLock::default(), position, version: AtomicU64::new(next_version()) })
    }

    fn apply(&self, changes: Vec<(Change, u64)>) -> Result<(), Error> {
        let position = self.position.load(Ordering::Relaxed);
        for (change, _) in changes.into_iter().filter(|(_, of)| *of > position) {
            self.tail.write().unwrap_or_else(PoisonError::into_inner).put(change);
        }
        self.version.store(next_version(), Ordering::Release);
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

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

impl Texts {
    /// What matches, best first; of what is equally good the first name. Without clauses nothing does. Blocks.
    pub(crate) fn matching(&self, wanted: &Matching<'_>) -> Result<Vec<Found>, Error> {
        if wanted.clauses.is_empty() {
            return Ok(Vec::new());
        }
        self.look(wanted, Vec::new, |View { tail, files, visible, statistics, plan }| {
            let weights = plan.weights(&statistics)?;
            let lists = PostingLists::new(&plan, &weights, &statistics)?;
            let mut found =
                self.base.search(files, &lists, &plan, visible.as_deref(), tail.names().as_ref(), wanted.limit)?;
            found.extend(tail.search(&plan, &weights));
            found.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
            found.truncate(wanted.limit);
            Ok(found)
        })
    }

    /// The hashes of the names of everything that matches, sorted; without clauses of all that fulfils the conditions.
    /// Blocks.
    pub(crate) fn hashes(&self, wanted: &Matching<'_>) -> Result<Vec<u64>, Error> {
        self.look(wanted, Vec::new, |View { tail, files, visible, plan, .. }| {
            let on_disk = self.base.all(files, &plan, visible.as_deref(), tail.names().as_ref(), HASH)?;
            let in_tail = tail.all(&plan).map(|document| hash_of(&document.key));
            let mut hashes: Vec<u64> = on_disk.into_iter().flatten().map(|(_, hash)| hash).chain(in_tail).collect();
            hashes.sort_unstable();
            Ok(hashes)
        })
    }

    /// How many things match by each value of each facet; without clauses all count that fulfil the conditions. Blocks.
    pub(crate) fn facets(&self, wanted: &Matching<'_>, facets: &[Facet]) -> Result<Vec<Counted>, Error> {
        let nothing = || vec![Counted::default(); facets.len()];
        self.look(wanted, nothing, |View { tail, files, visible, plan, .. }| {
            let on_disk = self.base.all(files, &plan, visible.as_deref(), tail.names().as_ref(), THING)?;
            let matched = Matched::new(tail.all(&plan).collect(), files.searcher(), on_disk);
            facets.iter().map(|facet| matched.count(facet, files.searcher(), self.base.fields())).collect()
        })
    }

    /// What each term adds to the score of each of `keys` that matches, the most first. Blocks.
    pub(crate) fn explained(&self, wanted: &Matching<'_>, keys: &[Key]) -> Result<Vec<Vec<TermScore>>, Error> {
        let nothing = || vec![Vec::new(); keys.len()];
        self.look(wanted, nothing, |View { tail, files, visible, statistics, plan }| {
            let weights = plan.weights(&statistics)?;
            let lists = PostingLists::new(&plan, &weights, &statistics)?;
            let is_in_tail = tail.names();
            let is_elsewhere = |key: &&Key| is_in_tail.as_ref().is_none_or(|is_in_tail| !is_in_tail(hash_of(key)));
            let elsewhere: Vec<&Key> = keys.iter().filter(is_elsewhere).collect();
            let on_disk = self.base.scores(files, &lists, &plan, visible.as_deref(), &elsewhere)?;
            let explained = |key: &Key| {
                let scores =
                    tail.scores(key, &plan, &weights).or_else(|| on_disk.get(key).cloned()).unwrap_or_default();
                let told = |(Part { field, terms, .. }, score): (&Part, Option<f32>)| {
                    Some(TermScore { terms: terms.clone(), field: *field, score: score? })
                };
                let mut scores: Vec<_> = plan.parts().zip(scores).filter_map(told).collect();
                scores.sort_by(|one, other| other.score.total_cmp(&one.score));
                scores
            };
            Ok(keys.iter().map(explained).collect())
        })
    }

    /// Gives `search` what it looks at; `nothing` where the words stand for nothing.
    fn look<T>(
        &self,
        wanted: &Matching<'_>,
        nothing: impl FnOnce() -> T,
        search: impl FnOnce(View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Matching { clauses, needs, filter, sight, limit: _ } = *wanted;
        let tail = &*self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let files = &*self.base.files();
        let visible = sight.0.map(|may_read| self.base.visible(files, may_read)).transpose()?;
        let statistics = self.statistics(files, tail, filter, sight, visible.as_deref())?;
        let expanded = expand(clauses, needs, &statistics)?;
        if expanded.is_empty() && !clauses.is_empty() || statistics.documents() == 0 {
            return Ok(nothing());
        }
        let plan = Plan { clauses: expanded, needs, filter, sight };
        search(View { tail, files, visible, statistics, plan })
    }

    /// The words of a thing's texts that say most about it: often there, and in few others that may be seen. At most
    /// `count`, the most telling first. Blocks.
    pub(crate) fn telling(&self, of: &document::Texts, sight: Sight<'_>, count: usize) -> Result<Vec<Clause>, Error> {
        let everywhere = Filter::default();
        let tail = &*self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let files = &*self.base.files();
        let visible = sight.0.map(|may_read| self.base.visible(files, may_read)).transpose()?;
        let statistics = self.statistics(files, tail, &everywhere, sight, visible.as_deref())?;
        let documents = statistics.documents() as f32;
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

    /// Of what may be seen, and is of the namespaces that are asked for.
    fn statistics<'a>(
        &self,
        files: &'a Files,
        tail: &'a Tail,
        filter: &'a Filter,
        sight: Sight<'a>,
        visible: Option<&dyn Query>,
    ) -> Result<Statistics<'a>, Error> {
        let mut scope = conditions::of_namespace(filter, self.base.fields());
        scope.extend(visible.map(|visible| (Occur::Must, visible.box_clone())));
        let scope = (!scope.is_empty()).then(|| ConstScoreQuery::new(Box::new(conditions::all(scope)), 0.0));
        let scope = scope.as_ref().map(|scope| scope as &dyn Query);
        Statistics::new(files, tail, self.base.fields().texts, sight, filter, scope)
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
#[cfg(test)]
#[path = "text/told_test.rs"]
mod told_tests;
