//! Owns which moment of the past is meant. Never reads it.

use std::{fmt, str::FromStr};

use ulid::Ulid;

use crate::{Invalid, Timestamp, parse_ulid};

/// A moment of the past: mutations up to it, inclusive, have happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AsOf {
    /// Mutations with a ULID time up to this millisecond.
    Time(Timestamp),
    /// Mutations up to this ULID.
    Ulid(Ulid),
}

impl AsOf {
    /// The greatest ULID that has happened by then.
    pub fn last_ulid(self) -> Ulid {
        match self {
            Self::Time(time) => Ulid::from_parts(time.millis() as u64, u128::MAX),
            Self::Ulid(ulid) => ulid,
        }
    }

    /// The time of it.
    pub fn time(self) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Ulid(ulid) => Timestamp::of_ulid(ulid),
        }
    }
}

impl FromStr for AsOf {
    type Err = Invalid;

    /// RFC 3339 or a ULID.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(ulid) = parse_ulid("at", text) {
            return Ok(Self::Ulid(ulid));
        }
        let time =
            text.parse().map_err(|_| Invalid::new("at", "must be RFC 3339 (2026-01-31T09:30:00.000Z) or a ULID"))?;
        Ok(Self::Time(time))
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(formatter),
            Self::Ulid(ulid) => ulid.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_includes_every_ulid_of_its_millisecond() {
        let time: Timestamp = "2026-01-31T09:30:00.500Z".parse().unwrap();
        let last = AsOf::Time(time).last_ulid();
        assert!(Ulid::from_parts(time.millis() as u64, 1) <= last);
        assert!(Ulid::from_parts(time.millis() as u64 + 1, 0) > last);
    }

    #[test]
    fn text_is_a_time_or_a_ulid() {
        let ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(ulid.parse::<AsOf>().unwrap().to_string(), ulid);
        let time = "2026-01-31T09:30:00.500Z";
        assert_eq!(time.parse::<AsOf>().unwrap().to_string(), time);
        assert_eq!("yesterday".parse::<AsOf>().unwrap_err().field, "at");
    }
}
