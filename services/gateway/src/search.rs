//! `/_/search` and `/{ns}/?q=`.
//!
//! Owns how a search is spelled in a URL. Never ranks.

use axum::response::Response;
use domain::{Invalid, Namespace};
use http::StatusCode;
use proto::convert::timestamp_to_wire;
use proto::search::v1::{Mode, SearchRequest};

use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::{Gateway, reply};

/// Parameters of both.
const KNOWN: [&str; 7] = ["q", "mode", "type", "updated_from", "updated_until", "top_k", "wait_for"];

/// GET and HEAD of `/_/search`.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&[&KNOWN[..], &["ns", "ns_prefix"]].concat())?;
    let (ns, ns_prefix) = (query.text_or_empty("ns"), query.text_or_empty("ns_prefix"));
    answer(gateway, call, SearchRequest { ns, ns_prefix, ..request(&query)? }).await
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
    let answer = gateway.search().search(call.request(request)).await?.into_inner();
    let mut json = Writer::with_capacity(4 << 10);
    json.array("items", &answer.hits, json::hit);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

fn request(query: &Query) -> Result<SearchRequest, Problem> {
    let mode = match query.text("mode") {
        None | Some("lexical") => Mode::Lexical,
        Some(_) => return Err(Invalid::new("mode", "must be lexical").into()),
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
