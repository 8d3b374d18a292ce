//! How long a call may take: the caller's `grpc-timeout`, never more than the default for unary calls.
//!
//! Owns the reading of `grpc-timeout` and the [`Deadline`] that verbs find in the request's extensions; the layer that
//! enforces it is in `layers`.

use std::time::Duration;

use domain::Invalid;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// The longest that a unary call may take; a caller may ask for less.
pub const UNARY: Duration = Duration::from_secs(10);

/// The most that is kept back of a deadline so that an answer still arrives in time.
const MARGIN: Duration = Duration::from_millis(100);

/// The moment at which a call is answered with `DEADLINE_EXCEEDED`, whatever its verb does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Instant,
    give_up: Instant,
}

impl Deadline {
    /// `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self { at: now + timeout, give_up: now + timeout - MARGIN.min(timeout / 10) }
    }

    /// The deadline of the call that these extensions belong to; none for a stream without one.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.at
    }

    /// The moment, a little before, at which a verb that waits for something gives up, so that its own answer
    /// (`RELAY_BEHIND`) comes before the bare `DEADLINE_EXCEEDED`: 100 ms before, a tenth for short ones.
    pub fn give_up(self) -> Instant {
        self.give_up
    }

    /// What is left until the moment, for a call to another service.
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What is left, as the `grpc-timeout` of a call to another service.
    pub(crate) fn to_header(self) -> HeaderValue {
        let millis = self.remaining().as_millis().clamp(1, 99_999_999);
        HeaderValue::try_from(format!("{millis}m")).expect("digits are visible ASCII")
    }
}

/// The header of a call that says how long it may take.
pub(crate) const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The caller's `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
pub fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Invalid> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else {
        return Ok(None);
    };
    parse(value.as_bytes()).map(Some).ok_or_else(|| Invalid {
        field: "grpc-timeout".to_owned(),
        rule: "one to eight digits and a unit of H, M, S, m, u, n".to_owned(),
    })
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "deadline_test.rs"]
mod tests;
