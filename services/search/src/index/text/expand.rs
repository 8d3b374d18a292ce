//! Owns which terms of an index a word of a query stands for: itself, those that begin so, and, where nothing that may be
//! seen has it, those that are one letter away. Never ranks what has them.

use std::collections::BTreeSet;

use super::{plan::Part, statistics::Statistics};
use crate::{document::Field, index::Error, query::Clause};

/// A prefix, or a word that nothing has, stands for so many terms at most.
const MOST_TERMS: usize = 64;
/// Letters of a word that may have one wrong.
const SHORTEST_INEXACT: usize = 5;
/// How much a term counts that is one letter away.
const INEXACT_WEIGHT: f32 = 0.5;

/// What to look for in each field; nothing where no document can match.
pub(super) fn expand(clauses: &[Clause], statistics: &Statistics<'_>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    for clause in clauses {
        match clause {
            Clause::Word(word) => {
                if word.chars().count() < SHORTEST_INEXACT || statistics.has(word)? {
                    add(&mut parts, std::slice::from_ref(word), 1.0);
                } else {
                    let near = terms(statistics, "", |term| is_one_edit_apart(word, term))?;
                    for term in near {
                        add(&mut parts, &[term], INEXACT_WEIGHT);
                    }
                }
            }
            Clause::Phrase(words) => add(&mut parts, words, 1.0),
            Clause::Prefix { start, word } => {
                let mut all = terms(statistics, start, |_| true)?;
                all.insert(word.clone());
                for term in all {
                    add(&mut parts, &[term], 1.0);
                }
            }
        }
    }
    Ok(parts)
}

fn add(parts: &mut Vec<Part>, terms: &[String], weight: f32) {
    for field in Field::ALL {
        parts.push(Part { field, terms: terms.to_vec(), weight: weight * field.weight() });
    }
}

/// The first terms that begin with `start` and are wanted, of what may be seen.
fn terms(
    statistics: &Statistics<'_>,
    start: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>, Error> {
    let (mut found, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for term in statistics.tail.terms(start).filter(|term| is_wanted(term)) {
        if asked.insert(term.to_owned()) && statistics.has(term)? {
            found.insert(term.to_owned());
        }
    }
    for segment in statistics.searcher.segment_readers() {
        for field in statistics.columns {
            let inverted = segment.inverted_index(field)?;
            let mut terms = inverted.terms().range().ge(start).into_stream().map_err(tantivy::TantivyError::from)?;
            let mut count = 0;
            while count < MOST_TERMS && terms.advance() {
                let Ok(term) = std::str::from_utf8(terms.key()) else { continue };
                if !term.starts_with(start) {
                    break;
                }
                if is_wanted(term) && (found.contains(term) || asked.insert(term.to_owned()) && statistics.has(term)?) {
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

/// Whether one letter is other, more or less, or two neighbours are swapped.
fn is_one_edit_apart(one: &str, other: &str) -> bool {
    if one.len().abs_diff(other.len()) > 4 {
        return false;
    }
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let start: usize = same.map(|(letter, _)| letter.len_utf8()).sum();
    let (one, other) = (&one[start..], &other[start..]);
    let same = one.chars().rev().zip(other.chars().rev()).take_while(|(one, other)| one == other);
    let end: usize = same.map(|(letter, _)| letter.len_utf8()).sum();
    let [one, other] =
        [&one[..one.len() - end], &other[..other.len() - end]].map(|rest| rest.chars().collect::<Vec<_>>());
    match (&one[..], &other[..]) {
        ([], [_]) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit_is_a_letter_other_more_or_less_or_two_swapped() {
        for other in ["develp", "developp", "xdevelop", "devilop", "devleop", "evelop", "develo", "dévelop"] {
            assert!(is_one_edit_apart("develop", other) && is_one_edit_apart(other, "develop"), "{other}");
        }
        for other in ["develop", "devlp", "dxvelox", "pdevelo", "", "develop12"] {
            assert!(!is_one_edit_apart("develop", other), "{other}");
        }
    }
}
