//! `/_/events/tail`: events as they come, as server-sent events.
//!
//! Owns their text. Each carries the cursor to resume after as its id; so does a heartbeat, which is a comment.

use axum::body::Body;
use axum::response::Response;
use domain::Invalid;
use futures::StreamExt as _;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use proto::events::v1::{Start, SubscribeRequest, SubscribeResponse};
use tonic::Status;

use crate::call::Call;
use crate::events::event_types;
use crate::json::{self, Writer};
use crate::problem::Problem;
use crate::{Gateway, reply};

/// What a browser sends when it comes again: the id of the last event that it had.
const LAST_EVENT_ID: &str = "last-event-id";

/// First of all: how many milliseconds a client waits before it comes again.
const OPENING: &str = "retry: 1000\n\n";

/// GET.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&["cursor", "start", "event_type", "ns", "id"])?;
    let start = match query.text("start") {
        None | Some("now") => Start::Now,
        Some("beginning") => Start::Beginning,
        Some(_) => return Err(Invalid::new("start", "must be now or beginning").into()),
    };
    let resumed = call.headers().get(LAST_EVENT_ID).map(HeaderValue::to_str).transpose();
    let resumed = resumed.map_err(|_| Invalid::new("Last-Event-ID", "must be a cursor that an answer gave"))?;
    let request = SubscribeRequest {
        cursor: resumed.map_or_else(|| query.text_or_empty("cursor"), str::to_owned),
        start: start.into(),
        event_types: event_types(&query),
        entity_ns: query.text_or_empty("ns"),
        entity_id: query.text_or_empty("id"),
        all_tenants: false,
    };
    let messages = gateway.events().subscribe(call.stream(request)).await?.into_inner();
    let texts = messages.map(|message| Ok::<_, std::convert::Infallible>(text(message)));
    let opening = futures::stream::iter([Ok(OPENING.to_owned())]);
    // The process's drain waits for open answers; this one would never end by itself.
    let drained = gateway.0.draining.clone().cancelled_owned();
    let body = Body::from_stream(opening.chain(texts.take_until(drained)));
    let mut response = reply::with_type(StatusCode::OK, "text/event-stream", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn text(message: Result<SubscribeResponse, Status>) -> String {
    match message {
        Ok(SubscribeResponse { event: Some(event), cursor }) => {
            let mut json = Writer::with_capacity(1_024);
            json::event(&mut json, &event);
            format!("id: {cursor}\ndata: {}\n\n", json.finish())
        }
        Ok(SubscribeResponse { event: None, cursor }) => format!(": heartbeat\nid: {cursor}\n\n"),
        Err(status) => format!("event: error\ndata: {}\n\n", Problem::from(status).to_json()),
    }
}

#[cfg(test)]
mod tests {
    use proto::events::v1::Event;

    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_with_the_cursor_to_resume_after() {
        let event = Event { event_type: "log".into(), error_message: "a\nb".into(), ..Event::default() };
        let text = text(Ok(SubscribeResponse { event: Some(event), cursor: "c1-7".into() }));
        assert!(text.starts_with("id: c1-7\ndata: {\"ulid\":\"\",\"event_type\":\"log\""), "{text}");
        assert!(text.ends_with("}\n\n") && text.trim_end().lines().count() == 2, "{text}");
    }

    #[test]
    fn a_heartbeat_moves_the_cursor_without_an_event() {
        let heartbeat = SubscribeResponse { event: None, cursor: "c1-9".into() };
        assert_eq!(text(Ok(heartbeat)), ": heartbeat\nid: c1-9\n\n");
    }

    #[test]
    fn a_stream_that_fails_says_why() {
        let status = serve::Refusal::new(proto::common::v1::Reason::CursorInvalid, "no such cursor");
        let text = text(Err(status.into()));
        assert!(text.starts_with("event: error\ndata: {\"type\":\"/_/reasons/CURSOR_INVALID\""), "{text}");
    }
}
