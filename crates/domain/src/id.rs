//! Owns which text may name something within a namespace. Never percent-encodes.

use std::fmt;

use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::{Invalid, Style};

/// The rest of a name, in canonical form: 1 to 2,048 bytes of UTF-8 in NFC. Compared as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(Box<str>);

impl Id {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 2_048;

    /// The canonical form of `text` in a namespace of that style: a wiki reads `_` as a space.
    pub fn parse(text: &str, style: Style) -> Result<Self, Invalid> {
        match style {
            Style::Literal => Self::from_canonical(text),
            Style::Wiki => {
                let id = Self::from_canonical(&text.replace('_', " "))?;
                if id.0.starts_with(' ') || id.0.ends_with(' ') || id.0.contains("  ") {
                    let rule = "must not have leading, trailing or double spaces (or _, which is a space in a wiki)";
                    return Err(Invalid::new("id", rule));
                }
                Ok(id)
            }
        }
    }

    /// The id that `text` already is, in a namespace of either style.
    pub fn from_canonical(text: &str) -> Result<Self, Invalid> {
        let refuse = |rule: &str| Err(Invalid::new("id", rule));
        if text.is_empty() {
            return refuse("is required");
        }
        if text.len() > Self::MAX_BYTES {
            return refuse("must be at most 2,048 bytes");
        }
        if text.starts_with('/') {
            return refuse("must not start with a slash");
        }
        if text.contains('#') {
            return refuse("must not contain #, which begins a variant");
        }
        check_characters(text).map_err(|rule| Invalid::new("id", rule))?;
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The rule that a character of `text` breaks.
pub(crate) fn check_characters(text: &str) -> Result<(), &'static str> {
    if text.is_ascii() {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        return if printable { Ok(()) } else { Err("must not contain control characters") };
    }
    for character in text.chars() {
        match character.general_category() {
            GeneralCategory::Control => return Err("must not contain control characters"),
            GeneralCategory::PrivateUse => return Err("must not contain private-use characters"),
            GeneralCategory::Unassigned => return Err("must not contain unassigned characters"),
            GeneralCategory::SpaceSeparator | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
                if character != ' ' =>
            {
                return Err("must not contain a space other than U+0020");
            }
            _ if is_bidi_control(character) => return Err("must not contain bidirectional controls"),
            _ => {}
        }
    }
    if is_nfc(text) { Ok(()) } else { Err("must be in Unicode normalisation form C") }
}

/// The property `Bidi_Control` of the Unicode Character Database.
fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
