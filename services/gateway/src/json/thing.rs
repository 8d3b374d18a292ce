//! A thing as JSON.
//!
//! Owns the members of a thing over HTTP; a body that was read can be put back as it is.

use domain::{Invalid, Json, Visibility};
use proto::convert::{style, visibility, visibility_to_wire};
use proto::things::v1 as wire;
use serve::Refusal;

use super::read::noun;
use super::{Fields, Violations, Writer};

/// Members that a client gives.
const GIVEN: [&str; 6] = ["type", "visibility", "content", "code", "data", "embedding"];

/// Members that only answers have; in a put they are ignored.
const OUTPUT_ONLY: [&str; 7] = ["url", "ns", "id", "variant", "created_at", "updated_at", "etag"];

/// Every member.
#[cfg(test)]
pub(crate) const THING_MEMBERS: [&[&str]; 2] = [&GIVEN, &OUTPUT_ONLY];

/// Writes the members of a thing. `url` is its canonical URL path: states of the past come without.
pub fn thing(json: &mut Writer, thing: &wire::Thing, url: &str) {
    let wire::Thing {
        key,
        r#type,
        visibility: word,
        content,
        code,
        data,
        embedding,
        created_at,
        updated_at,
        etag,
        url: _,
    } = thing;
    json.text("url", url);
    if let Some(key) = key {
        json.text("ns", &key.ns);
        json.text("id", &key.id);
        json.text_unless_empty("variant", &key.variant);
    }
    json.text("type", r#type);
    json.text("visibility", visibility_word(*word));
    json.optional_text("content", content.as_deref());
    json.optional_text("code", code.as_deref());
    json.json("data", data.as_deref().unwrap_or_default());
    if !embedding.is_empty() {
        json.numbers("embedding", embedding);
    }
    json.time("created_at", created_at.as_ref());
    json.time("updated_at", updated_at.as_ref());
    json.text("etag", etag);
}

/// How many things there are.
pub fn counted(count: i64) -> String {
    let mut json = Writer::object();
    json.number("count", count);
    json.finish()
}

/// The state that a body puts; the name is the URL's.
pub(crate) fn read_thing(body: Json) -> Result<wire::Thing, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &GIVEN, &OUTPUT_ONLY, &mut violations);
    let embedding = read_embedding(&mut fields);
    let thing = wire::Thing {
        r#type: fields.text("type").unwrap_or_default(),
        visibility: read_visibility(&mut fields),
        content: fields.text("content"),
        code: fields.text("code"),
        data: fields.value("data").map(|data| data.to_string()),
        embedding,
        ..wire::Thing::default()
    };
    violations.or(thing)
}

/// The change that a JSON merge patch (RFC 7396) of a thing's JSON asks for; the name is the URL's.
pub(crate) fn read_patch(body: Json) -> Result<wire::PatchThingRequest, Refusal> {
    let mut violations = Violations::default();
    for name in OUTPUT_ONLY {
        if body.get(name).is_some() {
            violations.add(Invalid::new(name, "cannot be changed"));
        }
    }
    let cleared: Vec<_> = ["content", "code", "data", "embedding"]
        .into_iter()
        .filter(|name| body.get(name) == Some(&Json::Null))
        .map(String::from)
        .collect();
    let resets_visibility = body.get("visibility") == Some(&Json::Null);
    let has_no_type = body.get("type") == Some(&Json::Null);
    let mut fields = Fields::of(body, "", &GIVEN, &OUTPUT_ONLY, &mut violations);
    if has_no_type {
        let _: Option<()> = fields.refuse("type", "is required and cannot be removed");
    }
    let data_patch = fields.value("data").and_then(|patch| match patch {
        Json::Object(_) => Some(patch.to_string()),
        other => fields.refuse("data", format!("must be an object or null, not {}", noun(&other))),
    });
    let visibility =
        if resets_visibility { visibility_to_wire(Visibility::default()).into() } else { read_visibility(&mut fields) };
    let embedding = read_embedding(&mut fields);
    let patch = wire::PatchThingRequest {
        r#type: fields.text("type"),
        visibility,
        content: fields.text("content"),
        code: fields.text("code"),
        data_patch,
        embedding,
        clear: cleared,
        ..wire::PatchThingRequest::default()
    };
    violations.or(patch)
}

/// The member `visibility`; unspecified where it is absent.
pub(super) fn read_visibility(fields: &mut Fields<'_>) -> i32 {
    let given: Option<Visibility> = fields.parsed("visibility", str::parse);
    given.map(|given| visibility_to_wire(given).into()).unwrap_or_default()
}

/// The member `embedding`; empty where it is absent.
fn read_embedding(fields: &mut Fields<'_>) -> Vec<f32> {
    let numbers = fields.numbers("embedding");
    if numbers.as_ref().is_some_and(Vec::is_empty) {
        // On the wire no numbers mean no embedding.
        return fields.refuse("embedding", "must have 1 to 4,096 numbers, or be null").unwrap_or_default();
    }
    numbers.unwrap_or_default()
}

/// `public`, `private` or `unlisted`.
pub(crate) fn visibility_word(word: i32) -> &'static str {
    visibility(word).unwrap_or_default().as_str()
}

/// `wiki` or `literal`.
pub(super) fn style_word(word: i32) -> &'static str {
    style(word).unwrap_or_default().as_str()
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Key;

    use super::*;
    use crate::json::parse;

    fn sample() -> wire::Thing {
        let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 5_000_000 });
        wire::Thing {
            key: Some(Key { ns: "onet".into(), id: "15-1252.00".into(), ..Key::default() }),
            r#type: "Occupation".into(),
            visibility: 2,
            content: Some("# \"Developers\"\n".into()),
            data: Some(r#"{"b":1.50,"a":[null,1e2]}"#.into()),
            created_at: moment(0),
            updated_at: moment(1),
            etag: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            ..wire::Thing::default()
        }
    }

    fn written(value: &wire::Thing) -> String {
        let mut json = Writer::object();
        thing(&mut json, value, "/onet/15-1252.00");
        json.finish()
    }

    #[test]
    fn a_thing_has_its_name_fields_and_times_and_data_as_it_was_given() {
        assert_eq!(
            written(&sample()),
            concat!(
                r#"{"url":"/onet/15-1252.00","ns":"onet","id":"15-1252.00","type":"Occupation","visibility":"private","#,
                r##""content":"# \"Developers\"\n","data":{"b":1.50,"a":[null,1e2]},"created_at":"1970-01-01T00:00:00.005Z","##,
                r#""updated_at":"1970-01-01T00:00:01.005Z","etag":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#
            )
        );
    }

    #[test]
    fn what_was_read_can_be_put_back() {
        let given = wire::Thing { code: Some(String::new()), embedding: vec![0.1, -2.0, 3e-9], ..sample() };
        let read = read_thing(parse("", written(&given).as_bytes()).unwrap()).unwrap();
        let expected = wire::Thing { key: None, created_at: None, updated_at: None, etag: String::new(), ..given };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_patch_removes_by_null_and_merges_data() {
        let body = parse("", br#"{"content":null,"embedding":null,"data":{"a":null,"b":{"c":1.0}}}"#).unwrap();
        let patch = read_patch(body).unwrap();
        assert_eq!(patch.clear, ["content", "embedding"]);
        assert_eq!(patch.data_patch.as_deref(), Some(r#"{"a":null,"b":{"c":1.0}}"#));
        assert_eq!((patch.r#type, patch.content, patch.visibility), (None, None, 0));
    }

    #[test]
    fn a_patch_of_no_object_of_the_type_away_or_of_the_name_is_refused() {
        for body in ["[]", "null", r#"{"type":null}"#, r#"{"id":"x"}"#, r#"{"data":[]}"#, r#"{"embedding":[]}"#] {
            assert!(read_patch(parse("", body.as_bytes()).unwrap()).is_err(), "{body}");
        }
        assert_eq!(read_patch(parse("", br#"{"visibility":null}"#).unwrap()).unwrap().visibility, 1);
    }
}
