//! How the text of a setting becomes its value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting may have.
pub trait Setting: Sized {
    /// What a value is, in the help text: `ADDRESS`.
    const SHAPE: &'static str;

    /// The value that a text means; the error says what it must be.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value where none is given and there is no default.
    fn absent() -> Result<Self, String> {
        Err("must be given".to_owned())
    }
}

macro_rules! setting {
    ($($type:ty: $shape:literal, $rule:literal;)+) => {
        $(impl Setting for $type {
            const SHAPE: &'static str = $shape;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!(concat!("`{}` is not ", $rule), text))
            }
        })+
    };
}

setting! {
    String: "TEXT", "a text";
    PathBuf: "PATH", "a path";
    bool: "BOOL", "true or false";
    u16: "NUMBER", "a whole number up to 65535";
    u32: "NUMBER", "a whole number up to 4294967295";
    u64: "NUMBER", "a whole number";
    usize: "NUMBER", "a whole number";
    SocketAddr: "ADDRESS", "an address and port such as 127.0.0.1:8080";
}

impl Setting for http::Uri {
    const SHAPE: &'static str = "URL";

    fn from_text(text: &str) -> Result<Self, String> {
        let uri = text.parse::<Self>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
        uri.ok_or_else(|| format!("`{text}` is not a URL such as http://127.0.0.1:8082"))
    }
}

impl Setting for Duration {
    const SHAPE: &'static str = "DURATION";

    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let count: Option<u64> = digits.parse().ok();
        let millis = match &text[digits.len()..] {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let total = count.zip(millis).and_then(|(count, millis)| count.checked_mul(millis));
        total.map(Self::from_millis).ok_or_else(|| format!("`{text}` is not a duration such as 500ms, 10s, 5m or 1h"))
    }
}

impl<T: Setting> Setting for Option<T> {
    const SHAPE: &'static str = T::SHAPE;

    fn from_text(text: &str) -> Result<Self, String> {
        T::from_text(text).map(Some)
    }

    fn absent() -> Result<Self, String> {
        Ok(None)
    }
}

impl Setting for crate::auth::PeerKey {
    const SHAPE: &'static str = "KEY";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse() // The error never repeats the text: it is a secret.
    }
}
