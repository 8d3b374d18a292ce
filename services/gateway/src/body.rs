//! Bodies of requests: their media type, their size, and where they are parsed.
//!
//! Owns the limit, which is checked before and while a body is read. Never looks into a body.

use axum::body::Body;
use bytes::Bytes;
use domain::Invalid;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use proto::common::v1::Reason;

use crate::call::Call;
use crate::problem::Problem;

/// The largest body, as the largest message of a service.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// What takes longer than half a millisecond to parse or render, and so must not hold up other requests.
const LARGE: usize = 128 << 10;

/// What is read of a body that is too large and thrown away, so that its sender comes to read the answer.
const MAX_DISCARDED: usize = 32 << 20;

/// The body of a request, whole.
pub(crate) async fn read(call: &Call, body: Body) -> Result<Bytes, Problem> {
    read_up_to(MAX_BYTES, call, body).await
}

/// The body of a request, whole, of so many bytes at most.
pub(crate) async fn read_up_to(most: usize, call: &Call, mut body: Body) -> Result<Bytes, Problem> {
    let length = call.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        discard(body).await;
        return Err(too_large(most));
    }
    match Limited::new(&mut body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(most))
        }
        Err(_) => Err(Invalid::new("body", "must be sent to its end").into()),
    }
}

/// Reads what is left of a body, or so much of it that its sender is hardly in good faith. The request's deadline ends it.
async fn discard(mut body: Body) {
    let mut read = 0;
    while read < MAX_DISCARDED
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// The one of `taken` that the body is of; the first if the request names none. Media types are in lower case.
pub(crate) fn media_type(headers: &HeaderMap, taken: &[&'static str]) -> Result<&'static str, Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Problem::new(Reason::MediaTypeUnsupported, "bodies are taken without content encoding only"));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(taken[0]) };
    let (essence, parameters) =
        value.to_str().ok().map(|value| value.split_once(';').unwrap_or((value, ""))).unwrap_or_default();
    let is_utf_8 = parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let known = taken.iter().find(|known| essence.trim().eq_ignore_ascii_case(known));
    known.filter(|_| is_utf_8).copied().ok_or_else(|| {
        Problem::new(Reason::MediaTypeUnsupported, format!("the body must be {} in UTF-8", taken.join(" or ")))
    })
}

/// As [`media_type`], of a request that names one: a page of another site may send a body without a type, but never one of
/// these types, without being asked.
pub(crate) fn declared_type(headers: &HeaderMap, taken: &[&'static str]) -> Result<&'static str, Problem> {
    if !headers.contains_key(CONTENT_TYPE) {
        let (last, others) = taken.split_last().expect("a body has a type");
        let all = if others.is_empty() { (*last).to_owned() } else { format!("{} or {last}", others.join(", ")) };
        return Err(Invalid::new("Content-Type", format!("is required: {all}")).into());
    }
    media_type(headers, taken)
}

/// What `work` makes of `input`, of so many bytes: large ones do not hold up other requests.
pub(crate) async fn apart<I, O>(bytes: usize, input: I, work: impl FnOnce(I) -> O + Send + 'static) -> O
where
    I: Send + 'static,
    O: Send + 'static,
{
    if bytes < LARGE {
        return work(input);
    }
    match tokio::task::spawn_blocking(move || work(input)).await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(Reason::MessageTooLarge, format!("body: must be at most {} MiB", most >> 20))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn of(content_type: &str) -> Option<&'static str> {
        let headers = [(CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        media_type(&headers, &["application/json", "application/x-ndjson"]).ok()
    }

    #[test]
    fn a_media_type_is_known_in_any_letter_case_and_with_its_charset() {
        assert_eq!(of("application/json"), Some("application/json"));
        assert_eq!(of("Application/X-NDJSON; charset=\"UTF-8\""), Some("application/x-ndjson"));
        assert_eq!(media_type(&HeaderMap::new(), &["application/json"]).unwrap(), "application/json");
    }

    #[test]
    fn others_and_encoded_bodies_are_unsupported() {
        for content_type in
            ["text/plain", "application/json; charset=latin1", "json", "application/x-www-form-urlencoded"]
        {
            assert_eq!(of(content_type), None, "{content_type}");
        }
        let encoded = [(CONTENT_ENCODING, "gzip".parse().unwrap())].into_iter().collect();
        assert_eq!(media_type(&encoded, &["application/json"]).unwrap_err().into_response().status().as_u16(), 415);
    }
}
