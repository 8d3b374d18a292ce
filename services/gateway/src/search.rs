//! `/_/search`, `/_/complete`, `/{ns}/?q=` and `/{ns}/{id}?view=similar`.
//!
//! Owns how a search is spelled in a URL. Never ranks.

use axum::body::Body;
use axum::response::Response;
use domain::{Invalid, Namespace};
use http::StatusCode;
use proto::common::v1::Key;
use proto::convert::{similar_request, timestamp_to_wire};
use proto::search::v1::{CompleteRequest, Mode, SearchRequest, SearchResponse};

use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::{Query, WHERE};
use crate::{Gateway, body, reply};

/// Parameters of everything that is found.
const KNOWN: [&str; 9] =
    ["mode", "type", "updated_from", "updated_until", WHERE, "top_k", "page_token", "explain", "wait_for"];
const OF_QUERY: [&str; 2] = ["q", "facet"];
const OF_NAMESPACES: [&str; 2] = ["ns", "ns_prefix"];
const OF_COMPLETE: [&str; 7] = ["q", "ns", "ns_prefix", "type", WHERE, "top_k", "wait_for"];

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
    let query = call.query(&[&KNOWN[..], &OF_QUERY, &OF_NAMESPACES].concat())?;
    let (ns, ns_prefix) = (query.text_or_empty("ns"), query.text_or_empty("ns_prefix"));
    Ok(SearchRequest { ns, ns_prefix, ..request(&query)? })
}

/// Whether the things of a namespace are searched, not listed.
pub(crate) fn is_asked(call: &Call) -> Result<bool, Invalid> {
    Ok(Query::parse(call.raw_query())?.text("q").is_some())
}

/// GET and HEAD of a namespace with `q`.
pub(crate) async fn read_in(gateway: &Gateway, call: &Call, ns: &Namespace) -> Result<Response, Problem> {
    let query = call.query(&[&KNOWN[..], &OF_QUERY].concat())?;
    answer(gateway, call, SearchRequest { ns: ns.as_str().to_owned(), ..request(&query)? }).await
}

/// GET and HEAD of `/_/complete`.
pub(crate) async fn complete(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&OF_COMPLETE)?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let request = CompleteRequest {
        text: query.text_or_empty("q"),
        ns: query.text_or_empty("ns"),
        ns_prefix: query.text_or_empty("ns_prefix"),
        types: words(&query, "type"),
        fields: query.conditions()?,
        top_k: top_k(&query)?,
        wait_for: query.text_or_empty("wait_for"),
    };
    Ok(found(&gateway.search().complete(call.request(request)).await?.into_inner()))
}

async fn answer(gateway: &Gateway, call: &Call, request: SearchRequest) -> Result<Response, Problem> {
    negotiate::choose(call.headers(), &Representation::JSON)?;
    Ok(found(&gateway.search().search(call.request(request)).await?.into_inner()))
}

/// The things that are most like one; `query` is the URL's.
pub(crate) async fn similar(
    gateway: &Gateway,
    call: &Call,
    key: Option<Key>,
    query: SearchRequest,
) -> Result<Response, Problem> {
    let request = similar_request(key, query);
    Ok(found(&gateway.search().similar(call.request(request)).await?.into_inner()))
}

fn found(answer: &SearchResponse) -> Response {
    let mut json = Writer::with_capacity(4 << 10);
    json::found(&mut json, answer);
    reply::json(StatusCode::OK, json.finish())
}

/// Which things, of those that are like one.
pub(crate) fn of_similar(query: &Query) -> Result<SearchRequest, Problem> {
    query.only(&[&["view", "variant"], &KNOWN[..], &OF_NAMESPACES].concat())?;
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
    Ok(SearchRequest {
        query: query.text_or_empty("q"),
        mode: mode.into(),
        types: words(query, "type"),
        updated_from: query.time("updated_from")?.map(timestamp_to_wire),
        updated_until: query.time("updated_until")?.map(timestamp_to_wire),
        fields: query.conditions()?,
        facets: words(query, "facet"),
        top_k: top_k(query)?,
        page_token: query.text_or_empty("page_token"),
        explain: query.flag("explain")?,
        wait_for: query.text_or_empty("wait_for"),
        ..SearchRequest::default()
    })
}

/// By comma.
fn words(query: &Query, name: &str) -> Vec<String> {
    query.text(name).map(|words| words.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

/// The service takes zero for its default.
fn top_k(query: &Query) -> Result<i32, Invalid> {
    Ok(query.whole_number("top_k")?.map_or(0, |top_k| if top_k == 0 { -1 } else { top_k }))
}
