//! `/_/reasons/{reason}`: what the reason of a refusal means.
//!
//! Owns the page; the text is the comment of the reason in the proto.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use proto::common::v1::Reason;

use crate::json::Writer;

/// What each value of the enum says, by its name.
static COMMENTS: LazyLock<HashMap<String, String>> = LazyLock::new(comments);

/// What a reason means, as JSON; none if there is no such reason.
pub(crate) fn page(name: &str) -> Option<String> {
    let full_name = format!("REASON_{name}");
    let reason = Reason::from_str_name(&full_name).filter(|reason| *reason != Reason::Unspecified)?;
    let comment = COMMENTS.get(&full_name).map(String::as_str).unwrap_or_default();
    let mut json = Writer::object();
    json.text("reason", serve::refusal::reason_name(reason));
    json.text("text", comment);
    Some(json.finish())
}

fn comments() -> HashMap<String, String> {
    /// Numbers of fields in `descriptor.proto`, of which the path to a place in a file is made.
    const ENUM_OF_FILE: i32 = 5;
    const VALUE_OF_ENUM: i32 = 2;

    let set =
        FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is the compiler's own output");
    let declares = |file: &&FileDescriptorProto| file.enum_type.iter().any(|declared| declared.name() == "Reason");
    let file = set.file.iter().find(declares).expect("a proto declares the reasons");
    let locations = file.source_code_info.as_ref().map_or(&[][..], |info| &info.location);
    let mut comments = HashMap::new();
    for location in locations {
        if let [ENUM_OF_FILE, at_enum, VALUE_OF_ENUM, at_value] = location.path[..] {
            let value = &file.enum_type[at_enum as usize].value[at_value as usize];
            let comment = location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ");
            comments.insert(value.name().to_owned(), comment);
        }
    }
    comments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained() {
        for number in 1.. {
            let Ok(reason) = Reason::try_from(number) else {
                assert!(number > 20, "the reasons are numbered without gaps");
                return;
            };
            let name = serve::refusal::reason_name(reason);
            assert!(COMMENTS.get(reason.as_str_name()).is_some_and(|comment| comment.len() > 20), "{name}");
            assert!(page(name).is_some());
        }
    }

    #[test]
    fn what_is_no_reason_has_no_page() {
        for name in ["", "UNSPECIFIED", "etag_stale", "REASON_NOT_FOUND"] {
            assert_eq!(page(name), None, "{name}");
        }
        assert!(page("ETAG_STALE").unwrap().starts_with(r#"{"reason":"ETAG_STALE","text":"ABORTED: the etag"#));
    }
}
