//! Owns the text `ns/id#variant` where it is not known where the namespace ends. Never guesses: it offers every reading.

use std::{borrow::Cow, fmt, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::{Id, Invalid, Namespace, Variant, id};

/// A decoded path, `ns/id` or `ns/id#variant`, whose split between ns and id is unknown.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    name: Box<str>,
    variant: Variant,
}

impl Path {
    /// The longest path, in bytes, without its variant.
    pub const MAX_BYTES: usize = Namespace::MAX_BYTES + 1 + Id::MAX_BYTES;

    /// The path that a URL's path says: `/onet/Software_developer%23es`. It is decoded exactly once.
    ///
    /// `path` begins with a slash and ends before the query. A segment is read without the `~` that
    /// [`url::encode`](crate::url::encode) puts in front of it.
    pub fn decode_url(path: &str) -> Result<Self, Invalid> {
        let refuse = |rule: &str| Err(Invalid::new("path", rule));
        let Some(encoded) = path.strip_prefix('/') else {
            return refuse("must begin with a slash");
        };
        if !has_whole_escapes(encoded) {
            return refuse("must have two hexadecimal digits after each %");
        }
        let Ok(decoded) = percent_decode_str(encoded).decode_utf8() else {
            return refuse("must be UTF-8 when percent-decoded");
        };
        let (name, variant) = split_variant(&decoded)?;
        let mut segments = Vec::new();
        for segment in name.split('/') {
            segments.push(match segment {
                "" | "." | ".." => return refuse("must write a segment that is empty, . or .. with a ~ in front"),
                "~" | "~." | "~.." => &segment[1..],
                _ if segment.starts_with("~~") => &segment[1..],
                _ => segment,
            });
        }
        Self::new(&segments.join("/"), variant)
    }

    /// The name as it stands: how a name in a literal namespace is kept.
    pub fn as_is(&self) -> &str {
        &self.name
    }

    /// The name with `_` as space: how a name in a wiki namespace is kept.
    pub fn with_spaces(&self) -> Cow<'_, str> {
        if self.name.contains('_') { Cow::Owned(self.name.replace('_', " ")) } else { Cow::Borrowed(&self.name) }
    }

    /// The variant.
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The same name's `variant`; refused where the path names another one already.
    pub fn with_variant(self, variant: Variant) -> Result<Self, Invalid> {
        if self.variant.is_canonical() || self.variant == variant {
            Ok(Self { variant, ..self })
        } else {
            Err(Invalid::new("variant", "must be the one that the path names"))
        }
    }

    /// What comes before the first slash: part of the namespace in every reading.
    pub fn first_segment(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    /// Every reading as a namespace and an id (as it was given: only the style makes it canonical, see [`Id::parse`]),
    /// the longest namespace first. There is at least one.
    pub fn splits(&self) -> Vec<(Namespace, &str)> {
        let mut splits = Vec::new();
        for (slash, _) in self.name.match_indices('/') {
            let (ns, id) = (&self.name[..slash], &self.name[slash + 1..]);
            // A namespace that goes on to the right is illegal from here on.
            let Ok(ns) = ns.parse() else { break };
            if !id.is_empty() && !id.starts_with('/') {
                splits.push((ns, id));
            }
        }
        splits.reverse();
        splits
    }

    fn new(name: &str, variant: Variant) -> Result<Self, Invalid> {
        let refuse = |rule: &str| Err(Invalid::new("path", rule));
        if name.is_empty() {
            return refuse("is required");
        }
        if name.len() > Self::MAX_BYTES {
            return refuse("must be at most 2,304 bytes without its variant");
        }
        id::check_characters(name).map_err(|rule| Invalid::new("path", rule))?;
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        if let Err(Invalid { rule, .. }) = first.parse::<Namespace>() {
            return refuse(&format!("must begin with a namespace, which {rule}"));
        }
        if rest.is_empty() || rest.starts_with('/') {
            return refuse("must have an id, which must not start with a slash, after the namespace");
        }
        Ok(Self { name: name.into(), variant })
    }
}

impl FromStr for Path {
    type Err = Invalid;

    /// Reads decoded text, `onet/Software developer#es`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (name, variant) = split_variant(text)?;
        Self::new(name, variant)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if self.variant.is_canonical() { Ok(()) } else { write!(formatter, "#{}", self.variant) }
    }
}

fn split_variant(text: &str) -> Result<(&str, Variant), Invalid> {
    match text.split_once('#') {
        None => Ok((text, Variant::canonical())),
        Some((name, variant)) => Ok((name, variant.parse()?)),
    }
}

fn has_whole_escapes(encoded: &str) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = encoded.as_bytes();
    let mut escapes = encoded.match_indices('%');
    escapes.all(|(percent, _)| is_hex(bytes.get(percent + 1)) && is_hex(bytes.get(percent + 2)))
}
