//! Owns how many things there are of each value, among those that match. Never decides what matches.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    ops::Bound,
};

use domain::FieldPath;
use tantivy::{DocId, DocSet as _, Searcher, TERMINATED, TantivyError, schema::IndexRecordOption};

use super::{bits::Bits, fields::Fields};
use crate::{
    document::Document,
    facts,
    index::{Error, hash_of},
};

/// The values that are told.
const MOST_TOLD: usize = 100;
/// The values of one file that are counted.
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

/// What matches, and by which thing: with several of its variants a thing counts once for each value that one of them has.
pub(super) struct Matched<'a> {
    in_tail: Vec<(&'a Document, u64)>,
    /// Of each file, in the order of the searcher's.
    on_disk: Vec<Matching>,
    /// Things that match by several variants.
    several: HashSet<u64>,
}

/// What matches in a file.
struct Matching {
    documents: Bits,
    /// The things of those that are of several.
    several: HashMap<DocId, u64>,
}

/// How many things have each value.
#[derive(Default)]
struct Counts {
    of: HashMap<Vec<u8>, u64>,
    /// Each thing of several variants with each of its values.
    known: HashSet<(Vec<u8>, u64)>,
}

impl Counts {
    /// `thing` if it is of several.
    fn add(&mut self, value: &[u8], thing: Option<u64>) {
        if thing.is_none_or(|thing| self.known.insert((value.to_owned(), thing))) {
            *self.of.entry(value.to_owned()).or_default() += 1;
        }
    }
}

impl<'a> Matched<'a> {
    /// Of all that matches; `on_disk` of each document its number and the hash of its thing.
    pub(super) fn new(in_tail: Vec<&'a Document>, searcher: &Searcher, on_disk: Vec<Vec<(DocId, u64)>>) -> Self {
        let thing = |document: &'a Document| (document, hash_of(&domain::Key::from(document.key.name())));
        let in_tail: Vec<_> = in_tail.into_iter().map(thing).collect();
        let (mut things, mut several) = (HashSet::new(), HashSet::new());
        let all = in_tail.iter().map(|(_, thing)| thing).chain(on_disk.iter().flatten().map(|(_, thing)| thing));
        for thing in all {
            if !things.insert(*thing) {
                several.insert(*thing);
            }
        }
        let files = searcher.segment_readers().iter().zip(on_disk).map(|(file, matching)| {
            let mut documents = Bits::none(file.max_doc());
            for (number, _) in &matching {
                documents.insert(*number);
            }
            let several = matching.into_iter().filter(|(_, thing)| several.contains(thing)).collect();
            Matching { documents, several }
        });
        let on_disk = files.collect();
        Self { in_tail, on_disk, several }
    }

    /// Counts them.
    pub(super) fn count(&self, facet: &Facet, searcher: &Searcher, fields: &Fields) -> Result<Counted, Error> {
        let mut counts = Counts::default();
        for (document, thing) in &self.in_tail {
            let several = self.several.get(thing).copied();
            for value in values(facet, document) {
                counts.add(&value, several);
            }
        }
        for (file, Matching { documents, several }) in searcher.segment_readers().iter().zip(&self.on_disk) {
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
                if !is_value(facet, terms.key()) {
                    continue;
                }
                let postings = inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic);
                let mut postings = postings.map_err(TantivyError::from)?;
                let mut is_counted = false;
                while postings.doc() != TERMINATED {
                    if documents.has(postings.doc()) {
                        is_counted = true;
                        counts.add(terms.key(), several.get(&postings.doc()).copied());
                    }
                    postings.advance();
                }
                // What nothing has that matches does not count for the bound: it would tell of what is hidden.
                looked_at += usize::from(is_counted);
            }
        }
        let mut counts: Vec<_> = counts.of.into_iter().collect();
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
