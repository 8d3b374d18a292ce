//! Statuses that are not ours, put in our words: tonic's own, a transport's, another server's.

use proto::common::v1::Reason;
use tonic::{Code, Status};

use super::Refusal;

/// What `status` says, in our words.
pub(super) fn refusal(status: &Status) -> Refusal {
    let message = status.message();
    match status.code() {
        Code::Unimplemented => Refusal::new(Reason::MethodUnknown, or(message, "no such method")),
        // tonic's words for a message above the limit that its service was built with.
        Code::OutOfRange if message.contains("message length too large") => {
            Refusal::new(Reason::MessageTooLarge, message)
        }
        Code::Internal if is_malformed(message) => Refusal::invalid_field("request", message),
        Code::InvalidArgument | Code::OutOfRange => {
            Refusal { code: status.code(), ..Refusal::invalid_field("request", message) }
        }
        code => Refusal { code, ..Refusal::new(reason_of(code), or(message, code.description())) },
    }
}

/// Whether tonic says of a request that it is not the message that it should be, which it calls an internal error.
fn is_malformed(message: &str) -> bool {
    let words = [
        "failed to decode Protobuf message",
        "protocol error: received message with ",
        "Missing request message.",
        "Unexpected EOF decoding stream.",
    ];
    words.iter().any(|words| message.starts_with(words))
}

fn reason_of(code: Code) -> Reason {
    match code {
        Code::NotFound => Reason::NotFound,
        Code::AlreadyExists => Reason::AlreadyExists,
        Code::ResourceExhausted => Reason::Overloaded,
        Code::Unavailable => Reason::PeerUnavailable,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::PermissionDenied => Reason::PermissionDenied,
        Code::Cancelled => Reason::Cancelled,
        _ => Reason::Internal,
    }
}

fn or<'a>(message: &'a str, otherwise: &'a str) -> &'a str {
    if message.is_empty() { otherwise } else { message }
}
