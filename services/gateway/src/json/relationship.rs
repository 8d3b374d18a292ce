//! A relationship as JSON.
//!
//! Owns the members of a relationship over HTTP. Never resolves its ends: they are sent on as they are given.

use domain::{Json, Path};
use proto::common::v1::Key;
use proto::things::v1 as wire;
use serve::Refusal;

use super::reached::summary;
use super::thing::{read_visibility, visibility_word};
use super::{Fields, Violations, Writer};

const GIVEN: [&str; 5] = ["type", "from", "to", "visibility", "data"];
const OUTPUT_ONLY: [&str; 6] = ["url", "ns", "id", "created_at", "updated_at", "etag"];

/// Every member.
#[cfg(test)]
pub(crate) const RELATIONSHIP_MEMBERS: [&[&str]; 2] = [&GIVEN, &OUTPUT_ONLY];

/// Writes the members of a relationship. `url` is its canonical URL path: states of the past come without.
pub fn relationship(json: &mut Writer, relationship: &wire::Relationship, url: &str) {
    let wire::Relationship { key, r#type, from, to, visibility, data, created_at, updated_at, etag, url: _ } =
        relationship;
    json.text("url", url);
    if let Some(key) = key {
        name(json, key);
    }
    json.text("type", r#type);
    for (end, key) in [("from", from), ("to", to)] {
        if let Some(key) = key {
            json.member(end, |json| name(json, key));
        }
    }
    json.text("visibility", visibility_word(*visibility));
    json.json("data", data.as_deref().unwrap_or_default());
    json.time("created_at", created_at.as_ref());
    json.time("updated_at", updated_at.as_ref());
    json.text("etag", etag);
}

/// The members of a page of relationships; each has what is at its other end, where that was asked for.
pub fn relationships(json: &mut Writer, page: &wire::ListRelationshipsResponse) {
    let wire::ListRelationshipsResponse { relationships, next_page_token, others } = page;
    let mut others = others.iter();
    json.array("items", relationships, |json, item| {
        relationship(json, item, &item.url);
        if let Some(other) = others.next() {
            json.member("other", |json| summary(json, other));
        }
    });
    json.text("next_page_token", next_page_token);
}

pub(super) fn name(json: &mut Writer, key: &Key) {
    json.text("ns", &key.ns);
    json.text("id", &key.id);
}

/// The state that a body puts; the name is the URL's.
pub(crate) fn read_relationship(body: Json) -> Result<wire::Relationship, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &GIVEN, &OUTPUT_ONLY, &mut violations);
    let (from, to) = (fields.value("from"), fields.value("to"));
    let relationship = wire::Relationship {
        r#type: fields.text("type").unwrap_or_default(),
        visibility: read_visibility(&mut fields),
        data: fields.value("data").map(|data| data.to_string()),
        from: read_end("from", from, &mut violations),
        to: read_end("to", to, &mut violations),
        ..wire::Relationship::default()
    };
    violations.or(relationship)
}

/// An end: a URL path (`"/onet/15-1252.00"`), or the object that answers have (`{"ns":"onet","id":"15-1252.00"}`).
fn read_end(end: &str, value: Option<Json>, violations: &mut Violations) -> Option<Key> {
    match value? {
        Json::String(url) => match Path::decode_url(&url) {
            Ok(path) => Some(Key { path: path.to_string(), ..Key::default() }),
            Err(invalid) => {
                violations.add(domain::Invalid::new(end, invalid.rule));
                None
            }
        },
        object => {
            let mut fields = Fields::of(object, end, &["ns", "id"], &[], violations);
            let (ns, id) = (fields.text("ns").unwrap_or_default(), fields.text("id").unwrap_or_default());
            Some(Key { ns, id, ..Key::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn read(body: &str) -> Result<wire::Relationship, Refusal> {
        read_relationship(parse("", body.as_bytes())?)
    }

    #[test]
    fn an_end_is_a_url_path_or_a_name() {
        let body = r#"{"type":"uses","from":"/onet/Software_developer","to":{"ns":"onet","id":"Git"}}"#;
        let relationship = read(body).unwrap();
        assert_eq!(relationship.from.unwrap().path, "onet/Software_developer");
        assert_eq!(relationship.to.unwrap().id, "Git");
    }

    #[test]
    fn an_end_of_another_shape_is_refused_by_name() {
        for (body, field) in [
            (r#"{"type":"uses","from":7,"to":"/a/b"}"#, "from"),
            (r#"{"type":"uses","from":"/a/b","to":"/a"}"#, "to"),
            (r#"{"type":"uses","from":{"ns":"a","idd":"b"},"to":"/a/b"}"#, "from.idd"),
        ] {
            assert_eq!(read(body).unwrap_err().violations[0].field, field);
        }
    }

    #[test]
    fn what_was_read_can_be_put_back() {
        let key = |id: &str| Some(Key { ns: "onet".into(), id: id.into(), ..Key::default() });
        let given = wire::Relationship {
            key: key("r 1"),
            r#type: "uses".into(),
            from: key("a"),
            to: key("b"),
            visibility: 3,
            data: Some(r#"{"n":1.0}"#.into()),
            ..wire::Relationship::default()
        };
        let mut json = Writer::object();
        relationship(&mut json, &given, "/_/relationships/onet/r_1");
        assert_eq!(read(&json.finish()).unwrap(), wire::Relationship { key: None, ..given });
    }
}
