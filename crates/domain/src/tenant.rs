//! Owns who the data belongs to. Never decides what a tenant may do.

use std::{fmt, str::FromStr};

use crate::Invalid;

/// Who owns a row, an event or a cost: `[a-z0-9-]{1,63}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TenantId(Box<str>);

impl TenantId {
    /// The longest tenant id, in bytes.
    pub const MAX_BYTES: usize = 63;

    /// The tenant of a server that runs on loopback without keys.
    pub fn local() -> Self {
        Self("default".into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(legal) {
            return Err(Invalid::new("tenant", "must be 1 to 63 bytes of [a-z0-9-]"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
