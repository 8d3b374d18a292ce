//! Owns the state of a thing and the rules of its fields. Never stores it.

use std::{fmt, str::FromStr};

use crate::{Data, Etag, Invalid, Key, Timestamp};

/// The state of one name.
#[derive(Clone, PartialEq, Debug)]
pub struct Thing {
    /// Its name.
    pub key: Key,
    /// What is kept.
    pub body: ThingBody,
    /// When the name's present life began.
    pub created_at: Timestamp,
    /// The mutation that made this state; its time is the state's.
    pub etag: Etag,
}

impl Thing {
    /// When this state was made: the etag's time, so that a state rebuilt from history has the same.
    pub fn updated_at(&self) -> Timestamp {
        self.etag.time()
    }
}

/// What a client gives of a thing: two equal bodies are the same state.
#[derive(Clone, PartialEq, Debug)]
pub struct ThingBody {
    /// What kind of thing it is.
    pub thing_type: TypeName,
    /// Who may see it.
    pub visibility: Visibility,
    /// Text for people.
    pub content: Option<Content>,
    /// A word that another system knows it by.
    pub code: Option<Code>,
    /// A JSON object.
    pub data: Option<Data>,
    /// A vector given by the client; never part of events.
    pub embedding: Option<Embedding>,
}

/// Who may see a thing or a relationship. Readers of the namespace see all three.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Visibility {
    /// Everybody who may call at all.
    #[default]
    Public,
    /// Readers of the namespace.
    Private,
    /// Everybody who knows the exact name.
    Unlisted,
}

impl Visibility {
    /// `public`, `private` or `unlisted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Unlisted => "unlisted",
        }
    }
}

impl FromStr for Visibility {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "unlisted" => Ok(Self::Unlisted),
            _ => Err(Invalid::new("visibility", "must be public, private or unlisted")),
        }
    }
}

/// The type of a thing or relationship: 1 to 255 bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TypeName(Box<str>);

impl TypeName {
    /// The longest type, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TypeName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("type", "is required"));
        }
        if text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(Invalid::new("type", "must be 1 to 255 bytes without control characters"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Text for people, at most 1 MiB, without NUL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content(Box<str>);

impl Content {
    /// The longest content, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Content {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new("content", "must be at most 1 MiB"));
        }
        if text.contains('\0') {
            return Err(Invalid::new("content", "must not contain NUL"));
        }
        Ok(Self(text.into()))
    }
}

/// A word that another system knows a thing by: 1 to 255 bytes without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code(Box<str>);

impl Code {
    /// The longest code, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(Invalid::new("code", "must be 1 to 255 bytes without control characters"));
        }
        Ok(Self(text.into()))
    }
}

/// A vector given by the client: 1 to 4,096 finite numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct Embedding(Box<[f32]>);

impl Embedding {
    /// The most dimensions.
    pub const MAX_DIMENSIONS: usize = 4_096;

    /// Its numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = Invalid;

    fn try_from(numbers: Vec<f32>) -> Result<Self, Invalid> {
        if numbers.is_empty() || numbers.len() > Self::MAX_DIMENSIONS {
            return Err(Invalid::new("embedding", "must have 1 to 4,096 numbers"));
        }
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(Invalid::new("embedding", "must have finite numbers only"));
        }
        Ok(Self(numbers.into()))
    }
}
