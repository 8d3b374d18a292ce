//! `/_/schemas/{ns}`, and `?type=` for one of them.
//!
//! Owns how schemas of types are put, read, listed and deleted over HTTP.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use proto::things::v1::{DeleteSchemaRequest, GetSchemaRequest, ListSchemasRequest, PutSchemaRequest};

use crate::call::Call;
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::{Gateway, body, json, list, reply};

/// GET and HEAD: `ns` is still percent-encoded. Of one type, or all.
pub(crate) async fn read(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    let query = call.query(&["type"])?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let ns = list::namespace(ns)?.as_str().to_owned();
    let text = if let Some(word) = query.text("type") {
        let request = GetSchemaRequest { ns, r#type: word.to_owned() };
        json::schema(&gateway.things().get_schema(call.request(request)).await?.into_inner())
    } else {
        let request = ListSchemasRequest { ns };
        json::schemas(&gateway.things().list_schemas(call.request(request)).await?.into_inner())
    };
    Ok(reply::json(StatusCode::OK, text))
}

/// PUT: `ns` is still percent-encoded.
pub(crate) async fn put(gateway: &Gateway, call: &Call, ns: &str, body: Body) -> Result<Response, Problem> {
    let word = call.query(&["type"])?.text_or_empty("type");
    let ns = list::namespace(ns)?.as_str().to_owned();
    body::media_type(call.headers(), &["application/json"])?;
    let schema = json::read_schema(json::parse("", &body::read(call, body).await?)?)?;
    let request = PutSchemaRequest { ns, r#type: word, schema };
    let answer = gateway.things().put_schema(call.request(request)).await?;
    let outcome = answer.metadata().get("annals-outcome").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = if outcome == "created" { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = reply::json(status, json::schema(answer.get_ref()));
    reply::set(&mut response, reply::ANNALS_OUTCOME, outcome);
    Ok(response)
}

/// DELETE: `ns` is still percent-encoded.
pub(crate) async fn delete(gateway: &Gateway, call: &Call, ns: &str) -> Result<Response, Problem> {
    let word = call.query(&["type"])?.text_or_empty("type");
    let request = DeleteSchemaRequest { ns: list::namespace(ns)?.as_str().to_owned(), r#type: word };
    gateway.things().delete_schema(call.request(request)).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
