//! Which variants a request prefers, by its languages (RFC 9110 §12.5.4, RFC 4647 lookup).
//!
//! Owns the reading of `Accept-Language`. Never knows which variants exist.

use domain::Variant;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// The most variants that are asked for.
const MAX_VARIANTS: usize = 16;

/// The variants to prefer to the canonical thing, best first: `es-MX, en;q=0.8` is `es-mx`, `es`, `en`.
///
/// `*` is satisfied by the canonical thing, so nothing behind it counts; nor does what is no language.
pub(crate) fn preferred_variants(headers: &HeaderMap) -> Vec<String> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT_LANGUAGE) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (tag, quality_of_tag) = match range.split_once(';') {
                None => (range, Some(1_000)),
                Some((tag, parameter)) => (tag, parameter.trim().strip_prefix("q=").and_then(quality)),
            };
            if let Some(quality @ 1..) = quality_of_tag {
                ranges.push((tag.trim(), quality));
            }
        }
    }
    ranges.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
    let mut variants: Vec<String> = Vec::new();
    for (tag, _) in ranges.iter().take_while(|(tag, _)| *tag != "*") {
        let mut lookup = Some(*tag);
        while let Some(tag) = lookup {
            if let Ok(variant) = tag.parse::<Variant>()
                && !variants.iter().any(|known| known == variant.as_str())
            {
                variants.push(variant.as_str().to_owned());
            }
            lookup = tag.rsplit_once('-').map(|(shorter, _)| shorter);
        }
    }
    variants.truncate(MAX_VARIANTS);
    variants
}

/// A quality between 0 and 1 with at most three decimals, in thousandths.
pub(crate) fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(accept: &str) -> Vec<String> {
        preferred_variants(&[(ACCEPT_LANGUAGE, accept.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn languages_are_looked_up_by_quality_then_order_each_then_without_its_region() {
        assert_eq!(preferred("en;q=0.8, es-MX, de-DE;q=0.9"), ["es-mx", "es", "de-de", "de", "en"]);
        assert_eq!(preferred("es-MX,es;q=0.9"), ["es-mx", "es"]);
    }

    #[test]
    fn any_language_is_the_canonical_thing_and_refused_ones_are_not_asked_for() {
        assert_eq!(preferred("es, *;q=0.5, en;q=0.1"), ["es"]);
        assert_eq!(preferred("es;q=0, en"), ["en"]);
        assert_eq!(preferred("en_US, ;;, q=1"), [""; 0]);
        assert_eq!(preferred_variants(&HeaderMap::new()), [""; 0]);
    }

    #[test]
    fn a_quality_has_three_decimals_at_most() {
        assert_eq!(
            ["0", "0.5", "1", "1.000", "0.25"].map(quality),
            [Some(0), Some(500), Some(1_000), Some(1_000), Some(250)]
        );
        assert_eq!(["2", "1.1", "0.1234", "", "-1", "a"].map(quality), [None; 6]);
    }
}
