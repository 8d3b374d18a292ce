//! `/_/namespaces/{ns}`.
//!
//! Owns how a namespace is registered over HTTP.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use proto::things::v1::RegisterNamespaceRequest;

use crate::call::Call;
use crate::problem::Problem;
use crate::{Gateway, body, json, list, reply};

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
