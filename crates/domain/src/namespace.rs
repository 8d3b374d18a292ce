//! Owns what a namespace is called and how it spells its ids. Never knows which are registered.

use std::{fmt, str::FromStr};

use crate::Invalid;

/// A domain-like prefix of names: `[a-z0-9.-]+(/[a-z0-9.-]+)*`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// The longest namespace, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// First segments that belong to the web, not to anybody's names.
    const RESERVED: [&str; 3] = [".well-known", "favicon.ico", "robots.txt"];

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes before the first slash.
    pub fn first_segment(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// Whether it has no slash, so that it may be registered on the way.
    pub fn is_single_segment(&self) -> bool {
        !self.0.contains('/')
    }
}

impl FromStr for Namespace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        let refuse = |rule: &str| Err(Invalid::new("ns", rule));
        if text.is_empty() {
            return refuse("is required");
        }
        if text.len() > Self::MAX_BYTES {
            return refuse("must be at most 255 bytes");
        }
        for segment in text.split('/') {
            if segment.is_empty() || !segment.bytes().all(legal) {
                return refuse("must match [a-z0-9.-]+(/[a-z0-9.-]+)*");
            }
            if segment == "." || segment == ".." {
                return refuse("must not have a segment . or ..");
            }
        }
        let namespace = Self(text.into());
        if Self::RESERVED.contains(&namespace.first_segment()) {
            return refuse("must not be .well-known, favicon.ico or robots.txt, which are reserved");
        }
        Ok(namespace)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How the ids of a namespace are spelled in URLs; fixed when it is registered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Style {
    /// `_` is a space.
    #[default]
    Wiki,
    /// `_` is `_`, a space is `%20`.
    Literal,
}

impl Style {
    /// `wiki` or `literal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wiki => "wiki",
            Self::Literal => "literal",
        }
    }
}

impl FromStr for Style {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "wiki" => Ok(Self::Wiki),
            "literal" => Ok(Self::Literal),
            _ => Err(Invalid::new("style", "must be wiki or literal")),
        }
    }
}
