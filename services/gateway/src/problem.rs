//! A refusal as HTTP says it: problem details (RFC 9457).
//!
//! Owns the mapping of refusals to HTTP statuses and their JSON. Never says more than the service's refusal does.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use domain::Invalid;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use proto::common::v1::Reason;
use serve::Refusal;
use tonic::{Code, Status};

use crate::json::Writer;

/// Why a request was refused.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    refusal: Box<Refusal>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self::from(Refusal::new(reason, message))
    }

    /// The resource does not take the method; `allowed` are those that it takes.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let problem = Self::new(Reason::MethodNotAllowed, format!("this resource takes {allowed}"));
        Self { header: Some((ALLOW, HeaderValue::from_static(allowed))), ..problem }
    }

    /// A reason that this problem has.
    pub(crate) fn reason(&self) -> Reason {
        self.refusal.reason
    }

    /// A refusal that a condition in the request's headers asked for.
    pub(crate) fn precondition_failed(self) -> Self {
        Self { status: StatusCode::PRECONDITION_FAILED, ..self }
    }

    /// The same, saying of what does not exist the name that the request gave: a thing's URL is answered with the same
    /// bytes whichever call found that it is absent, foreign or private.
    pub(crate) fn about(self, noun: &str, name: impl std::fmt::Display) -> Self {
        if self.refusal.reason == Reason::NotFound { Self::from(Refusal::not_found(noun, name)) } else { self }
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> String {
        let refusal = &self.refusal;
        let mut json = Writer::object();
        json.text("type", &format!("/_/reasons/{}", refusal.reason_name()));
        json.text("title", &title(refusal.reason_name()));
        json.number("status", self.status.as_u16());
        if refusal.violations.is_empty() {
            json.text("detail", &refusal.message);
        } else {
            let sentences: Vec<_> = refusal.violations.iter().map(ToString::to_string).collect();
            json.text("detail", &sentences.join("; "));
            json.array("errors", &refusal.violations, |json, Invalid { field, rule }| {
                json.text("field", field);
                json.text("rule", rule);
            });
        }
        if !refusal.metadata.is_empty() {
            json.member("metadata", |json| {
                for (key, value) in &refusal.metadata {
                    json.text(key, value);
                }
            });
        }
        json.finish()
    }
}

impl From<Refusal> for Problem {
    fn from(mut refusal: Refusal) -> Self {
        for violation in &mut refusal.violations {
            violation.field = field_over_http(&violation.field).to_owned();
            // A place in what a patch makes of data.
            if let Some(place) = violation.field.strip_prefix("data_patch/") {
                violation.field = format!("data/{place}");
            }
        }
        Self { status: status(&refusal), refusal: Box::new(refusal), header: None }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::from(Refusal::from_status(&status))
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::from(Refusal::from(invalid))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"annals\""));
        }
        if let Some(delay) = self.refusal.retry_after {
            let seconds = delay.as_millis().div_ceil(1_000).max(1);
            headers.insert(RETRY_AFTER, HeaderValue::try_from(seconds.to_string()).expect("digits are ASCII"));
        }
        headers.extend(self.header);
        response
    }
}

/// The status that `google.rpc.Code` gives to the code; some reasons have a better one.
fn status(refusal: &Refusal) -> StatusCode {
    match refusal.reason {
        Reason::MessageTooLarge => return StatusCode::PAYLOAD_TOO_LARGE,
        Reason::MethodNotAllowed => return StatusCode::METHOD_NOT_ALLOWED,
        Reason::MediaTypeUnsupported => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::NotAcceptable => return StatusCode::NOT_ACCEPTABLE,
        _ => {}
    }
    match refusal.code {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is a status"),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `ETAG_STALE` in a person's spelling: `Etag stale`.
fn title(reason: &str) -> String {
    let mut title = reason.to_lowercase().replace('_', " ");
    title[..1].make_ascii_uppercase();
    title
}

/// A field of a gRPC request as the URL or body of an HTTP request has it: `thing.key.path` is `path`,
/// `relationship.from.path` is `from`.
fn field_over_http(field: &str) -> &str {
    let field = field.strip_prefix("thing.").or_else(|| field.strip_prefix("relationship.")).unwrap_or(field);
    let field = match field {
        "bucket.width" => "bucket",
        "bucket.column" => "bucket_by",
        field => field.strip_prefix("key.").unwrap_or(field),
    };
    match field.strip_suffix(".path") {
        Some(end @ ("from" | "to")) => end,
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_broken_rule_is_named_with_its_field_as_http_knows_it() {
        let status = Status::from(Refusal::invalid_field("thing.key.id", "is required"));
        let problem = Problem::from(status);
        assert_eq!(
            problem.to_json(),
            r#"{"type":"/_/reasons/FIELD_INVALID","title":"Field invalid","status":400,"detail":"id: is required","errors":[{"field":"id","rule":"is required"}]}"#
        );
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn every_reason_has_a_status_that_fits() {
        let expected = [
            (Reason::FieldInvalid, 400),
            (Reason::MessageTooLarge, 413),
            (Reason::NotFound, 404),
            (Reason::AlreadyExists, 409),
            (Reason::EtagStale, 409),
            (Reason::NameShadowed, 400),
            (Reason::RelayBehind, 503),
            (Reason::Overloaded, 429),
            (Reason::DeadlineExceeded, 504),
            (Reason::Unauthenticated, 401),
            (Reason::PermissionDenied, 403),
            (Reason::MethodUnknown, 501),
            (Reason::Internal, 500),
            (Reason::Cancelled, 499),
            (Reason::MethodNotAllowed, 405),
            (Reason::MediaTypeUnsupported, 415),
            (Reason::NotAcceptable, 406),
        ];
        for (reason, status) in expected {
            assert_eq!(Problem::new(reason, "").status.as_u16(), status, "{reason:?}");
        }
        assert_eq!(Problem::new(Reason::EtagStale, "").precondition_failed().status.as_u16(), 412);
    }

    #[test]
    fn retry_info_is_told_in_whole_seconds() {
        let refusal = Refusal::overloaded("the queue", Duration::from_millis(1_200));
        let response = Problem::from(Status::from(refusal)).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn whatever_call_found_a_thing_absent_the_bytes_are_the_same() {
        let by_path = Problem::from(Refusal::not_found("thing", "onet/A_b")).about("thing", "onet/A_b");
        let by_key = Problem::from(Refusal::not_found("thing", "onet/A b").with("x", 1)).about("thing", "onet/A_b");
        assert_eq!(by_path.to_json(), by_key.to_json());
    }

    #[test]
    fn ends_of_relationships_are_named_as_in_the_body() {
        assert_eq!(field_over_http("relationship.from.path"), "from");
        assert_eq!(field_over_http("relationship.key.path"), "path");
        assert_eq!(field_over_http("thing.data"), "data");
        assert_eq!(field_over_http("events[3].status"), "events[3].status");
    }
}
