//! Answers over HTTP.
//!
//! Owns the headers that answers of one kind share.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::call::Call;
use crate::etag::{self, Verdict};
use crate::negotiate::Representation;
use crate::problem::Problem;
use proto::common::v1::Reason;

/// Every write says with this header which mutation it made, or which one made the state that it found as it should be.
pub(crate) const ANNALS_ULID: HeaderName = HeaderName::from_static("annals-ulid");

/// `created`, `replaced`, `unchanged` or `deleted`.
pub(crate) const ANNALS_OUTCOME: HeaderName = HeaderName::from_static("annals-outcome");

/// JSON.
pub(crate) fn json(status: StatusCode, text: String) -> Response {
    with_type(status, Representation::Json.media_type(), text)
}

/// Text of a media type.
pub(crate) fn with_type(status: StatusCode, media_type: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 308 to the canonical URL, with the query as it was.
pub(crate) fn redirect(call: &Call, url: &str) -> Response {
    let location = match call.raw_query() {
        Some(query) => format!("{url}?{query}"),
        None => url.to_owned(),
    };
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    set(&mut response, LOCATION, &location);
    response
}

/// The state with the etag `state` as the representation whose tag adds `suffix`, rendered unless the request's
/// conditions make that needless.
pub(crate) async fn state(
    call: &Call,
    state: &str,
    suffix: &str,
    render: impl AsyncFnOnce() -> Response,
) -> Result<Response, Problem> {
    let tag = format!("{state}{suffix}");
    let mut response = match etag::judge(call.headers(), &tag)? {
        Verdict::Proceed => render().await,
        Verdict::NotModified => empty(StatusCode::NOT_MODIFIED),
        Verdict::Failed => {
            let problem = Problem::new(Reason::EtagStale, "the etag is not one of If-Match");
            return Err(problem.precondition_failed());
        }
    };
    set(&mut response, ETAG, &format!("\"{tag}\""));
    Ok(response)
}

/// Says that the answer depends on headers of the request.
pub(crate) fn vary(response: &mut Response, on: &'static str) {
    response.headers_mut().insert(VARY, HeaderValue::from_static(on));
}

/// Says where what the answer shows lives.
pub(crate) fn locate(response: &mut Response, url: &str) {
    set(response, CONTENT_LOCATION, url);
}

/// Sets a header to ASCII of ours; nothing, and what is none (of a service of another version?), is left out.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if value.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}
