//! The JSON of a search: what is found, and the vector that is looked for.

use domain::Json;
use proto::search::v1::{Explanation, Facet, FacetValue, Hit, SearchResponse, Span, TermScore};
use serve::Refusal;

use super::{Fields, Violations, Writer};

/// The vector of a body.
pub(crate) fn read_vector(body: Json) -> Result<Vec<f32>, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &["vector"], &[], &mut violations);
    let vector = fields.numbers("vector").unwrap_or_default();
    if vector.is_empty() {
        fields.refuse::<()>("vector", "is required, with a number at least");
    }
    violations.or(vector)
}

/// The members of what is found.
pub fn found(json: &mut Writer, answer: &SearchResponse) {
    let SearchResponse { hits, facets, next_page_token } = answer;
    json.array("items", hits, hit);
    if !facets.is_empty() {
        json.array("facets", facets, |json, Facet { name, values, others }| {
            json.text("name", name);
            json.array("values", values, |json, FacetValue { value, count }| {
                // A field's values are JSON; namespaces and types are words.
                if name.starts_with('/') {
                    json.json("value", value);
                } else {
                    json.text("value", value);
                }
                json.number("count", count);
            });
            json.number("others", others);
        });
    }
    json.text("next_page_token", next_page_token);
}

fn hit(json: &mut Writer, hit: &Hit) {
    let Hit { key, url, r#type, score, title, snippet, highlights, etag, explanation } = hit;
    json.text("url", url);
    if let Some(key) = key {
        json.text("ns", &key.ns);
        json.text("id", &key.id);
        json.text_unless_empty("variant", &key.variant);
    }
    json.text("type", r#type);
    json.number("score", format_args!("{score:.4}"));
    json.text("title", title);
    json.text("snippet", snippet);
    json.array("highlights", highlights, |json, Span { start, end }| {
        json.number("start", start);
        json.number("end", end);
    });
    json.text("etag", etag);
    if let Some(explained) = explanation {
        json.member("explanation", |json| explanation_of(json, explained));
    }
}

fn explanation_of(json: &mut Writer, explanation: &Explanation) {
    let Explanation { terms, cosine, lexical_weight, best_words, best_cosine } = explanation;
    json.array("terms", terms, |json, TermScore { term, field, score }| {
        json.text("term", term);
        json.text("field", field);
        json.number("score", format_args!("{score:.4}"));
    });
    json.optional_number("cosine", cosine.map(|cosine| format!("{cosine:.4}")));
    if *lexical_weight > 0.0 {
        for (name, number) in
            [("lexical_weight", lexical_weight), ("best_words", best_words), ("best_cosine", best_cosine)]
        {
            json.number(name, format_args!("{number:.4}"));
        }
    }
}
