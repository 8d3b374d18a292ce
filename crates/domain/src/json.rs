//! Owns JSON as Annals keeps it: key order and number lexemes as given, one compact text. Never knows what a value means.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use crate::Invalid;

mod merge;
mod parse;

pub use merge::merge_patch;
pub use parse::{parse, parse_to_depth};

/// The deepest nesting of arrays and objects that [`parse`] takes.
pub const MAX_DEPTH: usize = 64;
/// The most digits of a number.
pub const MAX_DIGITS: usize = 64;
/// The largest exponent of a number, by magnitude.
pub const MAX_EXPONENT: u32 = 308;

/// A JSON value. Two are equal if their compact texts are: `1` is not `1.0`, and the order of keys counts.
///
/// `Display` gives the compact text: no white space, in strings the mandatory escapes only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Box<str>),
    /// A string, unescaped.
    String(Box<str>),
    /// An array.
    Array(Vec<Json>),
    /// An object, in its own key order.
    Object(Vec<(Box<str>, Json)>),
}

impl Json {
    /// A string.
    pub fn string(text: impl Into<Box<str>>) -> Self {
        Self::String(text.into())
    }

    /// An object of these members, whose keys must differ.
    pub fn object<K: Into<Box<str>>, V: Into<Self>>(members: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Object(members.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let (_, value) = self.as_object()?.iter().find(|(known, _)| &**known == key)?;
        Some(value)
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[(Box<str>, Self)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The items of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The truth of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The double nearest to a number.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(lexeme) = self { lexeme.parse().ok() } else { None }
    }

    /// A number written as an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(lexeme) = self { lexeme.parse().ok() } else { None }
    }

    /// A number written as an integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(lexeme) = self { lexeme.parse().ok() } else { None }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(lexeme) => out.push_str(lexeme),
            Self::String(text) => write_string(out, text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

impl From<bool> for Json {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl From<Vec<Self>> for Json {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

/// Appends `text` as a JSON string: quotes, and the mandatory escapes only.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut unwritten = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[unwritten..index]);
        unwritten = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\x08' => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\x0c' => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            control => write!(out, "\\u{control:04x}").expect("a string takes all that is written"),
        }
    }
    out.push_str(&text[unwritten..]);
    out.push('"');
}

/// Why a text is not JSON that Annals takes, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule} (at byte {offset})")]
pub struct Error {
    /// The rule, as it continues a field's name: `must not repeat the key "a"`.
    pub rule: Cow<'static, str>,
    /// Where it is broken, in bytes from the start of the text.
    pub offset: usize,
}

impl Error {
    /// The refusal of `field`, which holds the text.
    pub fn into_invalid(self, field: &str) -> Invalid {
        Invalid::new(field, self.to_string())
    }
}
