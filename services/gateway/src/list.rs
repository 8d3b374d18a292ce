//! `/{ns}/`, `/_/things` and `/_/things:count`.
//!
//! Owns how things are listed and counted over HTTP.

use axum::response::Response;
use domain::{Invalid, Namespace, Visibility};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use proto::convert::{count_request, timestamp_to_wire, visibility_to_wire};
use proto::things::v1::ListThingsRequest;

use crate::call::Call;
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::{Query, WHERE};
use crate::{Gateway, past, reply, search};

/// Conditions of things.
const OF_THINGS: [&str; 6] = ["type", "visibility", "updated_from", "updated_until", "code", WHERE];
const OF_NAMESPACES: [&str; 2] = ["ns", "ns_prefix"];
const OF_PAGES: [&str; 3] = ["page_size", "page_token", "order_by"];

/// GET and HEAD of a namespace: `ns` is still percent-encoded. With `q` its things are searched.
pub(crate) async fn read(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    if search::is_asked(call)? {
        let ns = namespace(ns)?;
        let url = domain::url::namespace(&ns);
        if call.path() != url {
            return Ok(reply::redirect(call, &url));
        }
        return search::read_in(gateway, call, &ns).await;
    }
    let query = call.query(&[&OF_THINGS[..], &OF_PAGES, &["at"]].concat())?;
    let as_of = query.as_of("at")?;
    let ns = namespace(ns)?;
    let url = domain::url::namespace(&ns);
    if call.path() != url {
        return Ok(reply::redirect(call, &url));
    }
    negotiate::choose(call.headers(), &Representation::JSON)?;
    if let Some(as_of) = as_of {
        query.only(&["type", "at", "page_size", "page_token"])?;
        return past::list(gateway, call, &ns, query.text_or_empty("type"), as_of, query.page()?).await;
    }
    answer(gateway, call, ListThingsRequest { ns: ns.as_str().to_owned(), ..request(&query)? }).await
}

/// GET and HEAD of `/_/things`.
pub(crate) async fn read_all(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&[&OF_THINGS[..], &OF_PAGES, &OF_NAMESPACES].concat())?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    answer(gateway, call, request(&query)?).await
}

/// GET and HEAD of `/_/things:count`.
pub(crate) async fn count(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&[&OF_THINGS[..], &OF_NAMESPACES].concat())?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let request = count_request(request(&query)?);
    let answer = gateway.things().count_things(call.request(request)).await?.into_inner();
    Ok(reply::json(StatusCode::OK, json::counted(answer.count)))
}

fn request(query: &Query) -> Result<ListThingsRequest, Problem> {
    let page = query.page()?;
    let visibility = query.parsed::<Visibility>("visibility")?.map(visibility_to_wire);
    Ok(ListThingsRequest {
        ns: query.text_or_empty("ns"),
        ns_prefix: query.text_or_empty("ns_prefix"),
        r#type: query.text_or_empty("type"),
        visibility: visibility.map_or(0, i32::from),
        updated_from: query.time("updated_from")?.map(timestamp_to_wire),
        updated_until: query.time("updated_until")?.map(timestamp_to_wire),
        code: query.text_or_empty("code"),
        fields: query.conditions()?,
        order_by: query.text_or_empty("order_by"),
        page_size: page.size,
        page_token: page.token,
    })
}

async fn answer(gateway: &Gateway, call: &Call, request: ListThingsRequest) -> Result<Response, Problem> {
    let answer = gateway.things().list_things(call.request(request)).await?.into_inner();
    let mut json = Writer::with_capacity(16 << 10);
    json.array("items", &answer.things, |json, thing| json::thing(json, thing, &thing.url));
    json.text("next_page_token", &answer.next_page_token);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// The namespace that part of a URL path spells.
pub(crate) fn namespace(encoded: &str) -> Result<Namespace, Invalid> {
    let text = percent_decode_str(encoded).decode_utf8().map_err(|_| Invalid::new("ns", "must be UTF-8"))?;
    text.parse()
}
