//! Owns texts that are never shown. Never knows what they open.

use std::{fmt, str::FromStr};

use super::Setting;

/// A text that is never shown: printable ASCII without spaces.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The error never repeats the text.
        let is_one = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one { Ok(Self(text.into())) } else { Err("must be printable ASCII without spaces".into()) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Setting for Secret {
    const SHAPE: &'static str = "SECRET";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = "wJalrXUtnFEMI/K7MDENG".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert!(!"two words".parse::<Secret>().unwrap_err().contains("words"));
    }
}
