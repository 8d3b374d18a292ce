//! Entity tags (RFC 9110 §8.8.3 and §13): `"<ULID>"`, and `"<ULID>;md"` for other representations of the same state.
//!
//! Owns their reading and comparison. Never compares states.

use domain::{Etag, Invalid};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};
use proto::things::v1 as wire;

/// A ULID that no state has: the condition of a list of tags of which none can match.
const NEVER: &str = "00000000000000000000000000";

/// What a read does, by its conditions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Answer with the representation.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not the one that the client wants.
    Failed,
}

/// What a read of the representation with the tag `current` (without quotes) does.
pub(crate) fn judge(headers: &HeaderMap, current: &str) -> Result<Verdict, Invalid> {
    match tags(headers, &IF_MATCH)? {
        None | Some(Tags::Any) => {}
        // Strong comparison: a weak tag matches nothing.
        Some(Tags::Listed(tags)) if tags.iter().any(|tag| !tag.is_weak && tag.opaque == current) => {}
        Some(Tags::Listed(_)) => return Ok(Verdict::Failed),
    }
    let has_it = match tags(headers, &IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::Listed(tags)) => tags.iter().any(|tag| tag.opaque == current),
    };
    Ok(if has_it { Verdict::NotModified } else { Verdict::Proceed })
}

/// What a write asks for: `If-Match` a state (of any representation) or any state, `If-None-Match: *` none.
pub(crate) fn condition(headers: &HeaderMap) -> Result<Option<wire::Condition>, Invalid> {
    let (matching, none_matching) = (tags(headers, &IF_MATCH)?, tags(headers, &IF_NONE_MATCH)?);
    match (matching, none_matching) {
        (None, None) => Ok(None),
        (Some(Tags::Any), None) => Ok(Some(wire::Condition { update_only: true, ..wire::Condition::default() })),
        (Some(Tags::Listed(tags)), None) => {
            let mut etags: Vec<_> = tags.iter().filter_map(Tag::state).collect();
            if etags.is_empty() {
                etags.push(NEVER.to_owned());
            }
            Ok(Some(wire::Condition { etags, ..wire::Condition::default() }))
        }
        (None, Some(Tags::Any)) => Ok(Some(wire::Condition { create_only: true, ..wire::Condition::default() })),
        (None, Some(Tags::Listed(_))) => Err(Invalid::new("If-None-Match", "must be * on a write")),
        (Some(_), Some(_)) => Err(Invalid::new("If-Match", "must not come with If-None-Match on a write")),
    }
}

enum Tags<'a> {
    Any,
    Listed(Vec<Tag<'a>>),
}

struct Tag<'a> {
    is_weak: bool,
    opaque: &'a str,
}

impl Tag<'_> {
    /// The etag of the state that it is of, if a strong tag of ours.
    fn state(&self) -> Option<String> {
        let state = self.opaque.split(';').next()?;
        (!self.is_weak && state.parse::<Etag>().is_ok()).then(|| state.to_owned())
    }
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Tags<'a>>, Invalid> {
    let spelled = if name == IF_MATCH { "If-Match" } else { "If-None-Match" };
    let refuse = || Invalid::new(spelled, "must be * or a list of tags in double quotes");
    let mut listed: Option<Vec<Tag<'a>>> = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| refuse())?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        parse(text, listed.get_or_insert_default()).ok_or_else(refuse)?;
    }
    Ok(listed.map(Tags::Listed))
}

/// Appends the tags of a list; an opaque tag may hold commas.
fn parse<'a>(mut text: &'a str, tags: &mut Vec<Tag<'a>>) -> Option<()> {
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(());
        }
        let weak = text.strip_prefix("W/");
        let (opaque, rest) = weak.unwrap_or(text).strip_prefix('"')?.split_once('"')?;
        if opaque.contains([' ', '\t']) {
            return None;
        }
        tags.push(Tag { is_weak: weak.is_some(), opaque });
        text = rest.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    fn read(name: &HeaderName, value: &str) -> Verdict {
        judge(&headers(name, &[value]), ULID).unwrap()
    }

    #[test]
    fn none_match_compares_weakly_and_each_representation_has_its_own_tag() {
        assert_eq!(read(&IF_NONE_MATCH, &format!("\"{ULID}\"")), Verdict::NotModified);
        assert_eq!(read(&IF_NONE_MATCH, &format!("\"a,b\" , W/\"{ULID}\"")), Verdict::NotModified);
        assert_eq!(read(&IF_NONE_MATCH, "*"), Verdict::NotModified);
        assert_eq!(read(&IF_NONE_MATCH, &format!("\"{ULID};md\"")), Verdict::Proceed);
        assert_eq!(judge(&HeaderMap::new(), ULID), Ok(Verdict::Proceed));
    }

    #[test]
    fn match_compares_strongly() {
        assert_eq!(read(&IF_MATCH, &format!("\"{ULID}\"")), Verdict::Proceed);
        assert_eq!(read(&IF_MATCH, "*"), Verdict::Proceed);
        assert_eq!(read(&IF_MATCH, &format!("W/\"{ULID}\"")), Verdict::Failed);
        assert_eq!(read(&IF_MATCH, "\"x\""), Verdict::Failed);
    }

    #[test]
    fn tags_of_several_lines_count_together() {
        let headers = headers(&IF_NONE_MATCH, &["\"a\"", &format!("\"{ULID}\"")]);
        assert_eq!(judge(&headers, ULID), Ok(Verdict::NotModified));
    }

    #[test]
    fn a_write_asks_for_states_of_any_representation() {
        let listed = condition(&headers(&IF_MATCH, &[&format!("\"{ULID};html\", \"other\"")])).unwrap().unwrap();
        assert_eq!(listed.etags, [ULID]);
        assert!(condition(&headers(&IF_MATCH, &["*"])).unwrap().unwrap().update_only);
        assert!(condition(&headers(&IF_NONE_MATCH, &["*"])).unwrap().unwrap().create_only);
        assert_eq!(condition(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_write_whose_tags_cannot_match_has_a_condition_that_never_holds() {
        for value in ["\"other\"", &format!("W/\"{ULID}\""), ""] {
            assert_eq!(condition(&headers(&IF_MATCH, &[value])).unwrap().unwrap().etags, [NEVER], "{value}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in [ULID, "\"a", "\"a\" \"b\"", "w/\"a\"", "\"a b\"", "*, \"a\""] {
            assert!(judge(&headers(&IF_NONE_MATCH, &[value]), ULID).is_err(), "{value}");
        }
        assert!(condition(&headers(&IF_NONE_MATCH, &["\"a\""])).is_err());
    }

    proptest! {
        #[test]
        fn every_tag_of_a_list_is_found(tags in proptest::collection::vec("[!#-~]{0,8}", 1..6), weak: bool) {
            let mark = if weak { "W/" } else { "" };
            let list = tags.iter().map(|tag| format!("{mark}\"{tag}\"")).collect::<Vec<_>>().join(" , ");
            let headers = headers(&IF_NONE_MATCH, &[&list]);
            for tag in &tags {
                prop_assert_eq!(judge(&headers, tag), Ok(Verdict::NotModified));
            }
        }
    }
}
