//! Changes that are written together, as JSON.
//!
//! Owns the members of a write and of its answer. Never applies a rule that the services apply.

use domain::{EntityKind, Invalid, Json, Path};
use proto::common::v1::Key;
use proto::convert::entity_kind;
use proto::things::v1::{self as wire, write_change::Change};
use serve::Refusal;

use super::read::noun;
use super::{Fields, Violations, Writer, parse, read_patch, read_relationship, read_thing};

/// The members of a change, of which it has one.
const CHANGES: [&str; 5] = ["put_thing", "patch_thing", "delete_thing", "put_relationship", "delete_relationship"];
const CONDITION: [&str; 3] = ["etags", "create_only", "update_only"];
/// What the URL of a relationship begins with.
const RELATIONSHIPS: &str = "/_/relationships";

/// What a body asks; the request's id and cause are its headers'.
pub fn read_write(body: &[u8]) -> Result<wire::WriteThingsRequest, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(parse("", body)?, "", &["changes", "validate_only"], &[], &mut violations);
    let validate_only = fields.flag("validate_only").unwrap_or_default();
    let changes = match fields.value("changes") {
        Some(Json::Array(changes)) => changes,
        Some(other) => fields.refuse("changes", format!("must be an array, not {}", noun(&other))).unwrap_or_default(),
        None => fields.refuse("changes", "is required").unwrap_or_default(),
    };
    let each = changes.into_iter().enumerate();
    let changes = each.filter_map(|(number, given)| {
        read_change(given, &format!("changes[{number}]"), &mut violations)
            .map(|change| wire::WriteChange { change: Some(change) })
    });
    let changes = changes.collect();
    violations.or(wire::WriteThingsRequest { changes, validate_only, ..wire::WriteThingsRequest::default() })
}

fn read_change(given: Json, at: &str, violations: &mut Violations) -> Option<Change> {
    let mut fields = Fields::of(given, at, &CHANGES, &[], violations);
    let mut given: Vec<_> = CHANGES.iter().filter_map(|name| Some((*name, fields.value(name)?))).collect();
    let (Some((verb, body)), true) = (given.pop(), given.is_empty()) else {
        violations.add(Invalid::new(at, format!("must have one of {}", CHANGES.join(", "))));
        return None;
    };
    let at = format!("{at}.{verb}");
    let Json::Object(members) = body else {
        violations.add(Invalid::new(at, format!("must be an object, not {}", noun(&body))));
        return None;
    };
    let (own, rest): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| matches!(&**name, "url" | "condition"));
    let kind = if verb.ends_with("_thing") { EntityKind::Thing } else { EntityKind::Relationship };
    let mut own = Fields::of(Json::Object(own), &*at, &["url", "condition"], &[], violations);
    let condition = own.value("condition");
    let key = match own.text("url") {
        Some(url) => own.named(&url, kind),
        None => own.refuse("url", "is required"),
    };
    let condition = condition.map(|condition| read_condition(condition, &format!("{at}.condition"), violations));
    let rest = Json::Object(rest);
    let change = match verb {
        "put_thing" => within(&at, read_thing(rest), violations).map(|thing| {
            let thing = Some(wire::Thing { key: key.clone(), ..thing });
            Change::PutThing(wire::PutThingRequest { thing, condition, ..wire::PutThingRequest::default() })
        }),
        "patch_thing" => within(&at, read_patch(rest), violations)
            .map(|patch| Change::PatchThing(wire::PatchThingRequest { key: key.clone(), condition, ..patch })),
        "put_relationship" => within(&at, read_relationship(rest), violations).map(|relationship| {
            let relationship = Some(wire::Relationship { key: key.clone(), ..relationship });
            let put =
                wire::PutRelationshipRequest { relationship, condition, ..wire::PutRelationshipRequest::default() };
            Change::PutRelationship(put)
        }),
        _ => {
            Fields::of(rest, &*at, &[], &[], violations);
            let key = key.clone();
            Some(if kind == EntityKind::Thing {
                Change::DeleteThing(wire::DeleteThingRequest { key, condition, ..wire::DeleteThingRequest::default() })
            } else {
                let deletion =
                    wire::DeleteRelationshipRequest { key, condition, ..wire::DeleteRelationshipRequest::default() };
                Change::DeleteRelationship(deletion)
            })
        }
    };
    change.filter(|_| key.is_some())
}

impl Fields<'_> {
    /// The name that a URL path spells.
    fn named(&mut self, url: &str, kind: EntityKind) -> Option<Key> {
        let path = match kind {
            EntityKind::Thing => Some(url),
            EntityKind::Relationship => url.strip_prefix(RELATIONSHIPS),
        };
        let Some(path) = path else {
            return self.refuse("url", format!("must begin with {RELATIONSHIPS}/"));
        };
        match Path::decode_url(path) {
            Ok(path) => Some(Key { path: path.to_string(), ..Key::default() }),
            Err(invalid) => self.refuse("url", invalid.rule),
        }
    }
}

fn read_condition(given: Json, at: &str, violations: &mut Violations) -> wire::Condition {
    let mut fields = Fields::of(given, at, &CONDITION, &[], violations);
    wire::Condition {
        etags: fields.texts("etags").unwrap_or_default(),
        create_only: fields.flag("create_only").unwrap_or_default(),
        update_only: fields.flag("update_only").unwrap_or_default(),
    }
}

/// What was read at `at`, or its mistakes there.
fn within<T>(at: &str, read: Result<T, Refusal>, violations: &mut Violations) -> Option<T> {
    read.map_err(|refusal| violations.add_all(at, refusal)).ok()
}

/// The answer to a write.
pub fn written(answer: &wire::WriteThingsResponse) -> String {
    let mut json = Writer::object();
    json.array("results", &answer.results, |json, result| {
        let wire::WriteResult { key, kind, outcome, ulid, deleted_variants, deleted_relationships } = result;
        let kind = entity_kind("kind", *kind).ok().flatten().unwrap_or_default();
        json.text("kind", kind.as_str());
        if let Some(key) = key {
            json.text("ns", &key.ns);
            json.text("id", &key.id);
            json.text_unless_empty("variant", &key.variant);
        }
        json.text("outcome", outcome_word(*outcome));
        json.text_unless_empty("ulid", ulid);
        if *outcome == i32::from(wire::WriteOutcome::Deleted) && kind == EntityKind::Thing {
            json.number("deleted_variants", deleted_variants);
            json.number("deleted_relationships", deleted_relationships);
        }
    });
    json.finish()
}

fn outcome_word(word: i32) -> &'static str {
    match wire::WriteOutcome::try_from(word).unwrap_or_default() {
        wire::WriteOutcome::Unspecified => "unknown",
        wire::WriteOutcome::Created => "created",
        wire::WriteOutcome::Replaced => "replaced",
        wire::WriteOutcome::Unchanged => "unchanged",
        wire::WriteOutcome::Deleted => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<wire::WriteThingsRequest, Refusal> {
        read_write(body.as_bytes())
    }

    #[test]
    fn each_kind_of_change_is_read() {
        let request = read(
            r#"{"validate_only":true,"changes":[
                {"put_thing":{"url":"/onet/a_b%23es","type":"T","data":{"n":1.50},"condition":{"create_only":true}}},
                {"patch_thing":{"url":"/onet/a","content":null}},
                {"delete_thing":{"url":"/onet/a","condition":{"etags":["x"]}}},
                {"put_relationship":{"url":"/_/relationships/onet/r","type":"T","from":"/onet/a","to":"/onet/b"}},
                {"delete_relationship":{"url":"/_/relationships/onet/r"}}]}"#,
        )
        .unwrap();
        assert!(request.validate_only);
        let changes: Vec<_> = request.changes.into_iter().map(|given| given.change.unwrap()).collect();
        let [Change::PutThing(put), Change::PatchThing(patch), Change::DeleteThing(gone), ..] = &changes[..] else {
            panic!("in order, not {changes:?}");
        };
        let thing = put.thing.as_ref().unwrap();
        assert_eq!(
            (thing.key.as_ref().unwrap().path.as_str(), thing.data.as_deref()),
            ("onet/a_b#es", Some(r#"{"n":1.50}"#))
        );
        assert!(put.condition.as_ref().unwrap().create_only);
        assert_eq!(patch.clear, ["content"]);
        assert_eq!(gone.condition.as_ref().unwrap().etags, ["x"]);
        let [.., Change::PutRelationship(put), Change::DeleteRelationship(gone)] = &changes[..] else {
            panic!("in order, not {changes:?}");
        };
        let key = put.relationship.as_ref().unwrap().key.as_ref();
        assert_eq!((key.unwrap().path.as_str(), gone.key.as_ref()), ("onet/r", key));
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let refusal = read(
            r#"{"changes":[{"put_thing":{"url":"onet/a","type":1}},{"put_thing":{"type":"T"}},{"delete_thing":[]},
                {},{"delete_relationship":{"url":"/onet/r","x":1}},{"patch_thing":{"url":"/onet/a","etag":"x"}}]}"#,
        )
        .unwrap_err();
        let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
        let expected = [
            "changes[0].put_thing.url",
            "changes[0].put_thing.type",
            "changes[1].put_thing.url",
            "changes[2].delete_thing",
            "changes[3]",
            "changes[4].delete_relationship.url",
            "changes[4].delete_relationship.x",
            "changes[5].patch_thing.etag",
        ];
        assert_eq!(fields, expected);
        assert_eq!(read("{}").unwrap_err().violations[0].field, "changes");
    }
}
