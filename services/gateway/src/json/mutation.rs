//! Mutations and differences of states as JSON.
//!
//! Owns the members of a history's items and of a difference.

use proto::events::v1 as wire;

use super::{Writer, relationship, thing};
use proto::events::v1::state::State;

/// Writes the members of a mutation. `url` is the canonical URL path of what it changed.
pub fn mutation(json: &mut Writer, mutation: &wire::Mutation, url: &str) {
    let wire::Mutation { ulid, timestamp, mutation_type, before, after, actor, request_id, cause } = mutation;
    json.text("ulid", ulid);
    json.time("timestamp", timestamp.as_ref());
    json.text("mutation_type", word(*mutation_type));
    state(json, "before", before.as_ref(), url);
    state(json, "after", after.as_ref(), url);
    json.text_unless_empty("actor", actor);
    json.text_unless_empty("request_id", request_id);
    json.text_unless_empty("cause", cause);
}

fn word(mutation_type: i32) -> &'static str {
    match wire::MutationType::try_from(mutation_type) {
        Ok(wire::MutationType::Created) => "created",
        Ok(wire::MutationType::Updated) => "updated",
        Ok(wire::MutationType::Deleted) => "deleted",
        Ok(wire::MutationType::Unspecified) | Err(_) => "unknown",
    }
}

fn state(json: &mut Writer, name: &str, state: Option<&wire::State>, url: &str) {
    match state.and_then(|state| state.state.as_ref()) {
        Some(State::Thing(value)) => json.member(name, |json| thing(json, value, url)),
        Some(State::Relationship(value)) => json.member(name, |json| relationship(json, value, url)),
        None => json.null(name),
    }
}

/// Writes `changes`: each value that differs between two states, by its JSON Pointer (RFC 6901), with `before` and
/// `after` where it is there.
pub fn changes(json: &mut Writer, difference: &wire::DiffResponse) {
    let wire::DiffResponse { before, after, changes, cost: _ } = difference;
    json.array("changes", changes, |json, change| {
        let wire::Change { path, operation: _, before: old, after: new, hunks: _ } = change;
        json.text("path", path);
        if path == "/content" {
            json.optional_text("before", content(before.as_ref()));
            json.optional_text("after", content(after.as_ref()));
        } else {
            json.json("before", old);
            json.json("after", new);
        }
    });
}

fn content(state: Option<&wire::State>) -> Option<&str> {
    match state?.state.as_ref()? {
        State::Thing(thing) => thing.content.as_deref(),
        State::Relationship(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proto::things::v1::Thing;

    use super::*;

    #[test]
    fn a_change_has_its_path_and_what_was_and_is_there() {
        let state = |content: &str| {
            let thing = Thing { content: Some(content.into()), ..Thing::default() };
            Some(wire::State { state: Some(State::Thing(thing)) })
        };
        let change = |path: &str, before: &str, after: &str| wire::Change {
            path: path.into(),
            before: before.into(),
            after: after.into(),
            ..wire::Change::default()
        };
        let changes =
            vec![change("/content", "", ""), change("/data/a~1b/c", "1", "1.0"), change("/data/d", "[1]", "")];
        let mut difference =
            wire::DiffResponse { before: state("x\n"), after: state("y"), changes, ..Default::default() };
        let written = |difference: &wire::DiffResponse| {
            let mut json = Writer::object();
            self::changes(&mut json, difference);
            json.finish()
        };
        let rest = r#"{"path":"/data/a~1b/c","before":1,"after":1.0},{"path":"/data/d","before":[1]}]}"#;
        let content = r#"{"changes":[{"path":"/content","before":"x\n","after":"y"},"#;
        assert_eq!(written(&difference), format!("{content}{rest}"));
        difference.before = None;
        assert_eq!(written(&difference), format!(r#"{{"changes":[{{"path":"/content","after":"y"}},{rest}"#));
    }
}
