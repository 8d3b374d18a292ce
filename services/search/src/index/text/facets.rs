//! Owns how many things there are of each value, among those that match. Never decides what matches.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    ops::Bound,
};

use domain::FieldPath;
use tantivy::{DocSet as _, Searcher, TERMINATED, TantivyError, schema::IndexRecordOption};

use super::{bits::Bits, fields::Fields};
use crate::{
    document::Document,
    facts,
    index::{Error, hash_of},
};

/// The values that are told.
const MOST_TOLD: usize = 100;
/// The values of one file that are looked at.
const MOST_VALUES: usize = 10_000;

/// What things are counted by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Facet {
    Namespace,
    Type,
    /// A field of data.
    Field(FieldPath),
}

/// How many things there are of the values that most have, the most frequent first, and how many other values there are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counted {
    pub(crate) values: Vec<(String, u64)>,
    pub(crate) others: u64,
}

/// What matches: of several variants of a thing one.
pub(super) struct Matched<'a> {
    pub(super) in_tail: Vec<&'a Document>,
    /// Of each file, in the order of the searcher's.
    pub(super) on_disk: Vec<Bits>,
}

impl<'a> Matched<'a> {
    /// Of all that matches; `on_disk` of each document its number and the hash of its thing.
    pub(super) fn new(in_tail: Vec<&'a Document>, searcher: &Searcher, on_disk: Vec<Vec<(u32, u64)>>) -> Self {
        let mut things = HashSet::new();
        let mut is_first = |thing| things.insert(thing);
        let in_tail: Vec<_> =
            in_tail.into_iter().filter(|document| is_first(hash_of(&domain::Key::from(document.key.name())))).collect();
        let files = searcher.segment_readers().iter().zip(on_disk);
        let on_disk = files.map(|(file, documents)| {
            let mut bits = Bits::none(file.max_doc());
            documents.into_iter().filter(|(_, thing)| is_first(*thing)).for_each(|(number, _)| bits.insert(number));
            bits
        });
        let on_disk = on_disk.collect();
        Self { in_tail, on_disk }
    }

    /// Counts them.
    pub(super) fn count(&self, facet: &Facet, searcher: &Searcher, fields: &Fields) -> Result<Counted, Error> {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for document in &self.in_tail {
            for value in values(facet, document) {
                *counts.entry(value).or_default() += 1;
            }
        }
        for (file, matched) in searcher.segment_readers().iter().zip(&self.on_disk) {
            let (column, (from, until)) = match facet {
                Facet::Namespace => (fields.ns, (Bound::Unbounded, Bound::Unbounded)),
                Facet::Type => (fields.thing_type, (Bound::Unbounded, Bound::Unbounded)),
                Facet::Field(path) => (fields.facts, facts::of_field(path)),
            };
            let inverted = file.inverted_index(column)?;
            let mut range = inverted.terms().range();
            if let Bound::Included(from) = from {
                range = range.ge(from);
            }
            if let Bound::Excluded(until) = until {
                range = range.lt(until);
            }
            let mut terms = range.into_stream().map_err(TantivyError::from)?;
            let mut looked_at = 0;
            while looked_at < MOST_VALUES && terms.advance() {
                if is_value(facet, terms.key()) {
                    looked_at += 1;
                    let postings = inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic);
                    let mut postings = postings.map_err(TantivyError::from)?;
                    let mut count = 0;
                    while postings.doc() != TERMINATED {
                        count += u64::from(matched.has(postings.doc()));
                        postings.advance();
                    }
                    if count > 0 {
                        *counts.entry(terms.key().to_owned()).or_default() += count;
                    }
                }
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by(|(value, count), (other, of_other)| {
            (Reverse(count), value).cmp(&(Reverse(of_other), other))
        });
        let others = counts.len().saturating_sub(MOST_TOLD) as u64;
        counts.truncate(MOST_TOLD);
        Ok(Counted { values: counts.into_iter().map(|(value, count)| (told(facet, &value), count)).collect(), others })
    }
}

/// As they are on the disk.
fn values(facet: &Facet, document: &Document) -> Vec<Vec<u8>> {
    match facet {
        Facet::Namespace => vec![document.key.ns.as_str().as_bytes().to_vec()],
        Facet::Type => vec![document.thing_type.as_str().as_bytes().to_vec()],
        Facet::Field(path) => document.facts.of_values(path).map(<[u8]>::to_vec).collect(),
    }
}

/// Whether it is not only that the field is there.
fn is_value(facet: &Facet, term: &[u8]) -> bool {
    match facet {
        Facet::Namespace | Facet::Type => true,
        Facet::Field(path) => facts::value_of(path, term).is_some(),
    }
}

fn told(facet: &Facet, value: &[u8]) -> String {
    match facet {
        Facet::Namespace | Facet::Type => String::from_utf8_lossy(value).into_owned(),
        Facet::Field(path) => facts::value_of(path, value).map(|value| value.to_string()).unwrap_or_default(),
    }
}
