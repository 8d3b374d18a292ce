//! Owns the version of a state. Never compares states themselves.

use std::{fmt, str::FromStr};

use ulid::Ulid;

use crate::{Invalid, Timestamp};

/// ULID of the mutation that made a state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Etag(pub Ulid);

impl Etag {
    /// When the state was made.
    pub fn time(self) -> Timestamp {
        Timestamp::of_ulid(self.0)
    }
}

impl FromStr for Etag {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse_ulid("etag", text).map(Self)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The ULID that `text` spells in 26 characters of Crockford's base 32, in either letter case.
/// `field` is named in the refusal.
pub fn parse_ulid(field: &str, text: &str) -> Result<Ulid, Invalid> {
    let rule = "must be a ULID: 26 characters of Crockford's base 32, at most 7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    // The crate decodes larger first characters to a wrapped number.
    if text.as_bytes().first().is_some_and(|first| *first > b'7') {
        return Err(Invalid::new(field, rule));
    }
    Ulid::from_string(text).map_err(|_| Invalid::new(field, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_the_text_of_a_ulid() {
        let etag: Etag = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(etag.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(etag.time().to_string(), "2016-07-30T23:54:10.259Z");
    }

    #[test]
    fn what_is_no_ulid_is_refused_with_its_field() {
        for text in ["", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FA\u{e9}"] {
            assert_eq!(text.parse::<Etag>().unwrap_err().field, "etag", "{text}");
        }
    }
}
