//! Changes of a thing.

use domain::{Code, Content, Embedding, Invalid, Json, Reference, TypeName, Visibility, json};

use super::{embedding, reference, visibility};
use crate::things::v1 as wire;

/// Which fields of a thing a client changes, and how.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ThingPatch {
    /// New type.
    pub thing_type: Option<TypeName>,
    /// New visibility.
    pub visibility: Option<Visibility>,
    /// What becomes of the content.
    pub content: Edit<Content>,
    /// What becomes of the code.
    pub code: Edit<Code>,
    /// What becomes of the data: an object that is merged into it (RFC 7396).
    pub data: Edit<Json>,
    /// What becomes of the embedding.
    pub embedding: Edit<Embedding>,
}

/// What becomes of an optional field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// Nothing.
    #[default]
    Keep,
    /// It is removed.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Edit<T> {
    /// The field after the edit, where setting it means replacing it.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// The name and the changes that a client gives; `condition`, `request_id` and `cause` are not looked at.
pub fn thing_patch(request: wire::PatchThingRequest) -> Result<(Reference, ThingPatch), Invalid> {
    let wire::PatchThingRequest {
        key,
        r#type,
        visibility: word,
        content,
        code,
        data_patch,
        embedding: numbers,
        clear,
        condition: _,
        request_id: _,
        cause: _,
    } = request;
    let reference = reference("key", key)?;
    let mut patch = ThingPatch {
        thing_type: r#type.map(|name| name.parse()).transpose()?,
        visibility: if word == 0 { None } else { Some(visibility(word)?) },
        content: set(content.map(Content::try_from).transpose()?),
        code: set(code.map(|code| code.parse()).transpose()?),
        data: set(data_patch.map(|text| object("data_patch", &text)).transpose()?),
        embedding: set(embedding(numbers)?),
    };
    for field in clear {
        match field.as_str() {
            "content" => clear_field(&mut patch.content, &field)?,
            "code" => clear_field(&mut patch.code, &field)?,
            "data" => clear_field(&mut patch.data, &field)?,
            "embedding" => clear_field(&mut patch.embedding, &field)?,
            _ => return Err(Invalid::new("clear", "must be content, code, data or embedding")),
        }
    }
    Ok((reference, patch))
}

fn set<T>(value: Option<T>) -> Edit<T> {
    value.map_or(Edit::Keep, Edit::Set)
}

fn clear_field<T>(edit: &mut Edit<T>, field: &str) -> Result<(), Invalid> {
    if matches!(edit, Edit::Set(_)) {
        return Err(Invalid::new("clear", format!("must not name {field}, which is set too")));
    }
    *edit = Edit::Clear;
    Ok(())
}

fn object(field: &str, text: &str) -> Result<Json, Invalid> {
    if text.len() > domain::Data::MAX_BYTES {
        return Err(Invalid::new(field, "must be at most 1 MiB"));
    }
    let value = json::parse(text).map_err(|error| error.into_invalid(field))?;
    if value.as_object().is_none() {
        return Err(Invalid::new(field, "must be a JSON object"));
    }
    Ok(value)
}
