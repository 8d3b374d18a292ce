//! `/_/things:restore` and `/_/things:undelete`.
//!
//! Owns how a state of the past is put again over HTTP.

use axum::body::Body;
use axum::response::Response;
use proto::things::v1::{RestoreThingRequest, UndeleteThingRequest};

use crate::call::Call;
use crate::problem::Problem;
use crate::thing::written;
use crate::{Gateway, body, json};

/// POST: as it was.
pub(crate) async fn restore(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    let (request_id, cause) = call.provenance()?;
    let request = json::read_restore(read(call, body).await?)?;
    let request = RestoreThingRequest { request_id, cause, ..request };
    Ok(written(&gateway.things().restore_thing(call.request(request)).await?))
}

/// POST: as it was before it was deleted.
pub(crate) async fn undelete(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    let (request_id, cause) = call.provenance()?;
    let request = json::read_undelete(read(call, body).await?)?;
    let request = UndeleteThingRequest { request_id, cause, ..request };
    Ok(written(&gateway.things().undelete_thing(call.request(request)).await?))
}

async fn read(call: &Call, body: Body) -> Result<domain::Json, Problem> {
    call.query(&[])?;
    body::declared_type(call.headers(), &["application/json"])?;
    Ok(json::parse("", &body::read(call, body).await?)?)
}
