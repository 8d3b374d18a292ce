//! Things, relationships, namespaces and conditions.

use domain::{
    Condition, Content, Data, Embedding, Invalid, Namespace, Reference, Relationship, RelationshipBody, Style, Thing,
    ThingBody, Timestamp,
};

use super::{key_to_wire, name_to_wire, reference, style_to_wire, timestamp_to_wire, visibility, visibility_to_wire};
use crate::things::v1 as wire;

/// The name and body of a thing that a client gives; output-only fields are ignored.
pub fn thing_body(thing: Option<wire::Thing>) -> Result<(Reference, ThingBody), Invalid> {
    let thing = thing.ok_or_else(|| Invalid::new("thing", "is required"))?;
    parse_thing(thing).map_err(|error| error.within("thing"))
}

fn parse_thing(thing: wire::Thing) -> Result<(Reference, ThingBody), Invalid> {
    let wire::Thing {
        key,
        r#type,
        visibility: word,
        content,
        code,
        data,
        embedding: numbers,
        created_at: _,
        updated_at: _,
        etag: _,
        url: _,
    } = thing;
    let reference = reference("key", key)?;
    let body = ThingBody {
        thing_type: r#type.parse()?,
        visibility: visibility(word)?,
        content: content.map(Content::try_from).transpose()?,
        code: code.map(|code| code.parse()).transpose()?,
        data: data.map(|data| Data::parse(&data)).transpose()?,
        embedding: embedding(numbers)?,
    };
    Ok((reference, body))
}

/// The embedding; `None` for no numbers.
pub fn embedding(numbers: Vec<f32>) -> Result<Option<Embedding>, Invalid> {
    if numbers.is_empty() { Ok(None) } else { Embedding::try_from(numbers).map(Some) }
}

/// On the wire; `url` is its canonical URL path, empty for states of the past.
pub fn thing_to_wire(thing: Thing, url: String) -> wire::Thing {
    let updated_at = thing.updated_at();
    let Thing { key, body, created_at, etag } = thing;
    let ThingBody { thing_type, visibility, content, code, data, embedding } = body;
    wire::Thing {
        key: Some(key_to_wire(&key)),
        r#type: thing_type.as_str().into(),
        visibility: visibility_to_wire(visibility).into(),
        content: content.map(|content| content.as_str().into()),
        code: code.map(|code| code.as_str().into()),
        data: data.map(|data| data.as_str().into()),
        embedding: embedding.map(|embedding| embedding.as_slice().to_vec()).unwrap_or_default(),
        created_at: Some(timestamp_to_wire(created_at)),
        updated_at: Some(timestamp_to_wire(updated_at)),
        etag: etag.to_string(),
        url,
    }
}

/// The name, ends and rest of a relationship that a client gives: its own name, `from`, `to`, and a function that
/// makes the body once the ends are resolved. Output-only fields are ignored.
pub fn relationship_body(relationship: Option<wire::Relationship>) -> Result<NewRelationship, Invalid> {
    let relationship = relationship.ok_or_else(|| Invalid::new("relationship", "is required"))?;
    parse_relationship(relationship).map_err(|error| error.within("relationship"))
}

/// A relationship as a client gives it: names are not resolved yet.
#[derive(Clone, PartialEq, Debug)]
pub struct NewRelationship {
    /// Its own name.
    pub reference: Reference,
    /// What it says.
    pub relationship_type: domain::TypeName,
    /// Where it starts.
    pub from: Reference,
    /// Where it leads.
    pub to: Reference,
    /// Who may see it.
    pub visibility: domain::Visibility,
    /// A JSON object.
    pub data: Option<Data>,
}

fn parse_relationship(relationship: wire::Relationship) -> Result<NewRelationship, Invalid> {
    let wire::Relationship {
        key,
        r#type,
        from,
        to,
        visibility: word,
        data,
        created_at: _,
        updated_at: _,
        etag: _,
        url: _,
    } = relationship;
    let bare = |field, key| reference(field, key)?.without_variant().map_err(|error| error.within(field));
    Ok(NewRelationship {
        reference: bare("key", key)?,
        relationship_type: r#type.parse()?,
        from: bare("from", from)?,
        to: bare("to", to)?,
        visibility: visibility(word)?,
        data: data.map(|data| Data::parse(&data)).transpose()?,
    })
}

/// On the wire; `url` is its URL path, empty for states of the past.
pub fn relationship_to_wire(relationship: Relationship, url: String) -> wire::Relationship {
    let updated_at = relationship.updated_at();
    let Relationship { name, body, created_at, etag } = relationship;
    let RelationshipBody { relationship_type, from, to, visibility, data } = body;
    wire::Relationship {
        key: Some(name_to_wire(&name)),
        r#type: relationship_type.as_str().into(),
        from: Some(name_to_wire(&from)),
        to: Some(name_to_wire(&to)),
        visibility: visibility_to_wire(visibility).into(),
        data: data.map(|data| data.as_str().into()),
        created_at: Some(timestamp_to_wire(created_at)),
        updated_at: Some(timestamp_to_wire(updated_at)),
        etag: etag.to_string(),
        url,
    }
}

/// On the wire.
pub fn namespace_to_wire(ns: &Namespace, style: Style, created_at: Timestamp) -> wire::Namespace {
    wire::Namespace {
        ns: ns.as_str().into(),
        style: style_to_wire(style).into(),
        created_at: Some(timestamp_to_wire(created_at)),
        url: domain::url::namespace(ns),
        contents: None,
    }
}

/// The condition of a write; at most one kind.
pub fn condition(condition: Option<wire::Condition>) -> Result<Condition, Invalid> {
    let Some(wire::Condition { etags, create_only, update_only }) = condition else { return Ok(Condition::None) };
    match (etags.as_slice(), create_only, update_only) {
        ([], false, false) => Ok(Condition::None),
        ([], true, false) => Ok(Condition::CreateOnly),
        ([], false, true) => Ok(Condition::UpdateOnly),
        ([_, ..], false, false) => {
            let rename = |place, rule| Invalid::new(format!("condition.etags[{place}]"), rule);
            let parse =
                |(place, etag): (usize, &String)| etag.parse().map_err(|error: Invalid| rename(place, error.rule));
            etags.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Condition::Etags)
        }
        _ => Err(Invalid::new("condition", "must be one of etags, create_only and update_only")),
    }
}
