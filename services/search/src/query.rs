//! Owns what a query says: words, phrases and prefixes. Never knows what is in an index.

use domain::Invalid;

use crate::index::Analyzer;

/// The longest query, in bytes.
const MAX_BYTES: usize = 1_024;
/// The most words, phrases and prefixes.
const MAX_CLAUSES: usize = 32;

/// A part of a query; one that matches is enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Clause {
    /// A term.
    Word(String),
    /// Terms that follow each other, or a single one: exactly these.
    Phrase(Vec<String>),
    /// Terms that begin so, and the term that it is itself.
    Prefix {
        /// As it was written, in lower case without accents.
        start: String,
        /// As a word.
        word: String,
    },
}

/// The parts of `text`, the last of which is being typed: a word of which this is the beginning, where no quotes are open.
pub(crate) fn parse_unfinished(field: &str, text: &str) -> Result<Vec<Clause>, Invalid> {
    let is_in_word =
        text.ends_with(|letter: char| letter.is_alphanumeric()) && text.matches('"').count().is_multiple_of(2);
    let clauses = parse(field, &if is_in_word { format!("{text}*") } else { text.to_owned() });
    clauses.map_err(|Invalid { field, rule }| Invalid { field, rule: rule.replace("1,024", "1,023") })
}

/// The parts of `text`, each once. Refuses what has none, as `field`.
pub(crate) fn parse(field: &str, text: &str) -> Result<Vec<Clause>, Invalid> {
    let invalid = |rule: &str| Err(Invalid::new(field, rule));
    if text.len() > MAX_BYTES {
        return invalid("must be at most 1,024 bytes");
    }
    let (mut analyzer, mut clauses) = (Analyzer::new(), Vec::new());
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            let terms = analyzer.terms(part);
            if !terms.is_empty() {
                push(&mut clauses, Clause::Phrase(terms));
            }
            continue;
        }
        for word in part.split_whitespace() {
            let mut terms = analyzer.terms(word);
            let start = word.strip_suffix('*').and_then(|start| analyzer.folded(start).pop());
            let prefix = start.and_then(|start| Some(Clause::Prefix { start, word: terms.pop()? }));
            for clause in terms.into_iter().map(Clause::Word).chain(prefix) {
                push(&mut clauses, clause);
            }
        }
    }
    match clauses.len() {
        0 => invalid("must have a letter or a digit"),
        1..=MAX_CLAUSES => Ok(clauses),
        _ => invalid("must be at most 32 words, phrases and prefixes"),
    }
}

fn push(clauses: &mut Vec<Clause>, clause: Clause) {
    if !clauses.contains(&clause) {
        clauses.push(clause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_phrases_and_prefixes() {
        let word = |text: &str| Clause::Word(text.into());
        assert_eq!(parse("query", "Running, runs CAFÉ").unwrap(), [word("run"), word("cafe")]);
        let phrase = Clause::Phrase(vec!["softwar".into(), "develop".into()]);
        let one = Clause::Phrase(vec!["one".into()]);
        assert_eq!(parse("query", r#""Software Developers" "one" """#).unwrap(), [phrase, one]);
        let prefix = Clause::Prefix { start: "developer".into(), word: "develop".into() };
        assert_eq!(parse("query", "web-developer*").unwrap(), [word("web"), prefix]);
    }

    #[test]
    fn what_says_nothing_or_too_much_is_refused() {
        for text in ["", "  ", "*", "\"\"", "-,.", &"a".repeat(MAX_BYTES + 1), &words(MAX_CLAUSES + 1)] {
            assert_eq!(parse("query", text).unwrap_err().field, "query", "{text}");
        }
        assert_eq!(parse("query", &words(MAX_CLAUSES)).unwrap().len(), MAX_CLAUSES);
    }

    fn words(count: usize) -> String {
        (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ")
    }
}
