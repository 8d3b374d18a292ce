//! `/_/search`, `/{ns}/?q=` and `/{ns}/{id}?view=similar`.
//!
//! Owns how a search is spelled in a URL. Never ranks.

use axum::body::Body;
use axum::response::Response;
use domain::{Invalid, Namespace};
use http::StatusCode;
use proto::common::v1::Key;
use proto::convert::timestamp_to_wire;
use proto::search::v1::{Mode, SearchRequest, SearchResponse, SimilarRequest};

use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::{Gateway, body, reply};

/// Parameters of the first two.
const KNOWN: [&str; 7] = ["q", "mode", "type", "updated_from", "updated_until", "top_k", "wait_for"];
/// Parameters of the last.
const OF_SIMILAR: [&str; 10] =
    ["view", "variant", "mode", "ns", "ns_prefix", "type", "updated_from", "updated_until", "top_k", "wait_for"];

/// GET and HEAD of `/_/search`.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    answer(gateway, call, anywhere(call)?).await
}

/// POST of `/_/search`: as GET, near the vector of the body.
pub(crate) async fn read_near(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    let request = anywhere(call)?;
    body::media_type(call.headers(), &["application/json"])?;
    let body = body::read(call, body).await?;
    let vector = json::read_vector(json::parse("", &body)?)?;
    answer(gateway, call, SearchRequest { vector, ..request }).await
}

fn anywhere(call: &Call) -> Result<SearchRequest, Problem> {
    let query = call.query(&[&KNOWN[..], &["ns", "ns_prefix"]].concat())?;
    let (ns, ns_prefix) = (query.text_or_empty("ns"), query.text_or_empty("ns_prefix"));
    Ok(SearchRequest { ns, ns_prefix, ..request(&query)? })
}

/// Whether the things of a namespace are searched, not listed.
pub(crate) fn is_asked(call: &Call) -> Result<bool, Invalid> {
    Ok(Query::parse(call.raw_query())?.text("q").is_some())
}

/// GET and HEAD of a namespace with `q`.
pub(crate) async fn read_in(gateway: &Gateway, call: &Call, ns: &Namespace) -> Result<Response, Problem> {
    let query = call.query(&KNOWN)?;
    answer(gateway, call, SearchRequest { ns: ns.as_str().to_owned(), ..request(&query)? }).await
}

async fn answer(gateway: &Gateway, call: &Call, request: SearchRequest) -> Result<Response, Problem> {
    negotiate::choose(call.headers(), &Representation::JSON)?;
    Ok(hits(&gateway.search().search(call.request(request)).await?.into_inner()))
}

/// The things that are most like one; `query` is the URL's.
pub(crate) async fn similar(
    gateway: &Gateway,
    call: &Call,
    key: Option<Key>,
    query: SearchRequest,
) -> Result<Response, Problem> {
    let SearchRequest { mode, ns, ns_prefix, types, updated_from, updated_until, top_k, wait_for, .. } = query;
    let request = SimilarRequest { key, mode, ns, ns_prefix, types, updated_from, updated_until, top_k, wait_for };
    Ok(hits(&gateway.search().similar(call.request(request)).await?.into_inner()))
}

fn hits(answer: &SearchResponse) -> Response {
    let mut json = Writer::with_capacity(4 << 10);
    json.array("items", &answer.hits, json::hit);
    reply::json(StatusCode::OK, json.finish())
}

/// Which things, of those that are like one.
pub(crate) fn of_similar(query: &Query) -> Result<SearchRequest, Problem> {
    query.only(&OF_SIMILAR)?;
    let (ns, ns_prefix) = (query.text_or_empty("ns"), query.text_or_empty("ns_prefix"));
    Ok(SearchRequest { ns, ns_prefix, ..request(query)? })
}

fn request(query: &Query) -> Result<SearchRequest, Problem> {
    let mode = match query.text("mode") {
        None | Some("lexical") => Mode::Lexical,
        Some("semantic") => Mode::Semantic,
        Some("hybrid") => Mode::Hybrid,
        Some(_) => return Err(Invalid::new("mode", "must be lexical, semantic or hybrid").into()),
    };
    let types = query.text("type").map(|types| types.split(',').map(str::to_owned).collect());
    Ok(SearchRequest {
        query: query.text_or_empty("q"),
        mode: mode.into(),
        types: types.unwrap_or_default(),
        updated_from: query.time("updated_from")?.map(timestamp_to_wire),
        updated_until: query.time("updated_until")?.map(timestamp_to_wire),
        // The service takes zero for its default.
        top_k: query.whole_number("top_k")?.map_or(0, |top_k| if top_k == 0 { -1 } else { top_k }),
        wait_for: query.text_or_empty("wait_for"),
        ..SearchRequest::default()
    })
}
