//! The JSON of a search: its hits, and the vector that is looked for.

use domain::Json;
use proto::search::v1::{Hit, Span};
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

/// The members of a hit.
pub fn hit(json: &mut Writer, hit: &Hit) {
    let Hit { key, url, r#type, score, title, snippet, highlights, etag } = hit;
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
}
