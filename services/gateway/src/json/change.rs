//! Changes that are written together, as JSON.
//!
//! Owns the members of a write and of its answer. Never applies a rule that the services apply.

use domain::{EntityKind, Invalid, Json, Path};
use proto::common::v1::Key;
use proto::convert::{Effect, WriteResult, write_result};
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
    if fields.is_absent("changes") {
        fields.refuse::<()>("changes", "is required");
    }
    let changes = fields.array("changes", "changes").unwrap_or_default();
    let each = changes.into_iter().enumerate();
    let changes = each.filter_map(|(number, given)| {
        read_change(given, &format!("changes[{number}]"), &mut violations)
            .map(|change| wire::WriteChange { change: Some(change) })
    });
    let changes = changes.collect();
    violations.or(wire::WriteThingsRequest { changes, validate_only, ..wire::WriteThingsRequest::default() })
}

/// What a refusal was noted for may lack its name: the whole body is refused then.
fn read_change(given: Json, at: &str, violations: &mut Violations) -> Option<Change> {
    let mut fields = Fields::of(given, at, &CHANGES, &[], violations);
    let mut given: Vec<_> = CHANGES.iter().filter_map(|verb| Some((*verb, fields.value(verb)?))).collect();
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
    let (key, condition) = (own.named("url", kind), own.value("condition"));
    let condition = condition.map(|condition| read_condition(condition, &format!("{at}.condition"), violations));
    let rest = Json::Object(rest);
    Some(match verb {
        "put_thing" => {
            let thing = Some(wire::Thing { key, ..within(&at, read_thing(rest), violations)? });
            Change::PutThing(wire::PutThingRequest { thing, condition, ..Default::default() })
        }
        "patch_thing" => {
            let patch = within(&at, read_patch(rest), violations)?;
            Change::PatchThing(wire::PatchThingRequest { key, condition, ..patch })
        }
        "put_relationship" => {
            let relationship = within(&at, read_relationship(rest), violations)?;
            let relationship = Some(wire::Relationship { key, ..relationship });
            Change::PutRelationship(wire::PutRelationshipRequest { relationship, condition, ..Default::default() })
        }
        _ => {
            Fields::of(rest, &*at, &[], &[], violations);
            match kind {
                EntityKind::Thing => {
                    Change::DeleteThing(wire::DeleteThingRequest { key, condition, ..Default::default() })
                }
                EntityKind::Relationship => {
                    let deletion = wire::DeleteRelationshipRequest { key, condition, ..Default::default() };
                    Change::DeleteRelationship(deletion)
                }
            }
        }
    })
}

impl Fields<'_> {
    /// A member that must be there, and be the URL path of a name.
    pub(super) fn named(&mut self, name: &str, kind: EntityKind) -> Option<Key> {
        if self.is_absent(name) {
            return self.refuse(name, "is required");
        }
        let path = self.parsed(name, |url| {
            let path = match kind {
                EntityKind::Thing => Some(url),
                EntityKind::Relationship => url.strip_prefix(RELATIONSHIPS),
            };
            Path::decode_url(path.ok_or_else(|| Invalid::new(name, format!("must begin with {RELATIONSHIPS}/")))?)
        })?;
        Some(Key { path: path.to_string(), ..Key::default() })
    }
}

pub(super) fn read_condition(given: Json, at: &str, violations: &mut Violations) -> wire::Condition {
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

/// The answer to a write. Refuses what no service of this version answers.
pub fn written(answer: wire::WriteThingsResponse) -> Result<String, Refusal> {
    let results = answer.results.into_iter().map(write_result).collect::<Result<Vec<_>, _>>();
    let mut json = Writer::object();
    json.array("results", results.map_err(Refusal::internal)?, |json, WriteResult { key, kind, effect, ulid }| {
        json.text("kind", kind.as_str());
        json.text("ns", key.ns.as_str());
        json.text("id", key.id.as_str());
        json.text_unless_empty("variant", key.variant.as_str());
        json.text("outcome", effect.as_str());
        json.optional_text("ulid", ulid.map(|ulid| ulid.to_string()).as_deref());
        if let (EntityKind::Thing, Effect::Deleted { variants, relationships }) = (kind, effect) {
            json.number("deleted_variants", variants);
            json.number("deleted_relationships", relationships);
        }
    });
    Ok(json.finish())
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
