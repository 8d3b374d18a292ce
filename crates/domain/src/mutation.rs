//! Owns what a mutation says and its JSON in an event's `data` and `metadata`. Never decides whether a write may happen.

use std::{fmt::Write as _, str::FromStr};

use ulid::Ulid;

use crate::{
    Code, Content, Data, Entity, EntityKind, Etag, Invalid, Json, JsonText, Name, Relationship, RelationshipBody,
    Thing, ThingBody, Timestamp, Visibility, json,
};

/// That a thing or relationship was created, updated or deleted, with its state before and after.
#[derive(Clone, PartialEq, Debug)]
pub struct Mutation {
    /// Its id, the etag of the state that it made.
    pub ulid: Ulid,
    /// What was changed.
    pub entity: Entity,
    /// The state before, if there was one.
    pub before: Option<State>,
    /// The state after, if there is one.
    pub after: Option<State>,
    /// Who asked for it, and why.
    pub provenance: Provenance,
}

/// What a mutation did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MutationType {
    /// The name had no state before.
    Created,
    /// The state changed.
    Updated,
    /// The name has no state afterwards.
    Deleted,
}

impl MutationType {
    /// `created`, `updated` or `deleted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for MutationType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|mutation_type| mutation_type.as_str() == text)
            .ok_or_else(|| Invalid::new("mutation_type", "must be created, updated or deleted"))
    }
}

/// The state of a thing (without its embedding) or of a relationship.
#[derive(Clone, PartialEq, Debug)]
pub enum State {
    /// Of a thing.
    Thing(Thing),
    /// Of a relationship.
    Relationship(Relationship),
}

/// Who asked for a change, by which request, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provenance {
    /// Id of the principal.
    pub actor: Box<str>,
    /// Id of the request.
    pub request_id: Box<str>,
    /// Why; empty if nobody said.
    pub cause: Box<str>,
}

impl Mutation {
    /// What it did, by the states.
    pub fn mutation_type(&self) -> MutationType {
        match (&self.before, &self.after) {
            (None, _) => MutationType::Created,
            (Some(_), Some(_)) => MutationType::Updated,
            (Some(_), None) => MutationType::Deleted,
        }
    }

    /// The newest state that is known: after, or the last one of a deleted name.
    pub fn latest(&self) -> Option<&State> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// The event's `data`: `{"before":…,"after":…}`.
    pub fn data(&self) -> JsonText {
        let mut text = String::from("{\"before\":");
        write_state(&mut text, self.before.as_ref());
        text.push_str(",\"after\":");
        write_state(&mut text, self.after.as_ref());
        text.push('}');
        JsonText::trusted(text)
    }

    /// The event's `metadata`: `actor`, `request_id`, `cause`, and whether the state after has an embedding.
    pub fn metadata(&self) -> JsonText {
        let mut text = String::from("{\"actor\":");
        json::write_string(&mut text, &self.provenance.actor);
        text.push_str(",\"request_id\":");
        json::write_string(&mut text, &self.provenance.request_id);
        text.push_str(",\"cause\":");
        json::write_string(&mut text, &self.provenance.cause);
        let has_embedding = matches!(&self.after, Some(State::Thing(thing)) if thing.body.embedding.is_some());
        let _ = write!(text, ",\"has_embedding\":{has_embedding}}}");
        JsonText::trusted(text)
    }

    /// Whether an event's `metadata` says that the state after has an embedding, which things has.
    pub fn has_embedding(metadata: &str) -> bool {
        object("metadata", metadata).is_ok_and(|mut known| take(&mut known, "has_embedding") == Some(Json::Bool(true)))
    }

    /// The mutation that an event of ours says, from its `data` and `metadata`.
    pub fn from_event(ulid: Ulid, entity: Entity, data: &str, metadata: &str) -> Result<Self, Invalid> {
        let mut states = object("data", data)?;
        let mut state = |name| match take(&mut states, name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(members)) => {
                read_state(&entity, members).map(Some).map_err(|error| error.within(name).within("data"))
            }
            Some(_) => Err(Invalid::new(format!("data.{name}"), "must be an object or null")),
        };
        let (before, after) = (state("before")?, state("after")?);
        if before.is_none() && after.is_none() {
            return Err(Invalid::new("data", "must have a state before or after"));
        }
        let mut known = object("metadata", metadata)?;
        let mut word = |name| text(&mut known, name).map_err(|error| error.within("metadata"));
        let provenance = Provenance { actor: word("actor")?, request_id: word("request_id")?, cause: word("cause")? };
        Ok(Self { ulid, entity, before, after, provenance })
    }
}

impl State {
    /// Who may see it.
    pub fn visibility(&self) -> Visibility {
        match self {
            Self::Thing(thing) => thing.body.visibility,
            Self::Relationship(relationship) => relationship.body.visibility,
        }
    }

    /// The mutation that made it.
    pub fn etag(&self) -> Etag {
        match self {
            Self::Thing(thing) => thing.etag,
            Self::Relationship(relationship) => relationship.etag,
        }
    }
}

fn write_state(text: &mut String, state: Option<&State>) {
    let (type_name, visibility, data, created_at, etag) = match state {
        None => return text.push_str("null"),
        Some(State::Thing(Thing { key: _, body, created_at, etag })) => {
            (&body.thing_type, body.visibility, &body.data, created_at, etag)
        }
        Some(State::Relationship(Relationship { name: _, body, created_at, etag })) => {
            (&body.relationship_type, body.visibility, &body.data, created_at, etag)
        }
    };
    text.push_str("{\"type\":");
    json::write_string(text, type_name.as_str());
    let _ = write!(text, ",\"visibility\":\"{}\"", visibility.as_str());
    match state {
        Some(State::Thing(thing)) => {
            write_text_member(text, "content", thing.body.content.as_ref().map(Content::as_str));
            write_text_member(text, "code", thing.body.code.as_ref().map(Code::as_str));
        }
        Some(State::Relationship(relationship)) => {
            write_end(text, "from", &relationship.body.from);
            write_end(text, "to", &relationship.body.to);
        }
        None => {}
    }
    if let Some(data) = data {
        let _ = write!(text, ",\"data\":{}", data.as_str());
    }
    let _ = write!(text, ",\"created_at\":\"{created_at}\",\"etag\":\"{etag}\"}}");
}

fn write_text_member(text: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    let _ = write!(text, ",\"{name}\":");
    json::write_string(text, value);
}

fn write_end(text: &mut String, end: &str, name: &Name) {
    let _ = write!(text, ",\"{end}\":{{\"ns\":\"{}\",\"id\":", name.ns);
    json::write_string(text, name.id.as_str());
    text.push('}');
}

type Members = Vec<(Box<str>, Json)>;

fn read_state(entity: &Entity, mut members: Members) -> Result<State, Invalid> {
    let type_name = text(&mut members, "type")?.parse()?;
    let visibility = text(&mut members, "visibility")?.parse()?;
    let data = take(&mut members, "data").map(Data::try_from).transpose()?;
    let created_at: Timestamp = text(&mut members, "created_at")?.parse()?;
    let etag: Etag = text(&mut members, "etag")?.parse()?;
    match entity.kind {
        EntityKind::Thing => {
            let content = optional_text(&mut members, "content")?.map(Content::try_from).transpose()?;
            let code = optional_text(&mut members, "code")?.map(|code| code.parse()).transpose()?;
            let body = ThingBody { thing_type: type_name, visibility, content, code, data, embedding: None };
            Ok(State::Thing(Thing { key: entity.key.clone(), body, created_at, etag }))
        }
        EntityKind::Relationship => {
            let (from, to) = (read_end(&mut members, "from")?, read_end(&mut members, "to")?);
            let body = RelationshipBody { relationship_type: type_name, from, to, visibility, data };
            Ok(State::Relationship(Relationship { name: entity.key.name(), body, created_at, etag }))
        }
    }
}

fn read_end(members: &mut Members, end: &str) -> Result<Name, Invalid> {
    let Some(Json::Object(mut name)) = take(members, end) else {
        return Err(Invalid::new(end, "must be an object"));
    };
    let parsed = text(&mut name, "ns")
        .and_then(|ns| ns.parse())
        .and_then(|ns| Ok(Name { ns, id: crate::Id::from_canonical(&text(&mut name, "id")?)? }));
    parsed.map_err(|error| error.within(end))
}

fn object(field: &str, value: &str) -> Result<Members, Invalid> {
    // Two levels more than `data` of a thing may have: this object and the state.
    match json::parse_to_depth(value, json::MAX_DEPTH + 2).map_err(|error| error.into_invalid(field))? {
        Json::Object(members) => Ok(members),
        _ => Err(Invalid::new(field, "must be a JSON object")),
    }
}

fn take(members: &mut Members, name: &str) -> Option<Json> {
    let index = members.iter().position(|(known, _)| &**known == name)?;
    Some(members.swap_remove(index).1)
}

fn text(members: &mut Members, name: &str) -> Result<Box<str>, Invalid> {
    match take(members, name) {
        Some(Json::String(value)) => Ok(value),
        _ => Err(Invalid::new(name, "must be a string")),
    }
}

fn optional_text(members: &mut Members, name: &str) -> Result<Option<String>, Invalid> {
    match take(members, name) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value.into())),
        Some(_) => Err(Invalid::new(name, "must be a string")),
    }
}

#[cfg(test)]
#[path = "mutation_test.rs"]
mod tests;
