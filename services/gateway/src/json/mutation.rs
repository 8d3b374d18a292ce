//! Mutations and differences of states as JSON.
//!
//! Owns the members of a history's items and of a difference.

use std::collections::HashMap;

use domain::Json;
use proto::events::v1 as wire;

use super::{Writer, relationship, thing};
use proto::events::v1::state::State;

/// Fields of a state that a client gives: what a difference is about.
const COMPARED: [&str; 7] = ["type", "from", "to", "visibility", "content", "code", "data"];

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

/// Writes `changes`: each value that differs between two states (as JSON, or null where there was none), by its JSON
/// Pointer (RFC 6901), with `before` and `after` where it is there. Objects are compared member by member, everything
/// else whole.
pub(crate) fn changes(json: &mut Writer, before: &Json, after: &Json) {
    let mut found = Vec::new();
    for name in COMPARED {
        compare(&mut format!("/{name}"), before.get(name), after.get(name), &mut found);
    }
    json.array("changes", found, |json, Change { path, before, after }| {
        json.text("path", &path);
        json.optional_number("before", before);
        json.optional_number("after", after);
    });
}

struct Change<'a> {
    path: String,
    before: Option<&'a Json>,
    after: Option<&'a Json>,
}

fn compare<'a>(path: &mut String, before: Option<&'a Json>, after: Option<&'a Json>, found: &mut Vec<Change<'a>>) {
    if before == after {
        return;
    }
    let (Some(Json::Object(old)), Some(Json::Object(new))) = (before, after) else {
        found.push(Change { path: path.clone(), before, after });
        return;
    };
    let mut added: HashMap<&str, &Json> = new.iter().map(|(name, value)| (&**name, value)).collect();
    let mut members: Vec<_> = old.iter().map(|(name, value)| (name, Some(value), added.remove(&**name))).collect();
    let added = new.iter().filter(|(name, _)| added.contains_key(&**name));
    members.extend(added.map(|(name, value)| (name, None, Some(value))));
    for (name, before, after) in members {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        compare(path, before, after, found);
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn difference(before: &str, after: &str) -> String {
        let state = |text: &str| parse("state", text.as_bytes()).unwrap();
        let mut json = Writer::object();
        changes(&mut json, &state(before), &state(after));
        json.finish()
    }

    #[test]
    fn values_that_differ_are_named_by_pointer_and_the_rest_is_not() {
        let before = r#"{"type":"A","data":{"a/b":{"c":1},"d":[1],"same":0},"etag":"1"}"#;
        let after = r#"{"type":"A","content":"x","data":{"a/b":{"c":1.0,"new":null},"same":0},"etag":"2"}"#;
        assert_eq!(
            difference(before, after),
            concat!(
                r#"{"changes":[{"path":"/content","after":"x"},{"path":"/data/a~1b/c","before":1,"after":1.0},"#,
                r#"{"path":"/data/a~1b/new","after":null},{"path":"/data/d","before":[1]}]}"#
            )
        );
    }

    /// As many members as 1 MiB holds: to look each one up among all the others would take minutes.
    #[test]
    fn a_difference_of_many_members_is_in_their_order() {
        let data = |range: std::ops::Range<u32>, value: u8| {
            let members: Vec<_> = range.map(|number| format!("\"{number}\":{value}")).collect();
            format!(r#"{{"data":{{{}}}}}"#, members.join(","))
        };
        let expected = (0..=100_000).map(|number| match number {
            0 => r#"{"path":"/data/0","before":0}"#.to_owned(),
            100_000 => r#"{"path":"/data/100000","after":1}"#.to_owned(),
            number => format!(r#"{{"path":"/data/{number}","before":0,"after":1}}"#),
        });
        let expected: Vec<_> = expected.collect();
        let changes = difference(&data(0..100_000, 0), &data(1..100_001, 1));
        assert!(changes == format!(r#"{{"changes":[{}]}}"#, expected.join(",")), "{}", &changes[..200]);
    }

    #[test]
    fn a_creation_has_no_before_and_equal_states_have_no_changes() {
        assert_eq!(difference("null", r#"{"type":"A"}"#), r#"{"changes":[{"path":"/type","after":"A"}]}"#);
        assert_eq!(difference(r#"{"data":{"a":1,"b":2}}"#, r#"{"data":{"b":2,"a":1}}"#), r#"{"changes":[]}"#);
    }
}
