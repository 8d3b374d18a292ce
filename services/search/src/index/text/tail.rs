//! Owns a tenant's newest documents, in memory, where they are found at once. Never keeps many: each of their terms is
//! looked up in maps, which are made anew after a checkpoint.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use domain::Key;
use tantivy::{fieldnorm::FieldNormReader, query::Bm25Weight};

use super::{
    Analyzer,
    plan::{Needs, Part, Plan},
};
use crate::{
    document::{Document, Field},
    index::{Change, Found, hash_of},
};

/// The newest documents, and names that have none any more.
#[derive(Default)]
pub(super) struct Tail {
    /// Which document each name has, if it has one.
    names: HashMap<Key, Option<u32>>,
    documents: HashMap<u32, Analyzed>,
    /// The documents that have a term, in whatever field.
    terms: BTreeMap<String, BTreeSet<u32>>,
    /// The number of the next document.
    next: u32,
    /// Of the names.
    hashes: HashSet<u64>,
    bytes: usize,
    /// Of each field.
    tokens: [u64; Field::ALL.len()],
}

/// How much there is of some of the documents.
pub(super) struct Counted {
    pub(super) documents: u64,
    /// Words in each field.
    pub(super) tokens: [u64; Field::ALL.len()],
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
        self.hashes.insert(hash_of(&key));
        if let Some(Some(old)) = self.names.get(&key) {
            self.remove(*old);
        }
        let number = document.map(|document| self.add(Analyzed::of(document)));
        self.names.insert(key, number);
    }

    fn add(&mut self, analyzed: Analyzed) -> u32 {
        let number = self.next;
        self.next += 1;
        self.bytes += analyzed.bytes();
        for (tokens, words) in self.tokens.iter_mut().zip(&analyzed.fields) {
            *tokens += u64::from(words.length);
            for term in words.positions.keys() {
                self.terms.entry(term.clone()).or_default().insert(number);
            }
        }
        self.documents.insert(number, analyzed);
        number
    }

    fn remove(&mut self, number: u32) {
        let analyzed = self.documents.remove(&number).expect("a name's document is there");
        self.bytes -= analyzed.bytes();
        for (tokens, words) in self.tokens.iter_mut().zip(&analyzed.fields) {
            *tokens -= u64::from(words.length);
            for term in words.positions.keys() {
                if let Some(documents) = self.terms.get_mut(term) {
                    documents.remove(&number);
                    if documents.is_empty() {
                        self.terms.remove(term);
                    }
                }
            }
        }
    }

    /// The newest state of each name.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&Key, Option<&Document>)> {
        self.names.iter().map(|(key, number)| (key, number.map(|number| &self.documents[&number].document)))
    }

    /// Names, and bytes of their texts.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.names.len(), self.bytes)
    }

    /// Tells, by the hash of a name, whether it is here, as it is now; none where nothing is.
    pub(super) fn names(&self) -> Option<impl Fn(u64) -> bool> {
        (!self.hashes.is_empty()).then_some(|hash| self.hashes.contains(&hash))
    }

    /// Of the documents that `sees` picks; none is all of them.
    pub(super) fn counted(&self, sees: Option<impl Fn(&Document) -> bool>) -> Counted {
        let Some(sees) = sees else { return Counted { documents: self.documents.len() as u64, tokens: self.tokens } };
        let mut counted = Counted { documents: 0, tokens: [0; Field::ALL.len()] };
        for analyzed in self.documents.values().filter(|analyzed| sees(&analyzed.document)) {
            counted.documents += 1;
            for (tokens, words) in counted.tokens.iter_mut().zip(&analyzed.fields) {
                *tokens += u64::from(words.length);
            }
        }
        counted
    }

    /// Documents, of those that `sees` picks, that have a term in a field.
    pub(super) fn document_frequency(&self, field: Field, term: &str, sees: impl Fn(&Document) -> bool) -> u64 {
        let has = |analyzed: &&Analyzed| analyzed.fields[field as usize].positions.contains_key(term);
        self.with(term).filter(has).filter(|analyzed| sees(&analyzed.document)).count() as u64
    }

    /// The terms that begin with `start`, in order.
    pub(super) fn terms<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.terms.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        from.map(|(term, _)| term.as_str()).take_while(move |term| term.starts_with(start))
    }

    /// What matches, in no order. `weights` are of the parts of the plan.
    pub(super) fn search(&self, plan: &Plan<'_>, weights: &[Bm25Weight]) -> Vec<Found> {
        let scored = |analyzed: &Analyzed| {
            let scores = plan.parts().zip(weights).filter_map(|(part, weight)| analyzed.score(part, weight));
            let score = scores.reduce(|sum, score| sum + score)?;
            Some(Found { key: analyzed.document.key.clone(), score })
        };
        self.matching(plan).filter_map(scored).collect()
    }

    /// Documents that match; without clauses all that fulfil the conditions.
    pub(super) fn all<'a>(&'a self, plan: &'a Plan<'_>) -> impl Iterator<Item = &'a Document> {
        self.matching(plan).map(|analyzed| &analyzed.document)
    }

    /// What each part of the plan gives to the document of a name, if it has one here that matches.
    pub(super) fn scores(&self, key: &Key, plan: &Plan<'_>, weights: &[Bm25Weight]) -> Option<Vec<Option<f32>>> {
        let number = (*self.names.get(key)?)?;
        let analyzed = &self.documents[&number];
        if !analyzed.fulfils(plan) || !analyzed.has_clauses(plan) {
            return None;
        }
        Some(plan.parts().zip(weights).map(|(part, weight)| analyzed.score(part, weight)).collect())
    }

    fn matching<'a>(&'a self, plan: &'a Plan<'_>) -> impl Iterator<Item = &'a Analyzed> {
        let candidates: BTreeSet<u32> = if plan.clauses.is_empty() {
            self.documents.keys().copied().collect()
        } else {
            plan.parts().filter_map(|part| self.terms.get(part.terms.first()?)).flatten().copied().collect()
        };
        let documents = candidates.into_iter().map(|number| &self.documents[&number]);
        documents.filter(|analyzed| analyzed.fulfils(plan) && analyzed.has_clauses(plan))
    }

    fn with(&self, term: &str) -> impl Iterator<Item = &Analyzed> {
        self.terms.get(term).into_iter().flatten().map(|number| &self.documents[number])
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

    fn bytes(&self) -> usize {
        self.document.texts.iter().map(String::len).sum::<usize>() + self.document.facts.bytes()
    }

    fn fulfils(&self, plan: &Plan<'_>) -> bool {
        let Document { key, thing_type, updated_at, facts, .. } = &self.document;
        plan.filter.has(&key.ns, thing_type, updated_at.millis())
            && plan.filter.has_fields(facts)
            && plan.sight.sees(&self.document)
    }

    fn has_clauses(&self, plan: &Plan<'_>) -> bool {
        let has = |part: &Part| self.fields[part.field as usize].count(&part.terms) > 0;
        match plan.needs {
            Needs::Any => plan.clauses.is_empty() || plan.parts().any(has),
            Needs::AllInNames => plan.clauses.iter().all(|parts| parts.iter().any(has)),
        }
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
