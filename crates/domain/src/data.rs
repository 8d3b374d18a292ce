//! Owns the JSON object that a thing or relationship carries. Never knows what is in it.

use crate::{Invalid, Json, json};

/// A JSON object as compact text, at most 1 MiB. Equal if the texts are: `{"a":1}` is not `{"a":1.0}`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Data(Box<str>);

impl Data {
    /// The longest data, in bytes of its compact text.
    pub const MAX_BYTES: usize = 1 << 20;

    /// The compact form of `text`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        json::parse(text).map_err(|error| error.into_invalid("data"))?.try_into()
    }

    /// Text that [`Data::as_str`] gave, from our own store.
    pub fn trusted(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// As compact text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a member of that name is what its thing is called: `title` and `name`, in any letter case.
    pub fn is_title(member: &str) -> bool {
        member.eq_ignore_ascii_case("title") || member.eq_ignore_ascii_case("name")
    }

    /// As a value.
    pub fn to_json(&self) -> Json {
        json::parse(&self.0).expect("data is JSON")
    }
}

impl TryFrom<Json> for Data {
    type Error = Invalid;

    /// A value from [`json::parse`], whose limits hold.
    fn try_from(value: Json) -> Result<Self, Invalid> {
        if value.as_object().is_none() {
            return Err(Invalid::new("data", "must be a JSON object"));
        }
        let text = value.to_string();
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new("data", "must be at most 1 MiB as compact text"));
        }
        Ok(Self(text.into()))
    }
}
