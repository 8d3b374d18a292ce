//! Refusals as statuses and back.

use std::time::Duration;

use http::HeaderMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::*;

fn everything() -> Refusal {
    Refusal {
        violations: vec![Invalid { field: "thing.key.id".to_owned(), rule: "must not be empty".to_owned() }],
        quota: Some(Box::new(QuotaFailure {
            subject: "tenant:acme".to_owned(),
            description: "requests per second: 1".to_owned(),
        })),
        ..Refusal::new(Reason::EtagStale, "the etag is stale").with("etag", "01J").retry_after(Duration::from_secs(3))
    }
}

#[test]
fn a_status_gives_back_the_refusal_that_it_was_made_from() {
    let refusal = everything();
    assert_eq!(Refusal::from_status(&Status::from(refusal.clone())), refusal);
}

#[test]
fn every_reason_has_the_code_that_its_comment_in_the_proto_names() {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("the compiler's own output");
    let reasons = set.file.iter().flat_map(|file| &file.enum_type).find(|found| found.name() == "Reason");
    for value in &reasons.expect("the enum is there").value {
        let reason = Reason::try_from(value.number()).expect("generated from the same");
        assert!(Reason::from_str_name(value.name()) == Some(reason), "{}", value.name());
        assert_ne!(reason_name(reason), value.name());
    }
    assert_eq!(code(Reason::EtagStale), Code::Aborted);
    assert_eq!(code(Reason::MessageTooLarge), Code::ResourceExhausted);
    assert_eq!(code(Reason::NotFound), Code::NotFound);
}

#[test]
fn a_refusal_for_two_foreign_names_differs_only_in_the_name() {
    let bytes = |name: &str| Status::from(Refusal::not_found("thing", name)).into_http::<()>().headers().clone();
    assert_eq!(bytes("onet/15-1252.00"), bytes("onet/15-1252.00"));
    assert_eq!(Refusal::not_found("thing", "a/b").message, "thing a/b does not exist");
}

#[test]
fn the_largest_refusal_fits_into_one_header_list() {
    let violation = || Invalid { field: "things[999].data".to_owned(), rule: "é".repeat(300) };
    let status = Status::from(Refusal { message: "é".repeat(9_000), ..Refusal::invalid(vec![violation(); 1_000]) });
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).expect("no metadata");
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes < 16 * 1024, "{bytes}");
    let violations = Refusal::from_status(&status).violations;
    assert_eq!(violations.len(), 4);
    assert_eq!(violations[3].rule, "and 997 more");
}

#[test]
fn an_internal_error_tells_its_id_and_nothing_else() {
    let refusal = Refusal::internal("disk /secret/path is on fire");
    assert!(!format!("{refusal:?}").contains("secret"));
    let id = refusal.message.strip_prefix("internal error ").expect("the id follows");
    assert_eq!(id.len(), 12);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "statuses as tonic makes them")]
fn a_status_of_tonics_own_is_put_in_our_words() {
    let reason = |status: &Status| (Refusal::from_status(status).code, Refusal::from_status(status).reason);
    assert_eq!(reason(&Status::unimplemented("")), (Code::Unimplemented, Reason::MethodUnknown));
    assert_eq!(reason(&Status::unavailable("x")), (Code::Unavailable, Reason::PeerUnavailable));
    assert_eq!(reason(&Status::unknown("x")), (Code::Unknown, Reason::Internal));
    assert_eq!(
        reason(&Status::out_of_range("Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes")),
        (Code::ResourceExhausted, Reason::MessageTooLarge)
    );
    for malformed in
        ["Missing request message.", "Unexpected EOF decoding stream.", "failed to decode Protobuf message: x"]
    {
        assert_eq!(reason(&Status::internal(malformed)), (Code::InvalidArgument, Reason::FieldInvalid));
    }
}
