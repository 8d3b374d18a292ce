//! Owns a tenant's newest documents, in memory, where they are found at once. Never keeps many: looking for something
//! reads all of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::Key;
use tantivy::{fieldnorm::FieldNormReader, query::Bm25Weight};

use super::{
    Analyzer, Change, Found,
    base::hash_of,
    plan::{Part, Plan},
};
use crate::document::{Document, Field};

/// The newest documents, and names that have none any more.
#[derive(Default)]
pub(super) struct Tail {
    entries: HashMap<Key, Option<Analyzed>>,
    /// Of the names.
    hashes: Arc<HashSet<u64>>,
    bytes: usize,
    /// Of each field.
    tokens: [u64; Field::ALL.len()],
}

struct Analyzed {
    document: Document,
    fields: [Words; Field::ALL.len()],
}

/// The terms of a text, each with where it is.
#[derive(Default)]
struct Words {
    length: u32,
    positions: HashMap<String, Vec<u32>>,
}

impl Tail {
    /// Takes the newest state of a name.
    pub(super) fn put(&mut self, Change { key, document }: Change) {
        Arc::make_mut(&mut self.hashes).insert(hash_of(&key));
        self.bytes += document.as_ref().map_or(0, |document| document.texts.iter().map(String::len).sum());
        let analyzed = document.map(Analyzed::of);
        let lengths = |analyzed: &Option<Analyzed>| {
            let fields = analyzed.as_ref().map(|analyzed| &analyzed.fields);
            fields.map_or([0; Field::ALL.len()], |fields| fields.each_ref().map(|words| u64::from(words.length)))
        };
        let new = lengths(&analyzed);
        let old = self.entries.insert(key, analyzed).map_or([0; Field::ALL.len()], |old| lengths(&old));
        for (tokens, (new, old)) in self.tokens.iter_mut().zip(new.into_iter().zip(old)) {
            *tokens = *tokens + new - old;
        }
    }

    /// The newest state of each name.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Document>)> {
        self.entries.iter().map(|(key, analyzed)| (key, analyzed.as_ref().map(|analyzed| &analyzed.document)))
    }

    /// Names, and bytes of their texts.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Tells, by the hash of a name, whether it is here, as it is now.
    pub(super) fn names(&self) -> impl Fn(u64) -> bool + Send + Sync + Clone + 'static {
        let hashes = Arc::clone(&self.hashes);
        move |hash| hashes.contains(&hash)
    }

    /// Documents of those that `sees` picks.
    pub(super) fn documents(&self, sees: impl Fn(&Document) -> bool) -> u64 {
        self.analyzed().filter(|analyzed| sees(&analyzed.document)).count() as u64
    }

    /// Words in a field of all documents.
    pub(super) fn tokens(&self, field: Field) -> u64 {
        self.tokens[field as usize]
    }

    /// Documents, of those that `sees` picks, that have a term in a field.
    pub(super) fn document_frequency(&self, field: Field, term: &str, sees: impl Fn(&Document) -> bool) -> u64 {
        let has = |analyzed: &&Analyzed| analyzed.fields[field as usize].positions.contains_key(term);
        self.analyzed().filter(has).filter(|analyzed| sees(&analyzed.document)).count() as u64
    }

    /// Each term of each document, some more than once.
    pub(super) fn terms(&self) -> impl Iterator<Item = &str> {
        self.analyzed()
            .flat_map(|analyzed| &analyzed.fields)
            .flat_map(|words| words.positions.keys().map(String::as_str))
    }

    /// What matches, in no order. `weights` are of the parts of the plan.
    pub(super) fn search(&self, plan: &Plan<'_>, weights: &[Bm25Weight]) -> Vec<Found> {
        let mut found = Vec::new();
        for analyzed in self.analyzed().filter(|analyzed| analyzed.fulfils(plan)) {
            let scores = plan.parts.iter().zip(weights).filter_map(|(part, weight)| analyzed.score(part, weight));
            let score = scores.reduce(|sum, score| sum + score);
            found.extend(score.map(|score| Found { key: analyzed.document.key.clone(), score }));
        }
        found
    }

    fn analyzed(&self) -> impl Iterator<Item = &Analyzed> {
        self.entries.values().flatten()
    }
}

impl Analyzed {
    fn of(document: Document) -> Self {
        let mut analyzer = Analyzer::new();
        let fields = document.texts.each_ref().map(|text| {
            let mut words = Words::default();
            analyzer.each(text, |token| {
                words.length += 1;
                words.positions.entry(token.term.to_owned()).or_default().push(token.position as u32);
            });
            words
        });
        Self { document, fields }
    }

    fn fulfils(&self, plan: &Plan<'_>) -> bool {
        let (ns, updated_at) = (&self.document.key.ns, self.document.updated_at.millis());
        let is_under = |prefix: &str| {
            ns.as_str().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let filter = plan.filter;
        filter.ns.as_ref().is_none_or(|wanted| wanted == ns)
            && filter.ns_prefix.as_ref().is_none_or(|prefix| is_under(prefix.as_str()))
            && (filter.types.is_empty() || filter.types.contains(&self.document.thing_type))
            && filter.updated_from.is_none_or(|from| from <= updated_at)
            && filter.updated_until.is_none_or(|until| updated_at < until)
            && plan.sight.sees(&self.document)
    }

    fn score(&self, part: &Part, weight: &Bm25Weight) -> Option<f32> {
        let words = &self.fields[part.field as usize];
        let count = words.count(&part.terms);
        (count > 0).then(|| weight.score(FieldNormReader::fieldnorm_to_id(words.length), count))
    }
}

impl Words {
    /// How often the terms follow each other.
    fn count(&self, terms: &[String]) -> u32 {
        let Some((first, rest)) = terms.split_first() else { return 0 };
        let Some(starts) = self.positions.get(first) else { return 0 };
        let follows = |start: u32, (distance, term): (u32, &String)| {
            self.positions.get(term).is_some_and(|positions| positions.binary_search(&(start + distance)).is_ok())
        };
        starts.iter().filter(|start| (1..).zip(rest).all(|next| follows(**start, next))).count() as u32
    }
}
