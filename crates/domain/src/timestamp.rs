//! Owns a moment in milliseconds and its text. Never reads a clock.

use std::{fmt, str::FromStr};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::Invalid;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, between the years 1970 and 9999.
///
/// As text it is RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment `millis` after 1970, if it is in range.
    pub fn from_millis(millis: i64) -> Result<Self, Invalid> {
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(Invalid::new("time", "must be between the years 1970 and 9999"))
        }
    }

    /// The moment in a ULID's first 48 bits; those past the year 9999 count as its end.
    pub fn of_ulid(ulid: ulid::Ulid) -> Self {
        Self((ulid.timestamp_ms() as i64).min(Self::MAX.0))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `millis` more (or less, if negative), kept in range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(Self::MIN.0, Self::MAX.0))
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parsed = DateTime::parse_from_rfc3339(text)
            .map_err(|_| Invalid::new("time", "must be RFC 3339, for example 2026-01-31T09:30:00.000Z"))?;
        Self::from_millis(parsed.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0).expect("a timestamp is in range");
        formatter.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_rfc_3339_in_utc_with_milliseconds() {
        let moment: Timestamp = "2026-01-31T10:30:00.5+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-01-31T09:30:00.500Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn years_before_1970_and_after_9999_are_refused() {
        assert!(Timestamp::from_millis(-1).is_err());
        assert!(Timestamp::from_millis(Timestamp::MAX.millis() + 1).is_err());
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn half_a_date_is_refused_with_an_example() {
        let refusal = "2026-01-31".parse::<Timestamp>().unwrap_err();
        assert!(refusal.rule.contains("2026-01-31T09:30:00.000Z"), "{refusal}");
    }
}
