//! Owns which terms of an index a word of a query stands for: itself, those that begin so, and, where nothing that may be
//! seen has it, those that are one letter away. Never ranks what has them.

use std::collections::BTreeSet;

use tantivy::{
    Term,
    query::{DfaWrapper, FuzzyTermQuery},
    schema::Field as Column,
};
use tantivy_fst::Automaton as _;

use super::{
    plan::{Needs, Part},
    statistics::Statistics,
};
use crate::{document::Field, index::Error, query::Clause};

/// A prefix, or a word that nothing has, stands for so many terms at most.
const MOST_TERMS: usize = 64;
/// Letters of a word that may have one wrong.
const SHORTEST_INEXACT: usize = 5;
/// How much a term counts that is one letter away.
const INEXACT_WEIGHT: f32 = 0.5;

/// For each clause, what to look for in each of the fields; nothing where no document can match.
pub(super) fn expand(clauses: &[Clause], needs: Needs, statistics: &Statistics<'_>) -> Result<Vec<Vec<Part>>, Error> {
    let (mut expanded, fields) = (Vec::new(), needs.fields());
    for clause in clauses {
        let mut parts = Vec::new();
        let mut add = |terms: &[String], weight: f32| {
            for field in fields {
                parts.push(Part { field: *field, terms: terms.to_vec(), weight: weight * field.weight() });
            }
        };
        match clause {
            Clause::Word(word) => {
                if word.chars().count() < SHORTEST_INEXACT || statistics.has(word, fields)? {
                    add(std::slice::from_ref(word), 1.0);
                } else {
                    for term in terms(statistics, fields, "", &one_edit_apart(word)?)? {
                        add(&[term], INEXACT_WEIGHT);
                    }
                }
            }
            Clause::Phrase(words) => add(words, 1.0),
            Clause::Prefix { start, word } => {
                let mut all = terms(statistics, fields, start, &beginning(start)?)?;
                all.insert(word.clone());
                for term in all {
                    add(&[term], 1.0);
                }
            }
        }
        if needs == Needs::AllInNames || !parts.is_empty() {
            expanded.push(parts);
        }
    }
    Ok(expanded)
}

/// Of terms of which one letter is other, more or less, or two neighbours are swapped.
fn one_edit_apart(word: &str) -> Result<DfaWrapper, Error> {
    Ok(FuzzyTermQuery::new(in_some_field(word), 1, true).automaton()?)
}

/// Of terms that begin so.
fn beginning(start: &str) -> Result<DfaWrapper, Error> {
    Ok(FuzzyTermQuery::new_prefix(in_some_field(start), 0, false).automaton()?)
}

/// An automaton does not look at the field.
fn in_some_field(text: &str) -> Term {
    Term::from_field_text(Column::from_field_id(0), text)
}

/// The first terms of these fields that are `wanted`, all of which begin with `start`, of what may be seen.
fn terms(
    statistics: &Statistics<'_>,
    fields: &[Field],
    start: &str,
    wanted: &DfaWrapper,
) -> Result<BTreeSet<String>, Error> {
    let (mut found, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for term in statistics.tail.terms(start).filter(|term| accepts(wanted, term)) {
        if asked.insert(term.to_owned()) && statistics.has(term, fields)? {
            found.insert(term.to_owned());
        }
    }
    for (_, file) in statistics.files.iter() {
        for words in fields.iter().filter_map(|field| file.words(*field)) {
            let mut terms = words.inverted.terms().search(wanted).into_stream().map_err(tantivy::TantivyError::from)?;
            let mut count = 0;
            while count < MOST_TERMS && terms.advance() {
                let Ok(term) = std::str::from_utf8(terms.key()) else { continue };
                if found.contains(term) || asked.insert(term.to_owned()) && statistics.has(term, fields)? {
                    count += 1;
                    found.insert(term.to_owned());
                }
            }
        }
    }
    while found.len() > MOST_TERMS {
        found.pop_last();
    }
    Ok(found)
}

fn accepts(wanted: &DfaWrapper, term: &str) -> bool {
    let mut state = wanted.start();
    for byte in term.bytes() {
        if !wanted.can_match(&state) {
            return false;
        }
        state = wanted.accept(&state, byte);
    }
    wanted.is_match(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit_is_a_letter_other_more_or_less_or_two_swapped() {
        let near = one_edit_apart("develop").unwrap();
        for other in ["develp", "developp", "xdevelop", "devilop", "devleop", "evelop", "develo", "dévelop"] {
            assert!(accepts(&near, other), "{other}");
        }
        for other in ["devlp", "dxvelox", "pdevelo", "", "develop12"] {
            assert!(!accepts(&near, other), "{other}");
        }
    }
}
