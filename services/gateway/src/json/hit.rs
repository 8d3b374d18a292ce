//! The JSON of a hit of a search.

use proto::search::v1::{Hit, Span};

use super::Writer;

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
