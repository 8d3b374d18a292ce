//! One thing, relationship or namespace.

use domain::{Json, json};
use gateway::json as http;
use proto::{
    convert,
    things::v1::{DeleteThingResponse, Namespace, Relationship, Schema, Thing},
};

use super::{count, document, grouped, line, name, plain, table, time};

/// The longest value of data that is shown whole, in characters.
const LONGEST_VALUE: usize = 100;

/// A thing. States of the past come without `url`.
pub(crate) fn thing(thing: &Thing, url: &str, is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        http::thing(&mut writer, thing, url);
        return document(&writer.finish());
    }
    let mut facts = vec![("type", thing.r#type.clone()), ("visibility", visibility(thing.visibility))];
    facts.extend(thing.code.clone().map(|code| ("code", code)));
    facts.push(("created", time(thing.created_at.as_ref())));
    facts.push(("updated", time(thing.updated_at.as_ref())));
    facts.push(("etag", thing.etag.clone()));
    if !thing.embedding.is_empty() {
        facts.push(("embedding", count(thing.embedding.len(), "number")));
    }
    print!("{url}\n{}{}", indented(&facts), data(thing.data.as_deref()));
    if let Some(content) = &thing.content {
        println!("\n{}", plain(content).trim_end());
    }
}

/// A relationship. States of the past come without `url`.
pub(crate) fn relationship(relationship: &Relationship, url: &str, is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        http::relationship(&mut writer, relationship, url);
        return document(&writer.finish());
    }
    let facts = [
        ("from", name(relationship.from.as_ref())),
        ("type", relationship.r#type.clone()),
        ("to", name(relationship.to.as_ref())),
        ("visibility", visibility(relationship.visibility)),
        ("created", time(relationship.created_at.as_ref())),
        ("updated", time(relationship.updated_at.as_ref())),
        ("etag", relationship.etag.clone()),
    ];
    print!("{url}\n{}{}", indented(&facts), data(relationship.data.as_deref()));
}

/// What a put or patch of a thing did.
pub(crate) fn written(outcome: &str, thing: &Thing, is_json: bool) {
    if is_json {
        return self::thing(thing, &thing.url, true);
    }
    println!("{outcome} {}\n  etag  {}", thing.url, thing.etag);
}

/// What a put of a relationship did.
pub(crate) fn linked(outcome: &str, relationship: &Relationship, is_json: bool) {
    if is_json {
        return self::relationship(relationship, &relationship.url, true);
    }
    println!("{outcome} {}\n  etag  {}", relationship.url, relationship.etag);
}

/// What a deletion took away.
pub(crate) fn deleted(deleted: &DeleteThingResponse, is_json: bool) {
    let DeleteThingResponse { key, ulid, deleted_variants, deleted_relationships } = deleted;
    if is_json {
        let mut writer = http::Writer::object();
        writer.text("name", &name(key.as_ref()));
        writer.text("ulid", ulid);
        writer.number("deleted_variants", deleted_variants);
        writer.number("deleted_relationships", deleted_relationships);
        return document(&writer.finish());
    }
    println!("deleted {}\n  ulid  {ulid}", name(key.as_ref()));
    let with = [(*deleted_variants, "variant"), (*deleted_relationships, "relationship")];
    for (number, noun) in with.into_iter().filter(|(number, _)| *number > 0) {
        println!("  with  {}", count(number.unsigned_abs() as usize, noun));
    }
}

/// A registered namespace.
pub(crate) fn namespace(namespace: &Namespace, is_json: bool) {
    if is_json {
        return document(&http::namespace(namespace));
    }
    let style = convert::style(namespace.style).unwrap_or_default();
    let mut facts = vec![("style", style.as_str().to_owned()), ("created", time(namespace.created_at.as_ref()))];
    if let Some(contents) = &namespace.contents {
        facts.push(("things", grouped(contents.things.unsigned_abs())));
        let relationships = contents.relationships.map(|count| grouped(count.unsigned_abs()));
        facts.push(("relationships", relationships.unwrap_or_default()));
        facts.push(("oldest", time(contents.first_created_at.as_ref())));
        facts.push(("changed", time(contents.last_changed_at.as_ref())));
        facts.retain(|(_, value)| !value.is_empty());
    }
    print!("{}\n{}", namespace.url, indented(&facts));
}

/// What a type's data must satisfy.
pub(crate) fn schema(schema: &Schema, is_json: bool) {
    if is_json {
        return document(&http::schema(schema));
    }
    document(&schema.schema);
}

/// What a put of a schema did.
pub(crate) fn schema_written(outcome: &str, schema: &Schema, is_json: bool) {
    if is_json {
        return self::schema(schema, true);
    }
    println!("{outcome} the schema of type {} in {}", plain(&schema.r#type), schema.ns);
}

fn visibility(word: i32) -> String {
    convert::visibility(word).unwrap_or_default().as_str().into()
}

fn indented(facts: &[(&str, String)]) -> String {
    let rows: Vec<_> = facts.iter().map(|(word, value)| vec![format!("  {word}"), plain(value)]).collect();
    table(&rows)
}

/// The members of data, one a line.
fn data(data: Option<&str>) -> String {
    let Some(Ok(Json::Object(members))) = data.map(json::parse) else { return String::new() };
    let row = |(name, value): &(Box<str>, Json)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        vec![format!("    {}", line(name, LONGEST_VALUE)), line(&text, LONGEST_VALUE)]
    };
    format!("  data\n{}", table(&members.iter().map(row).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_shown_a_member_a_line() {
        let shown = data(Some(r#"{"Title":"Software Developers","n":1.50,"list":["a"]}"#));
        assert_eq!(shown, "  data\n    Title  Software Developers\n    n      1.50\n    list   [\"a\"]\n");
        assert_eq!(data(None), "");
    }

    #[test]
    fn facts_are_aligned() {
        assert_eq!(indented(&[("type", "Note".into()), ("etag", "01X".into())]), "  type  Note\n  etag  01X\n");
    }
}
