//! Moments.

use domain::{Invalid, Timestamp};

/// The moment, cut to its millisecond; `None` where the field is absent. `field` is named in the refusal.
pub fn timestamp(field: &str, moment: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Invalid> {
    let Some(prost_types::Timestamp { seconds, nanos }) = moment else { return Ok(None) };
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Invalid::new(field, "must have nanos between 0 and 999,999,999"));
    }
    let millis = seconds.checked_mul(1_000).and_then(|millis| millis.checked_add(i64::from(nanos / 1_000_000)));
    let moment = Timestamp::from_millis(millis.unwrap_or(i64::MIN));
    moment.map(Some).map_err(|Invalid { rule, .. }| Invalid::new(field, rule))
}

/// The moment, which must be given.
pub fn required_timestamp(field: &str, moment: Option<prost_types::Timestamp>) -> Result<Timestamp, Invalid> {
    timestamp(field, moment)?.ok_or_else(|| Invalid::new(field, "is required"))
}

/// On the wire.
pub fn timestamp_to_wire(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: moment.millis().div_euclid(1_000),
        nanos: (moment.millis().rem_euclid(1_000) * 1_000_000) as i32,
    }
}
