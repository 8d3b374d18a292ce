//! `/_/relationships/{ns}/{id}`.
//!
//! Owns the verbs of a relationship over HTTP.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use proto::events::v1::state::State;
use proto::things::v1::{DeleteRelationshipRequest, GetRelationshipRequest, PutRelationshipRequest, Relationship};

use crate::body::apart;
use crate::call::Call;
use crate::json::{self, Writer};
use crate::name::Name;
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::thing::{deleted, refused, written_as};
use crate::view::View;
use crate::{Gateway, body, etag, past, reply};

/// GET and HEAD.
pub(crate) async fn read(gateway: &Gateway, call: &Call, url: &str) -> Result<Response, Problem> {
    let view = View::of_relationship(&Query::parse(call.raw_query())?)?;
    let name = Name::of_relationship(url)?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    match view {
        View::At(as_of) => {
            let resolved = past::resolve(gateway, call, &name, Some(as_of)).await?;
            if let Some(moved) = name.moved(call, &resolved.url) {
                return Ok(moved);
            }
            match past::state(gateway, call, &name, &resolved, as_of).await? {
                State::Relationship(relationship) => represent(call, &relationship, &resolved.url).await,
                State::Thing(_) => Err(name.absent()),
            }
        }
        View::History(page) => past::history(gateway, call, &name, page).await,
        View::Diff { from, to } => past::diff(gateway, call, &name, from, to).await,
        View::Now { .. } | View::Around(_) => {
            let request = GetRelationshipRequest { key: Some(name.key()) };
            let answer = gateway.things().get_relationship(call.request(request)).await;
            let relationship = answer.map_err(|status| name.problem(status))?.into_inner();
            if let Some(moved) = name.moved(call, &relationship.url) {
                return Ok(moved);
            }
            represent(call, &relationship, &relationship.url).await
        }
    }
}

/// PUT.
pub(crate) async fn put(gateway: &Gateway, call: &Call, url: &str, body: Body) -> Result<Response, Problem> {
    call.query(&[])?;
    let (name, condition) = (Name::of_relationship(url)?, etag::condition(call.headers())?);
    let (request_id, cause) = call.provenance()?;
    body::media_type(call.headers(), &["application/json"])?;
    let body = body::read(call, body).await?;
    let relationship = apart(body.len(), body, |body| json::read_relationship(json::parse("", &body)?)).await?;
    let request = PutRelationshipRequest {
        relationship: Some(Relationship { key: Some(name.key()), ..relationship }),
        condition: condition.clone(),
        request_id,
        cause,
    };
    let answer = gateway.things().put_relationship(call.request(request)).await;
    let answer = answer.map_err(|status| refused(name.problem(status), condition.as_ref()))?;
    let relationship = answer.get_ref();
    Ok(written_as(&answer, text(relationship, &relationship.url), &relationship.url, &relationship.etag))
}

/// DELETE.
pub(crate) async fn delete(gateway: &Gateway, call: &Call, url: &str) -> Result<Response, Problem> {
    call.query(&[])?;
    let (name, condition) = (Name::of_relationship(url)?, etag::condition(call.headers())?);
    let (request_id, cause) = call.provenance()?;
    let request = DeleteRelationshipRequest { key: Some(name.key()), condition: condition.clone(), request_id, cause };
    let answer = gateway.things().delete_relationship(call.request(request)).await;
    let answer = answer.map_err(|status| refused(name.problem(status), condition.as_ref()))?;
    Ok(deleted(&answer.get_ref().ulid))
}

async fn represent(call: &Call, relationship: &Relationship, url: &str) -> Result<Response, Problem> {
    let render = async || reply::json(StatusCode::OK, text(relationship, url));
    reply::state(call, &relationship.etag, "", render).await
}

fn text(relationship: &Relationship, url: &str) -> String {
    let mut json = Writer::with_capacity(512 + relationship.data.as_ref().map_or(0, String::len));
    json::relationship(&mut json, relationship, url);
    json.finish()
}
