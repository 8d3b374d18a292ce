//! The JSON of what a walk reaches, and of things in short.

use proto::things::v1::{Direction, ReachedThing, ThingSummary, TraverseResponse};

use super::Writer;
use super::relationship::name;
use super::thing::visibility_word;

/// The members of what is reached, of all parts.
pub fn reached(json: &mut Writer, parts: &[TraverseResponse]) {
    json.array("items", parts.iter().flat_map(|part| &part.things), |json, item| {
        let ReachedThing { thing, depth, via, relationship, r#type, direction } = item;
        if let Some(thing) = thing {
            summary(json, thing);
        }
        json.number("depth", depth);
        if let Some(via) = via {
            json.member("via", |json| name(json, via));
        }
        json.member("relationship", |json| {
            if let Some(relationship) = relationship {
                name(json, relationship);
            }
            json.text("type", r#type);
            json.text("direction", direction_word(*direction));
        });
    });
    let is_truncated = parts.last().is_some_and(|part| part.is_truncated);
    json.json("is_truncated", if is_truncated { "true" } else { "false" });
}

/// The members of a thing in short.
pub(super) fn summary(json: &mut Writer, summary: &ThingSummary) {
    let ThingSummary { key, r#type, visibility, title, url } = summary;
    json.text("url", url);
    if let Some(key) = key {
        name(json, key);
    }
    json.text("type", r#type);
    json.text("visibility", visibility_word(*visibility));
    json.text_unless_empty("title", title);
}

fn direction_word(word: i32) -> &'static str {
    match Direction::try_from(word) {
        Ok(Direction::Outgoing) => "outgoing",
        Ok(Direction::Incoming) => "incoming",
        Ok(Direction::Unspecified) | Err(_) => "both",
    }
}
