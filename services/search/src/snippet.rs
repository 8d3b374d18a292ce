//! Owns which part of a text is shown of a hit, and where the words of the query are in it. Never reads a thing.

use std::{collections::HashSet, ops::Range};

use crate::{index::Analyzer, query::Clause};

/// The longest part of a text that is shown, in bytes, without the signs that something is left out.
const MAX_BYTES: usize = 314;
/// What is shown before the first word that is looked for, about.
const BEFORE_BYTES: usize = 48;
/// Of a long text only so much is looked at, in bytes.
const LOOKED_AT_BYTES: usize = 256 << 10;
const LEFT_OUT: &str = "…";

/// A part of a text.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Snippet {
    pub(crate) text: String,
    /// Where words of the query are, in bytes, in order.
    pub(crate) highlights: Vec<Range<usize>>,
}

/// The words of a query, as they are recognised in a text.
pub(crate) struct Words<'a> {
    terms: HashSet<&'a str>,
    starts: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub(crate) fn of(clauses: &'a [Clause]) -> Self {
        let (mut terms, mut starts) = (HashSet::new(), Vec::new());
        for clause in clauses {
            match clause {
                Clause::Word(word) => drop(terms.insert(word.as_str())),
                Clause::Phrase(words) => terms.extend(words.iter().map(String::as_str)),
                Clause::Prefix { start, word } => {
                    terms.insert(word);
                    starts.push(start.as_str());
                }
            }
        }
        Self { terms, starts }
    }

    /// The part of `text` with the most different words of the query, the first of these; nothing if it has none.
    pub(crate) fn cut(&self, text: &str) -> Option<Snippet> {
        let text = &text[..text.floor_char_boundary(LOOKED_AT_BYTES)];
        let mut places: Vec<(String, Range<usize>)> = Vec::new();
        Analyzer::new().each(text, |token| {
            if self.terms.contains(token.term) || self.starts.iter().any(|start| token.term.starts_with(start)) {
                places.push((token.term.to_owned(), token.start..token.end));
            }
        });
        let (_, first) = (0..places.len()).map(|first| (different(&places[first..]), first)).min_by_key(best_first)?;
        let start = text[..places[first].1.start].len().saturating_sub(BEFORE_BYTES);
        let start = word_boundary(text, text.ceil_char_boundary(start), places[first].1.start);
        let mut end = text.floor_char_boundary(start + MAX_BYTES);
        if end < text.len() {
            end = text[start..end].rfind(char::is_whitespace).map_or(end, |space| start + space);
        }
        let (before, after) = (if start > 0 { LEFT_OUT } else { "" }, if end < text.len() { LEFT_OUT } else { "" });
        let shown: String =
            text[start..end].chars().map(|letter| if letter.is_ascii_control() { ' ' } else { letter }).collect();
        let moved = |place: usize| place - start + before.len();
        let within = places.iter().map(|(_, place)| place).filter(|place| start <= place.start && place.end <= end);
        let highlights = within.map(|place| moved(place.start)..moved(place.end)).collect();
        Some(Snippet { text: format!("{before}{shown}{after}"), highlights })
    }
}

/// How many different words are within one snippet from the first place on.
fn different(places: &[(String, Range<usize>)]) -> usize {
    let end = places[0].1.start + MAX_BYTES - BEFORE_BYTES;
    let within = places.iter().take_while(|(_, place)| place.end <= end);
    within.map(|(term, _)| term.as_str()).collect::<HashSet<_>>().len()
}

/// Most words first, then the earliest.
fn best_first((words, first): &(usize, usize)) -> (std::cmp::Reverse<usize>, usize) {
    (std::cmp::Reverse(*words), *first)
}

/// Where the next word begins from `start` on, at most at `end`.
fn word_boundary(text: &str, start: usize, end: usize) -> usize {
    if start == 0 {
        return 0;
    }
    let space = text[start..end].find(char::is_whitespace);
    space.map_or(start, |space| {
        let rest = &text[start + space..end];
        start + space + (rest.len() - rest.trim_start().len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query;

    fn cut(query: &str, text: &str) -> Option<(String, Vec<String>)> {
        let clauses = query::parse("query", query).unwrap();
        let Snippet { text, highlights } = Words::of(&clauses).cut(text)?;
        let words = highlights.into_iter().map(|place| text[place].to_owned()).collect();
        Some((text, words))
    }

    #[test]
    fn words_are_found_in_another_form() {
        let (text, words) = cut("develop* CAFE", "Developing\nsoftware in cafés").unwrap();
        assert_eq!(text, "Developing software in cafés");
        assert_eq!(words, ["Developing", "cafés"]);
        assert_eq!(cut("nothing", "of it"), None);
    }

    #[test]
    fn a_long_text_is_cut_where_most_words_are() {
        let filler = "größer und größer ".repeat(40);
        let text = format!("one {filler} one and two {filler}");
        let (snippet, words) = cut("one two", &text).unwrap();
        assert_eq!(words, ["one", "two"]);
        assert!(snippet.starts_with("…") && snippet.ends_with("…") && snippet.len() <= 320, "{snippet}");
    }

    #[test]
    fn a_text_without_spaces_is_cut_between_letters() {
        let text = format!("{}-word-{}", "ä".repeat(300), "ö".repeat(300));
        assert_eq!(cut("word", &text).unwrap().1, ["word"]);
    }
}
