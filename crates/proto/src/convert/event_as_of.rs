//! Moments of the past.

use domain::{AsOf, Invalid, parse_ulid};

use super::{timestamp, timestamp_to_wire};
use crate::events::v1 as wire;

/// The moment that a caller gives. `field` is named in refusals.
pub fn as_of(field: &str, as_of: Option<wire::AsOf>) -> Result<AsOf, Invalid> {
    let required = || Invalid::new(field, "is required");
    match as_of.and_then(|as_of| as_of.as_of).ok_or_else(required)? {
        wire::as_of::AsOf::Time(time) => {
            let time = timestamp("time", Some(time)).map_err(|error| error.within(field))?;
            time.map(AsOf::Time).ok_or_else(required)
        }
        wire::as_of::AsOf::Ulid(ulid) => parse_ulid("ulid", &ulid).map(AsOf::Ulid).map_err(|error| error.within(field)),
    }
}

/// On the wire.
pub fn as_of_to_wire(as_of: AsOf) -> wire::AsOf {
    let as_of = match as_of {
        AsOf::Time(time) => wire::as_of::AsOf::Time(timestamp_to_wire(time)),
        AsOf::Ulid(ulid) => wire::as_of::AsOf::Ulid(ulid.to_string()),
    };
    wire::AsOf { as_of: Some(as_of) }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn a_moment_survives_the_wire() {
        let time = AsOf::Time(Timestamp::from_millis(1_700_000_000_123).unwrap());
        let ulid = AsOf::Ulid(parse_ulid("ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap());
        for moment in [time, ulid] {
            assert_eq!(as_of("as_of", Some(as_of_to_wire(moment))), Ok(moment));
        }
    }

    #[test]
    fn an_absent_moment_is_refused_by_its_field() {
        for absent in [None, Some(wire::AsOf { as_of: None })] {
            assert_eq!(as_of("as_of", absent).unwrap_err().to_string(), "as_of: is required");
        }
    }
}
