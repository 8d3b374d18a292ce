//! `/_/namespaces/{ns}` and `/_/namespaces`.
//!
//! Owns how namespaces are registered, described, listed and taken back over HTTP.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use proto::things::v1::{DeleteNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest, RegisterNamespaceRequest};

use crate::call::Call;
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::{Gateway, body, json, list, reply};

/// GET and HEAD: `ns` is still percent-encoded.
pub(crate) async fn read(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    call.query(&[])?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let request = GetNamespaceRequest { ns: list::namespace(ns)?.as_str().to_owned() };
    let answer = gateway.things().get_namespace(call.request(request)).await?.into_inner();
    Ok(reply::json(StatusCode::OK, json::namespace(&answer)))
}

/// GET and HEAD of all.
pub(crate) async fn read_all(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&["ns_prefix", "page_size", "page_token"])?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let (ns_prefix, page) = (query.text_or_empty("ns_prefix"), query.page()?);
    let request = ListNamespacesRequest { ns_prefix, page_size: page.size, page_token: page.token };
    let answer = gateway.things().list_namespaces(call.request(request)).await?.into_inner();
    Ok(reply::json(StatusCode::OK, json::namespaces(&answer)))
}

/// DELETE: `ns` is still percent-encoded.
pub(crate) async fn delete(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    call.query(&[])?;
    let request = DeleteNamespaceRequest { ns: list::namespace(ns)?.as_str().to_owned() };
    gateway.things().delete_namespace(call.request(request)).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// PUT: `ns` is still percent-encoded. An empty body asks for the default style.
pub(crate) async fn put(gateway: &Gateway, call: &Call, ns: &str, body: Body) -> Result<Response, Problem> {
    call.query(&[])?;
    let ns = list::namespace(ns)?;
    body::media_type(call.headers(), &["application/json"])?;
    let body = body::read(call, body).await?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let style = json::read_namespace(json::parse("", text)?)?;
    let request = RegisterNamespaceRequest { ns: ns.as_str().to_owned(), style };
    let answer = gateway.things().register_namespace(call.request(request)).await?.into_inner();
    Ok(reply::json(StatusCode::OK, json::namespace(&answer)))
}
