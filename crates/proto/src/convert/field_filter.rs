//! Conditions on fields of data.

use domain::{FieldFilter, Invalid, Scalar};

use crate::common::v1 as wire;

/// The condition of a message.
pub fn field_filter(filter: wire::FieldFilter) -> Result<FieldFilter, Invalid> {
    let wire::FieldFilter { path, any_of, from, until, is_absent } = filter;
    let scalar = |field: &str, text: &str| -> Result<Scalar, Invalid> {
        text.parse().map_err(|Invalid { rule, .. }| Invalid::new(field, rule))
    };
    let bound = |field, text: String| (!text.is_empty()).then(|| scalar(field, &text)).transpose();
    let values = any_of.iter().enumerate().map(|(at, text)| scalar(&format!("any_of[{at}]"), text));
    let values = values.collect::<Result<_, _>>()?;
    FieldFilter::new(path.parse()?, values, bound("from", from)?, bound("until", until)?, is_absent)
}

/// The message of a condition.
pub fn field_filter_to_wire(filter: &FieldFilter) -> wire::FieldFilter {
    use domain::FieldTest::{Absent, AnyOf, Exists, Within};

    let FieldFilter { path, test } = filter;
    let path = path.to_string();
    let bound = |bound: &Option<Scalar>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
    match test {
        Exists => wire::FieldFilter { path, ..Default::default() },
        Absent => wire::FieldFilter { path, is_absent: true, ..Default::default() },
        AnyOf(values) => {
            wire::FieldFilter { path, any_of: values.iter().map(ToString::to_string).collect(), ..Default::default() }
        }
        Within { from, until } => {
            wire::FieldFilter { path, from: bound(from), until: bound(until), ..Default::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_wire() {
        for text in ["/city=Berlin", "/a=[1.5,null,true,\"x\"]", "/y>=1900", "/y<\"b\"", "/y", "!/y"] {
            let filter: FieldFilter = text.parse().unwrap();
            assert_eq!(field_filter(field_filter_to_wire(&filter)), Ok(filter), "{text}");
        }
        let filter =
            wire::FieldFilter { path: "/a".into(), any_of: vec!["1".into(), "x".into()], ..Default::default() };
        assert_eq!(field_filter(filter).unwrap_err().field, "any_of[1]");
    }
}
