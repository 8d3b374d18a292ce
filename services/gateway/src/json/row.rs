//! A row of an export as JSON, which an import reads again.

use domain::{Invalid, Json};
use proto::common::v1::Key;
use proto::things::v1::{self as wire, import_row::Row};
use serve::Refusal;

use super::{
    Fields, Violations, Writer, namespace, read_namespace, read_relationship, read_thing, relationship, thing,
};

/// What a line has one of; a line of an export may also say only where it goes on.
const KINDS: [&str; 4] = ["namespace", "thing", "relationship", "next_page_token"];

/// One line.
pub fn row(row: &wire::ImportRow) -> String {
    let mut json = Writer::object();
    match &row.row {
        Some(Row::Namespace(found)) => json.json("namespace", &namespace(found)),
        Some(Row::Thing(found)) => json.member("thing", |json| thing(json, found, &found.url)),
        Some(Row::Relationship(found)) => {
            json.member("relationship", |json| relationship(json, found, &found.url));
        }
        None => {}
    }
    json.finish()
}

/// What a line puts: `None` where it only says where the export goes on. Names are those of `ns`, `id` and `variant`.
pub fn read_row(line: Json) -> Result<Option<wire::ImportRow>, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(line, "", &KINDS, &[], &mut violations);
    let mut given: Vec<_> = KINDS.iter().filter_map(|kind| Some((*kind, fields.any(kind)?))).collect();
    let (Some((kind, body)), true) = (given.pop(), given.is_empty()) else {
        let rule = format!("must have one of {}", KINDS.join(", "));
        violations.add(Invalid::new("body", rule));
        return violations.or(None);
    };
    let text = |name| body.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let key = Key { ns: text("ns"), id: text("id"), variant: text("variant"), path: String::new() };
    let row = match kind {
        "namespace" => {
            let style = read_namespace(body);
            style.map(|style| Row::Namespace(wire::Namespace { ns: key.ns, style, ..wire::Namespace::default() }))
        }
        "thing" => read_thing(body).map(|read| Row::Thing(wire::Thing { key: Some(key), ..read })),
        "relationship" => {
            read_relationship(body).map(|read| Row::Relationship(wire::Relationship { key: Some(key), ..read }))
        }
        _ => return violations.or(None),
    };
    match row {
        Ok(row) => violations.or(Some(wire::ImportRow { row: Some(row) })),
        Err(refusal) => {
            violations.add_all(kind, refusal);
            violations.or(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn read(line: &str) -> Result<Option<wire::ImportRow>, Refusal> {
        read_row(parse("", line.as_bytes())?)
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let key = |id: &str| Some(Key { ns: "a/b".into(), id: id.into(), ..Key::default() });
        let variant = Some(Key { variant: "es".into(), ..key("x_y").unwrap() });
        let thing =
            wire::Thing { key: variant, r#type: "T".into(), visibility: 2, embedding: vec![0.5], ..Default::default() };
        let relationship = wire::Relationship {
            key: key("r"),
            r#type: "uses".into(),
            from: key("x"),
            to: key("y"),
            visibility: 1,
            ..wire::Relationship::default()
        };
        let namespace = wire::Namespace { ns: "a/b".into(), style: 2, ..wire::Namespace::default() };
        for given in [Row::Thing(thing), Row::Relationship(relationship), Row::Namespace(namespace)] {
            let given = wire::ImportRow { row: Some(given) };
            assert_eq!(read(&row(&given)).unwrap(), Some(given));
        }
        assert_eq!(read(r#"{"next_page_token":""}"#).unwrap(), None);
    }

    #[test]
    fn a_line_that_is_no_row_is_refused_by_its_field() {
        for (line, field) in [
            ("{}", "body"),
            ("[]", "body"),
            (r#"{"thing":{"type":7}}"#, "thing.type"),
            (r#"{"thing":{},"namespace":{}}"#, "body"),
            (r#"{"relationship":{"from":7}}"#, "relationship.from"),
            (r#"{"error":{}}"#, "error"),
        ] {
            assert_eq!(read(line).unwrap_err().violations[0].field, field, "{line}");
        }
    }
}
