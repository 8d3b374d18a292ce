//! Which representation a request accepts (RFC 9110 §12.5.1).
//!
//! Owns the reading of `Accept`. Never renders.

use domain::Invalid;
use http::HeaderMap;
use http::header::ACCEPT;
use proto::common::v1::Reason;

use crate::problem::Problem;

/// A representation, in the order of our preference among those that a request accepts equally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Representation {
    /// `application/json`.
    Json,
    /// `text/markdown`: the content as it is.
    Markdown,
    /// `text/html`: a page for people.
    Html,
}

impl Representation {
    /// All that a thing with content has.
    pub(crate) const OF_THING: [Self; 3] = [Self::Json, Self::Markdown, Self::Html];
    /// All that a thing without content has.
    pub(crate) const WITHOUT_CONTENT: [Self; 2] = [Self::Json, Self::Html];
    /// All that anything else has.
    pub(crate) const JSON: [Self; 1] = [Self::Json];

    /// As `Content-Type` says it.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// What it adds to the etag of a state.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Markdown => ";md",
            Self::Html => ";html",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Markdown => ("text", "markdown"),
            Self::Html => ("text", "html"),
        }
    }
}

/// The representation of those `offered` that the request likes best: by quality, then by how exactly it names one,
/// then by our order.
pub(crate) fn choose(headers: &HeaderMap, offered: &[Representation]) -> Result<Representation, Problem> {
    let mut ranges = Vec::new();
    let mut has_accept = false;
    for value in headers.get_all(ACCEPT) {
        has_accept = true;
        let text = value.to_str().map_err(|_| refuse())?;
        if text == "*/*" {
            ranges.push(Range { of: ("*", "*"), quality: WHOLE });
            continue;
        }
        for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            ranges.extend(Range::parse(range)?);
        }
    }
    if !has_accept {
        return Ok(offered[0]);
    }
    let mut best = None;
    for representation in offered {
        let (quality, exactness) = liking(*representation, &ranges);
        if quality > 0 && best.is_none_or(|(liking, _)| (quality, exactness) > liking) {
            best = Some(((quality, exactness), *representation));
        }
    }
    best.map(|(_, representation)| representation).ok_or_else(|| not_acceptable(offered))
}

/// The quality 1, in thousandths.
const WHOLE: u16 = 1_000;

struct Range<'a> {
    of: (&'a str, &'a str),
    quality: u16,
}

impl<'a> Range<'a> {
    /// A media range with its quality; `None` for one with parameters that ours have not.
    fn parse(text: &'a str) -> Result<Option<Self>, Invalid> {
        let mut parts = text.split(';').map(str::trim);
        let of = parts.next().and_then(|range| range.split_once('/')).ok_or_else(refuse)?;
        let mut quality = WHOLE;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.eq_ignore_ascii_case("q") {
                quality = crate::language::quality(value).ok_or_else(refuse)?;
                break;
            }
            if !name.eq_ignore_ascii_case("charset") || !value.trim_matches('"').eq_ignore_ascii_case("utf-8") {
                return Ok(None);
            }
        }
        Ok(Some(Self { of, quality }))
    }

    /// How exactly it names the representation: 2 by both words, 1 by the first, 0 by none; `None`: not at all.
    fn exactness(&self, representation: Representation) -> Option<u8> {
        let (kind, name) = representation.words();
        match self.of {
            ("*", "*") => Some(0),
            (first, "*") if first.eq_ignore_ascii_case(kind) => Some(1),
            (first, second) if first.eq_ignore_ascii_case(kind) && second.eq_ignore_ascii_case(name) => Some(2),
            _ => None,
        }
    }
}

/// Quality and exactness of the range that names the representation most exactly; nothing if none does.
fn liking(representation: Representation, ranges: &[Range<'_>]) -> (u16, u8) {
    let mut found = (0, 0);
    let mut named = None;
    for range in ranges {
        let exactness = range.exactness(representation);
        if exactness.is_some() && exactness > named {
            named = exactness;
            found = (range.quality, exactness.unwrap_or(0));
        }
    }
    found
}

fn refuse() -> Invalid {
    Invalid::new("Accept", "must be a list of media ranges with qualities between 0 and 1")
}

fn not_acceptable(offered: &[Representation]) -> Problem {
    let names: Vec<_> =
        offered.iter().map(|offered| offered.words()).map(|(kind, name)| format!("{kind}/{name}")).collect();
    Problem::new(Reason::NotAcceptable, format!("there is {} only", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use proptest::prelude::*;

    use super::Representation::{Html, Json, Markdown};
    use super::*;

    fn chosen(accept: &str) -> Option<Representation> {
        let headers = [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
        choose(&headers, &Representation::OF_THING).ok()
    }

    #[test]
    fn json_is_what_everybody_gets_who_does_not_care() {
        assert_eq!(choose(&HeaderMap::new(), &Representation::OF_THING).unwrap(), Json);
        for accept in ["*/*", "application/*", "*/*;q=0.1", "text/plain, */*", "text/html;level=1, */*"] {
            assert_eq!(chosen(accept), Some(Json), "{accept}");
        }
    }

    #[test]
    fn a_browser_gets_html() {
        let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(chosen(accept), Some(Html));
        assert_eq!(chosen("text/html, */*"), Some(Html));
    }

    #[test]
    fn quality_counts_before_order_and_the_most_exact_range_counts() {
        assert_eq!(chosen("application/json;q=0.5, text/markdown;q=0.9"), Some(Markdown));
        assert_eq!(chosen("text/*, text/markdown;q=0"), Some(Html));
        assert_eq!(chosen("*/*, application/json;q=0"), Some(Markdown));
        assert_eq!(chosen("Text/HTML;charset=UTF-8;q=1.000"), Some(Html));
    }

    #[test]
    fn what_we_have_not_is_not_acceptable_and_what_is_no_range_is_invalid() {
        let of = |accept: &str| {
            let headers = [(ACCEPT, accept.parse().unwrap())].into_iter().collect();
            choose(&headers, &Representation::WITHOUT_CONTENT).unwrap_err().into_response().status().as_u16()
        };
        assert_eq!(of("image/png"), 406);
        assert_eq!(of("text/markdown"), 406);
        assert_eq!(of("*/*;q=0"), 406);
        assert_eq!(of("json"), 400);
        assert_eq!(of("*/*;q=2"), 400);
    }

    proptest! {
        #[test]
        fn no_accept_makes_it_panic(accept in "[ -~]{0,60}") {
            let _ = chosen(&accept);
        }
    }
}
