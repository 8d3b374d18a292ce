//! Changes of a thing.

use domain::{Code, Content, Embedding, Invalid, Json, Reference, TypeName, Visibility, json};

use super::{embedding, reference, visibility};
use crate::things::v1 as wire;

/// The fields that a patch is of.
const MASK: &str = "update_mask";

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

    /// Removes the field where nothing was to become of it.
    fn or_clear(self) -> Self {
        match self {
            Self::Keep => Self::Clear,
            other => other,
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
        update_mask,
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
    if let Some(mask) = update_mask {
        if !clear.is_empty() {
            return Err(Invalid::new(MASK, "must not be given with clear"));
        }
        return Ok((reference, masked(&patch, mask.paths)?));
    }
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

/// Of a patch what its mask names; what that names and the patch has not is cleared.
fn masked(patch: &ThingPatch, paths: Vec<String>) -> Result<ThingPatch, Invalid> {
    let mut masked = ThingPatch::default();
    for path in paths {
        let stays = || Invalid::new(MASK, format!("must not name {path}, which is not given: it cannot be removed"));
        match path.as_str() {
            "type" => masked.thing_type = Some(patch.thing_type.clone().ok_or_else(stays)?),
            "visibility" => masked.visibility = Some(patch.visibility.ok_or_else(stays)?),
            "content" => masked.content = patch.content.clone().or_clear(),
            "code" => masked.code = patch.code.clone().or_clear(),
            "data" => masked.data = patch.data.clone().or_clear(),
            "embedding" => masked.embedding = patch.embedding.clone().or_clear(),
            _ => return Err(Invalid::new(MASK, "must name type, visibility, content, code, data or embedding")),
        }
    }
    Ok(masked)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of_fields(paths: &[&str]) -> Result<ThingPatch, Invalid> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let key = Some(crate::common::v1::Key { ns: "a".into(), id: "b".into(), ..Default::default() });
        let request = wire::PatchThingRequest {
            key,
            r#type: Some("Note".into()),
            content: Some("one".into()),
            code: Some("x".into()),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        thing_patch(request).map(|(_, patch)| patch)
    }

    #[test]
    fn a_mask_keeps_what_it_does_not_name_and_removes_what_it_names_and_is_not_given() {
        let content = || Edit::Set("one".to_owned().try_into().unwrap());
        let patch = of_fields(&["content", "data", "embedding"]).unwrap();
        let expected =
            ThingPatch { content: content(), data: Edit::Clear, embedding: Edit::Clear, ..Default::default() };
        assert_eq!(patch, expected);
        let patch = of_fields(&["type", "content", "content"]).unwrap();
        assert_eq!(
            patch,
            ThingPatch { thing_type: Some("Note".parse().unwrap()), content: content(), ..Default::default() }
        );
        assert_eq!(of_fields(&[]).unwrap(), ThingPatch::default());
    }

    #[test]
    fn a_mask_names_what_there_is_and_can_be_removed() {
        for path in ["visibility", "etag", ""] {
            assert_eq!(of_fields(&[path]).unwrap_err().field, "update_mask", "{path}");
        }
    }
}
