//! What a search finds.

use std::io::{IsTerminal as _, stdout};

use gateway::json::{self, Writer};
use proto::search::v1::{Explanation, Facet, FacetValue, Hit, SearchResponse, Span, TermScore};

use super::{document, name, plain};

/// Prints hits, best first, and what they were counted by; on a terminal with the words that were looked for in bold.
pub(crate) fn found(answer: &SearchResponse, is_json: bool) {
    if is_json {
        let mut json = Writer::object();
        json::found(&mut json, answer);
        return document(&json.finish());
    }
    let SearchResponse { hits, facets, next_page_token } = answer;
    if hits.is_empty() {
        println!("nothing is found");
    }
    for hit in hits {
        println!("{}", spell(hit, stdout().is_terminal()));
    }
    for facet in facets {
        println!("{}", spell_facet(facet));
    }
    if !next_page_token.is_empty() {
        eprintln!("more: --page-token {next_page_token}");
    }
}

fn spell_facet(facet: &Facet) -> String {
    let Facet { name, values, others } = facet;
    let value = |FacetValue { value, count }: &FacetValue| format!("{count:8}  {}", plain(value));
    let mut lines: Vec<_> = [plain(name)].into_iter().chain(values.iter().map(value)).collect();
    if *others > 0 {
        lines.push(format!("          and {others} other values"));
    }
    lines.join("\n")
}

/// What makes a score, most first.
fn explained(explanation: &Explanation) -> String {
    let Explanation { terms, cosine, lexical_weight, best_words, best_cosine } = explanation;
    let words: f64 = terms.iter().map(|TermScore { score, .. }| score).sum();
    let terms = terms.iter().map(|TermScore { term, field, score }| format!("{} in {field} {score:.2}", plain(term)));
    let mut parts: Vec<_> = terms.collect();
    parts.extend(cosine.map(|cosine| format!("cosine {cosine:.3}")));
    if *lexical_weight > 0.0 {
        parts.push(format!(
            "{lexical_weight:.2} × {words:.2} / {best_words:.2} + {:.2} × cosine / {best_cosine:.3}",
            1.0 - lexical_weight
        ));
    }
    parts.join("; ")
}

fn spell(hit: &Hit, is_bold: bool) -> String {
    let Hit { key, r#type, score, title, snippet, highlights, explanation, .. } = hit;
    let title = plain(title);
    let title = if key.as_ref().is_some_and(|key| key.id == title) { String::new() } else { format!("  {title}") };
    let mut text = format!("{score:6.2}  {}{title}  ({})", name(key.as_ref()), plain(r#type));
    if !snippet.is_empty() {
        text.push_str("\n        ");
        text.push_str(&if is_bold { bold(snippet, highlights) } else { plain(snippet) });
    }
    if let Some(explanation) = explanation {
        text.push_str("\n        ");
        text.push_str(&explained(explanation));
    }
    text
}

/// The words in bold; spans that are none of this text are passed over.
fn bold(snippet: &str, highlights: &[Span]) -> String {
    let (mut text, mut done) = (String::new(), 0);
    for span in highlights {
        let (start, end) = (span.start as usize, span.end as usize);
        if let (Some(before), Some(word)) = (snippet.get(done..start), snippet.get(start..end)) {
            text.push_str(&plain(before));
            text.push_str(&["\u{1b}[1m", &plain(word), "\u{1b}[0m"].concat());
            done = end;
        }
    }
    text.push_str(&plain(&snippet[done..]));
    text
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Key;

    use super::*;

    #[test]
    fn a_hit_says_its_name_and_where_the_words_are() {
        let key = Some(Key { ns: "onet".into(), id: "15-1252.00".into(), ..Key::default() });
        let hit = Hit {
            key,
            r#type: "Occupation".into(),
            score: 12.345,
            title: "Software Developers".into(),
            snippet: "…design software\u{7}".into(),
            highlights: vec![Span { start: 10, end: 18 }, Span { start: 1, end: 900 }],
            ..Hit::default()
        };
        let named = " 12.35  onet/15-1252.00  Software Developers  (Occupation)\n        …design ";
        assert_eq!(spell(&hit, false), format!("{named}software\u{fffd}"));
        assert_eq!(spell(&hit, true), format!("{named}\u{1b}[1msoftware\u{1b}[0m\u{fffd}"));
    }
}
