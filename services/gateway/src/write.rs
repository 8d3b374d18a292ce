//! `/_/things:write`.
//!
//! Owns how many changes are written together over HTTP.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

use crate::body::{self, apart};
use crate::call::Call;
use crate::problem::Problem;
use crate::{Gateway, json, reply};

/// The largest body, as the largest message of the verb.
const MAX_BYTES: usize = 16 << 20;

/// POST: all changes or none.
pub(crate) async fn write(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    call.query(&[])?;
    let (request_id, cause) = call.provenance()?;
    body::declared_type(call.headers(), &["application/json"])?;
    let body = body::read_up_to(MAX_BYTES, call, body).await?;
    let request = apart(body.len(), body, |body| json::read_write(&body)).await?;
    let request = proto::things::v1::WriteThingsRequest { request_id, cause, ..request };
    let answer = gateway.things().write_things(call.request(request)).await?;
    let (metadata, answer, _) = answer.into_parts();
    let mut response = reply::json(StatusCode::OK, json::written(answer)?);
    if let Some(ulid) = metadata.get("annals-ulid").and_then(|ulid| ulid.to_str().ok()) {
        reply::set(&mut response, reply::ANNALS_ULID, ulid);
    }
    Ok(response)
}
