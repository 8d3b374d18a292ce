//! The one place that makes a `tonic::Status`, and that reads one back into its parts.
//!
//! Owns the mapping of reasons to codes and details; never decides *whether* to refuse.

mod foreign;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use domain::Invalid;
use proto::common::v1::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "annals";

/// Longest message in bytes. A status travels in one header list of 16 KiB: the message twice (percent-encoded, and
/// within the details), and [`VIOLATIONS_BYTES`] of violations.
const MESSAGE_BYTES: usize = 2560;

/// Most bytes of field names and rules in one refusal whose message is as long as may be; each byte that a message does not take
/// leaves room for two. What is past that is counted in the last violation.
const VIOLATIONS_BYTES: usize = 2048;

/// Why a call was refused: everything that the caller is told.
///
/// Verbs return it as their error, or turn their own error into it; `?` makes the status.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// gRPC's word for the kind of refusal.
    pub code: Code,
    /// Our word for it, stable and readable by machines.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
    /// Each field and the rule that it breaks (`google.rpc.BadRequest`).
    pub violations: Vec<Invalid>,
    /// Further facts for machines, such as the present etag (`google.rpc.ErrorInfo.metadata`).
    pub metadata: BTreeMap<String, String>,
    /// When the same call is worth another try (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
    /// The quota that is used up (`google.rpc.QuotaFailure`).
    pub quota: Option<Box<QuotaFailure>>,
}

/// Which quota of whom is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFailure {
    /// Whose: `tenant:<tenant>`.
    pub subject: String,
    /// Which, with its limit: `requests per second: 10`.
    pub description: String,
}

impl Refusal {
    /// A refusal of `reason`, with the code that goes with it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: code(reason),
            reason,
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
            quota: None,
        }
    }

    /// Fields that break rules, each named.
    pub fn invalid(violations: Vec<Invalid>) -> Self {
        let message = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { violations, ..Self::new(Reason::FieldInvalid, message) }
    }

    /// One field that breaks a rule.
    pub fn invalid_field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::from(Invalid { field: field.into(), rule: rule.into() })
    }

    /// Nothing by that name for this caller: absent, foreign and private are the same bytes.
    /// `noun` is `thing` or `relationship`; `name` is the name as the caller gave it.
    pub fn not_found(noun: &str, name: impl fmt::Display) -> Self {
        Self::new(Reason::NotFound, format!("{noun} {name} does not exist"))
    }

    /// No key, or none that counts here. Never says which part of a key was wrong.
    pub fn unauthenticated() -> Self {
        Self::new(
            Reason::Unauthenticated,
            "no valid key: send one as `authorization: Bearer annals_…` (`annals key new` makes one)",
        )
    }

    /// The key is good but has not the scope that `needed` names.
    pub fn permission_denied(needed: impl fmt::Display) -> Self {
        Self::new(Reason::PermissionDenied, format!("the key lacks {needed}"))
    }

    /// The deadline came first.
    pub fn deadline_exceeded() -> Self {
        Self::new(Reason::DeadlineExceeded, "the deadline came before the answer")
    }

    /// A queue of ours is full.
    pub fn overloaded(what: impl fmt::Display, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Reason::Overloaded, format!("{what} is full")) }
    }

    /// A quota of the tenant is used up.
    pub fn quota_exceeded(quota: QuotaFailure, retry_after: Duration) -> Self {
        let message = format!("quota used up: {}", quota.description);
        Self {
            retry_after: Some(retry_after),
            quota: Some(Box::new(quota)),
            ..Self::new(Reason::QuotaExceeded, message)
        }
    }

    /// A defect of ours: logged here with its cause under an id, and only the id is told.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let id = incident();
        tracing::error!(error.id = id, error = %cause, "internal error");
        Self::new(Reason::Internal, format!("internal error {id}"))
    }

    /// The same refusal with one more fact for machines.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same refusal with the moment when another try is worth it.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The reason as it is on the wire and in URLs: `ETAG_STALE`.
    pub fn reason_name(&self) -> &'static str {
        reason_name(self.reason)
    }

    /// The parts of a status, whoever made it: one without our `ErrorInfo` (tonic's own, a transport's) is given the
    /// reason that fits its code.
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
            return foreign::refusal(status);
        };
        Self {
            code: status.code(),
            // A reason of a later version than ours keeps its code and message.
            reason: Reason::from_str_name(&format!("REASON_{}", info.reason)).unwrap_or(Reason::Unspecified),
            message: status.message().to_owned(),
            violations: details
                .bad_request()
                .into_iter()
                .flat_map(|bad| &bad.field_violations)
                .map(|violation| Invalid { field: violation.field.clone(), rule: violation.description.clone() })
                .collect(),
            metadata: info.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            quota: details.quota_failure().and_then(|failure| failure.violations.first()).map(|violation| {
                Box::new(QuotaFailure {
                    subject: violation.subject.clone(),
                    description: violation.description.clone(),
                })
            }),
        }
    }

    /// Whether `status` already carries our `ErrorInfo`.
    pub(crate) fn explains(status: &Status) -> bool {
        status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, reason, message, violations, metadata, retry_after, quota } = refusal;
        let mut details = ErrorDetails::new();
        details.set_error_info(reason_name(reason), DOMAIN, metadata.into_iter().collect::<HashMap<_, _>>());
        let mut room = VIOLATIONS_BYTES + 2 * MESSAGE_BYTES.saturating_sub(message.len());
        for (at, violation) in violations.iter().enumerate() {
            let Some(left) = room.checked_sub(violation.field.len() + violation.rule.len()) else {
                details.add_bad_request_violation("", format!("and {} more", violations.len() - at));
                break;
            };
            room = left;
            details.add_bad_request_violation(&violation.field, &violation.rule);
        }
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        if let Some(quota) = quota {
            details.add_quota_failure_violation(quota.subject, quota.description);
        }
        Status::with_error_details(code, shortened(message), details)
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(vec![invalid])
    }
}

impl From<Vec<Invalid>> for Refusal {
    fn from(violations: Vec<Invalid>) -> Self {
        Self::invalid(violations)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The reason as it is on the wire: its proto name without the prefix.
pub fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

/// The code that goes with a reason, as its comment in the proto says.
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::FieldInvalid
        | Reason::FieldUnknown
        | Reason::PageTokenInvalid
        | Reason::CursorInvalid
        | Reason::AsOfInFuture
        | Reason::SchemaViolated
        | Reason::MethodNotAllowed
        | Reason::MediaTypeUnsupported
        | Reason::NotAcceptable => Code::InvalidArgument,
        Reason::MessageTooLarge | Reason::Overloaded | Reason::QuotaExceeded | Reason::QueryTooLarge => {
            Code::ResourceExhausted
        }
        Reason::NotFound => Code::NotFound,
        Reason::AlreadyExists => Code::AlreadyExists,
        Reason::EtagStale | Reason::RequestIdReused => Code::Aborted,
        Reason::NamespaceUnregistered
        | Reason::NamespaceStyleFixed
        | Reason::NamespaceNotEmpty
        | Reason::ImportOutOfOrder
        | Reason::NameShadowed
        | Reason::EndMissing
        | Reason::CanonicalMissing
        | Reason::RelationshipsExhausted
        | Reason::DependentsExceeded
        | Reason::SchemaBroken
        | Reason::RelayGap
        | Reason::JournalMismatch => Code::FailedPrecondition,
        Reason::RelayBehind
        | Reason::JournalUnavailable
        | Reason::StoreUnavailable
        | Reason::PeerUnavailable
        | Reason::EmbedderUnavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::PermissionDenied => Code::PermissionDenied,
        Reason::MethodUnknown => Code::Unimplemented,
        Reason::Internal | Reason::Unspecified => Code::Internal,
        Reason::Cancelled => Code::Cancelled,
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let end = message.floor_char_boundary(MESSAGE_BYTES - '…'.len_utf8());
        message.truncate(end);
        message.push('…');
    }
    message
}

/// A random word that ties what a caller was told to a line of the log.
fn incident() -> String {
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    crate::auth::hex(&bytes)
}

#[cfg(test)]
#[path = "refusal_test.rs"]
mod tests;
