//! Owns a position in commit order and its text. Never says what stands there.

use std::{fmt, str::FromStr};

use crate::Invalid;

/// A position in commit order: after `offset` events of the journal of `epoch`. Opaque to clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cursor {
    /// Raised when a journal takes over from another.
    pub epoch: u64,
    /// How many events come before it.
    pub offset: u64,
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refusal = || Invalid::new("cursor", "must be a cursor that an answer gave");
        let number = |hex: &str| {
            let lower_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !lower_hex || hex.len() > 1 && hex.starts_with('0') {
                return Err(refusal());
            }
            u64::from_str_radix(hex, 16).map_err(|_| refusal())
        };
        let (epoch, offset) = text.strip_prefix('c').and_then(|rest| rest.split_once('-')).ok_or_else(refusal)?;
        Ok(Self { epoch: number(epoch)?, offset: number(offset)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "c{:x}-{:x}", self.epoch, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_has_one_form() {
        let cursor = Cursor { epoch: 1, offset: u64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "c", "c1", "c1-", "c01-2", "c1-0x2", "c1-+2", "c1-2-3", "C1-2", "c1-10000000000000000"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
