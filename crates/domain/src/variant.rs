//! Owns which representation of a thing is meant. Never a version in time.

use std::{fmt, str::FromStr};

use crate::Invalid;

/// Another representation of the same thing: `[a-z0-9-]{1,64}`, or the canonical one, whose text is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Variant(Box<str>);

impl Variant {
    /// The longest variant, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The canonical representation.
    pub fn canonical() -> Self {
        Self::default()
    }

    /// Whether this is the canonical representation.
    pub fn is_canonical(&self) -> bool {
        self.0.is_empty()
    }

    /// As text; empty for the canonical one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Variant {
    type Err = Invalid;

    /// Upper-case letters are folded, so that `es-MX` is `es-mx`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(legal) {
            return Err(Invalid::new("variant", "must match [a-z0-9-]{1,64}"));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
