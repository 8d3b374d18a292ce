//! The parameters of a URL.
//!
//! Owns their decoding and shapes. An unknown one is refused, and one that is doubled but a condition: it would be ignored silently
//! otherwise.

use std::str::FromStr;

use domain::{AsOf, FieldFilter, Invalid, Timestamp};
use percent_encoding::percent_decode_str;
use proto::common::v1::{self as common, Reason};
use proto::convert::field_filter_to_wire;
use serve::Refusal;

use crate::json;
use crate::problem::Problem;

/// A condition on a field: there may be several.
pub(crate) const WHERE: &str = "where";

/// Decoded parameters (`+` is a space).
pub(crate) struct Query(Vec<(String, String)>);

/// Which page of a list is wanted; zero and empty are the service's defaults.
pub(crate) struct Page {
    pub(crate) size: i32,
    pub(crate) token: String,
}

impl Query {
    /// The parameters of a raw query.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Invalid> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| Invalid::new("query", "must be UTF-8"))?;
            let value = decode(value).ok_or_else(|| Invalid::new(&name, "must be UTF-8"))?;
            if name != WHERE && parameters.iter().any(|(known, _)| *known == name) {
                return Err(Invalid::new(name, "must be given once"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Refuses parameters that are not `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let Some((name, _)) = self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) else { return Ok(()) };
        let rule = json::unknown(name, known);
        let refusal = Refusal::invalid_field(name, rule);
        Err(Refusal { reason: Reason::FieldUnknown, ..refusal }.into())
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The conditions on fields of data.
    pub(crate) fn conditions(&self) -> Result<Vec<common::FieldFilter>, Invalid> {
        let texts = self.0.iter().filter(|(name, _)| name == WHERE);
        let filter = |(_, text): &(String, String)| {
            let filter: Result<FieldFilter, Invalid> = text.parse();
            filter.map(|filter| field_filter_to_wire(&filter)).map_err(|Invalid { rule, .. }| Invalid::new(WHERE, rule))
        };
        texts.map(filter).collect()
    }

    /// The text of a parameter; empty if it is not there.
    pub(crate) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    /// A parameter that is parsed.
    pub(crate) fn parsed<T: FromStr<Err = Invalid>>(&self, name: &str) -> Result<Option<T>, Invalid> {
        let parse = |text: &str| text.parse().map_err(|Invalid { rule, .. }| Invalid::new(name, rule));
        self.text(name).map(parse).transpose()
    }

    /// A moment of the past: RFC 3339 or a ULID.
    pub(crate) fn as_of(&self, name: &str) -> Result<Option<AsOf>, Invalid> {
        self.moment(name)
    }

    /// A time: RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Invalid> {
        self.moment(name)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Invalid> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Invalid::new(name, "must be true or false")),
        }
    }

    /// A whole number.
    pub(crate) fn whole_number(&self, name: &str) -> Result<Option<i32>, Invalid> {
        let parse = |text: &str| text.parse().map_err(|_| Invalid::new(name, "must be a whole number"));
        self.text(name).map(parse).transpose()
    }

    /// `page_size` and `page_token`.
    pub(crate) fn page(&self) -> Result<Page, Invalid> {
        let size = match self.text("page_size") {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=1_000).contains(size))
                .ok_or_else(|| Invalid::new("page_size", "must be a whole number from 1 to 1,000"))?,
        };
        Ok(Page { size, token: self.text_or_empty("page_token") })
    }

    fn moment<T: FromStr<Err = Invalid>>(&self, name: &str) -> Result<Option<T>, Invalid> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let moment = with_offset(text).parse().map_err(|Invalid { rule, .. }| Invalid::new(name, rule))?;
        Ok(Some(moment))
    }
}

/// A time whose offset was typed with a bare `+`, which a query reads as a space: `…T10:30:00 01:00`.
fn with_offset(text: &str) -> String {
    match text.len().checked_sub("+01:00".len()) {
        Some(at) if at > "2026-01-31".len() && text.as_bytes()[at] == b' ' => {
            format!("{}+{}", &text[..at], &text[at + 1..])
        }
        _ => text.to_owned(),
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::parse(Some("type=a+b%2Bc%2525&at=")).unwrap();
        assert_eq!(query.text("type"), Some("a b+c%25"));
        assert_eq!((query.text("at"), query.text("to")), (Some(""), None));
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_nearest_known_name() {
        let problem = Query::parse(Some("page_siz=3")).unwrap().only(&["page_size", "type"]).unwrap_err();
        assert_eq!(problem.reason(), Reason::FieldUnknown);
        assert!(problem.to_json().contains("page_size is the nearest"));
    }

    #[test]
    fn a_doubled_or_malformed_parameter_is_refused_by_name() {
        assert_eq!(Query::parse(Some("at=1&at=2")).err().unwrap().field, "at");
        assert_eq!(Query::parse(Some("at=%ff")).err().unwrap().field, "at");
        for (raw, field) in
            [("page_size=0", "page_size"), ("page_size=1001", "page_size"), ("page_size=x", "page_size")]
        {
            assert_eq!(Query::parse(Some(raw)).unwrap().page().err().unwrap().field, field);
        }
        assert_eq!(Query::parse(Some("from=yesterday")).unwrap().as_of("from").unwrap_err().field, "from");
    }

    #[test]
    fn a_time_with_a_bare_plus_in_its_offset_is_understood() {
        let expected: AsOf = "2026-01-31T09:30:00.000Z".parse().unwrap();
        for raw in ["at=2026-01-31T10:30:00+01:00", "at=2026-01-31T10:30:00%2B01:00", "at=2026-01-31T09:30:00Z"] {
            assert_eq!(Query::parse(Some(raw)).unwrap().as_of("at").unwrap(), Some(expected), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(raw in "\\PC{0,40}") {
            if let Ok(query) = Query::parse(Some(&raw)) {
                let _ = (query.as_of("at"), query.page(), query.only(&["at"]));
            }
        }

        #[test]
        fn no_moment_makes_it_panic(text in "\\PC{0,40}") {
            let _ = with_offset(&text);
        }
    }
}
