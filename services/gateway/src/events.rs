//! `/_/events`.
//!
//! Owns how events are appended and asked for over HTTP.

use axum::body::Body;
use axum::response::Response;
use domain::Invalid;
use http::StatusCode;
use proto::convert::{entity_kind_to_wire, timestamp_to_wire};
use proto::events::v1::{AppendRequest, AppendResponse, Order, QueryRequest, QueryResponse};

use crate::body::{self, apart};
use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::{Gateway, reply};

const JSON: &str = "application/json";
const NDJSON: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// POST: a JSON array of records, or one a line. All or none are stored.
pub(crate) async fn append(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    call.query(&[])?;
    let media_type = body::declared_type(call.headers(), &[JSON, NDJSON[0], NDJSON[1], NDJSON[2]])?;
    let body = body::read(call, body).await?;
    let read = if media_type == JSON { json::read_events } else { json::read_lines };
    let events = apart(body.len(), body, move |body| read(&body)).await?;
    let answer = gateway.events().append(call.request(AppendRequest { events, relay: None })).await?;
    let AppendResponse { ulids, cursor, duplicates } = answer.into_inner();
    let mut json = Writer::with_capacity(64 + 32 * ulids.len());
    json.texts("ulids", ulids.iter().map(String::as_str));
    json.text("cursor", &cursor);
    json.numbers("duplicates", duplicates);
    let mut response = reply::json(StatusCode::OK, json.finish());
    if let Some(last) = ulids.last() {
        reply::set(&mut response, reply::ANNALS_ULID, last);
    }
    Ok(response)
}

/// GET and HEAD.
pub(crate) async fn query(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query =
        call.query(&["from", "to", "event_type", "ns", "id", "kind", "order", "page_size", "page_token", "wait_for"])?;
    let page = query.page()?;
    let kind = kind(&query)?;
    let order = match query.text("order") {
        None | Some("oldest_first") => Order::OldestFirst,
        Some("newest_first") => Order::NewestFirst,
        Some(_) => return Err(Invalid::new("order", "must be oldest_first or newest_first").into()),
    };
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let request = QueryRequest {
        from: query.time("from")?.map(timestamp_to_wire),
        to: query.time("to")?.map(timestamp_to_wire),
        event_types: event_types(&query),
        entity_ns: query.text_or_empty("ns"),
        entity_id: query.text_or_empty("id"),
        entity_kind: kind,
        order: order.into(),
        page_size: page.size,
        page_token: page.token,
        wait_for: query.text_or_empty("wait_for"),
    };
    let QueryResponse { events, next_page_token, cost: _ } =
        gateway.events().query(call.request(request)).await?.into_inner();
    let mut json = Writer::with_capacity(16 << 10);
    json.array("items", &events, json::event);
    json.text("next_page_token", &next_page_token);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// `?event_type=log,error`.
pub(crate) fn event_types(query: &Query) -> Vec<String> {
    words(query.text("event_type").unwrap_or_default()).map(str::to_owned).collect()
}

/// `?kind=thing`, on the wire; any without.
pub(crate) fn kind(query: &Query) -> Result<i32, Invalid> {
    let kind = query.text("kind").map(json::read_kind).transpose();
    let kind = kind.map_err(|Invalid { rule, .. }| Invalid::new("kind", rule))?;
    Ok(kind.map(|kind| entity_kind_to_wire(kind).into()).unwrap_or_default())
}

/// `a,b`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}
