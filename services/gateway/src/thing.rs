//! `/{ns}/{id}`.
//!
//! Owns the verbs of a thing over HTTP. Never splits its name.

use axum::body::Body;
use axum::response::Response;
use futures::TryStreamExt as _;
use http::StatusCode;
use http::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY};
use proto::common::v1::{Key, Reason};
use proto::events::v1::state::State;
use proto::things::v1::{
    Condition, DeleteThingRequest, GetThingRequest, ListRelationshipsRequest, PatchThingRequest, PutThingRequest,
    Thing, TraverseRequest,
};

use crate::body::{self, apart};
use crate::call::Call;
use crate::json::{self, Writer};
use crate::name::Name;
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::view::{Around, View};
use crate::{Gateway, etag, html, language, past, reply, search};

/// GET and HEAD.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let (view, variant) = match call.raw_query() {
        None => (View::Now { with_embedding: false }, None),
        raw => View::of_thing(&Query::parse(raw)?)?,
    };
    let name = Name::of_thing(call.path(), variant)?;
    match view {
        View::Now { with_embedding } => now(gateway, call, &name, with_embedding).await,
        View::At(as_of) => {
            let resolved = past::resolve(gateway, call, &name, Some(as_of)).await?;
            if let Some(moved) = name.moved(call, &resolved.url) {
                return Ok(moved);
            }
            match past::state(gateway, call, &name, &resolved, as_of).await? {
                State::Thing(thing) => represent(call, thing, resolved.url, false).await,
                State::Relationship(_) => Err(name.absent()),
            }
        }
        View::History(page) => {
            negotiate::choose(call.headers(), &Representation::JSON)?;
            past::history(gateway, call, &name, page).await
        }
        View::Diff { from, to } => {
            negotiate::choose(call.headers(), &Representation::JSON)?;
            past::diff(gateway, call, &name, from, to).await
        }
        View::Around(around) => {
            negotiate::choose(call.headers(), &Representation::JSON)?;
            let thing = get(gateway, call, &name, Vec::new(), false).await?;
            match name.moved(call, &thing.url) {
                Some(moved) => Ok(moved),
                None => show(gateway, call, &name, thing.key, around).await,
            }
        }
    }
}

/// What is around the thing of that name, whose key things has told.
async fn show(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    thing: Option<Key>,
    around: Around,
) -> Result<Response, Problem> {
    let mut json = Writer::with_capacity(4_096);
    match around {
        Around::Similar(query) => return search::similar(gateway, call, thing, *query).await,
        Around::Relationships(request) => {
            let request = ListRelationshipsRequest { thing, ..request };
            let answer = gateway.things().list_relationships(call.request(request)).await;
            json::relationships(&mut json, &answer.map_err(|status| name.problem(status))?.into_inner());
        }
        Around::Traverse(request) => {
            let request = TraverseRequest { thing, ..request };
            let parts = gateway.things().traverse(call.request(request)).await;
            let parts = parts.map_err(|status| name.problem(status))?.into_inner().try_collect::<Vec<_>>().await;
            json::reached(&mut json, &parts.map_err(|status| name.problem(status))?);
        }
    }
    Ok(reply::json(StatusCode::OK, json.finish()))
}

async fn now(gateway: &Gateway, call: &Call, name: &Name, with_embedding: bool) -> Result<Response, Problem> {
    let preferred = if name.is_canonical_variant() { language::preferred_variants(call.headers()) } else { Vec::new() };
    let mut thing = get(gateway, call, name, preferred, with_embedding).await?;
    if let Some(moved) = name.moved(call, &thing.url) {
        return Ok(moved);
    }
    let variant = thing.key.as_ref().map(|key| key.variant.clone()).unwrap_or_default();
    let was_picked = name.is_canonical_variant() && !variant.is_empty();
    let url = std::mem::take(&mut thing.url);
    let mut response = represent(call, thing, url, with_embedding).await?;
    if was_picked {
        reply::set(&mut response, CONTENT_LANGUAGE, &variant);
    }
    Ok(response)
}

async fn get(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    preferred_variants: Vec<String>,
    include_embedding: bool,
) -> Result<Thing, Problem> {
    let request = GetThingRequest { key: Some(name.key()), preferred_variants, include_embedding };
    let answer = gateway.things().get_thing(call.request(request)).await;
    answer.map(tonic::Response::into_inner).map_err(|status| name.problem(status))
}

/// The representation that the request accepts of a state, present or past, that lives at `url`.
async fn represent(call: &Call, thing: Thing, url: String, with_embedding: bool) -> Result<Response, Problem> {
    let offered: &[_] =
        if thing.content.is_some() { &Representation::OF_THING } else { &Representation::WITHOUT_CONTENT };
    let representation = negotiate::choose(call.headers(), offered)?;
    let suffix = match representation {
        Representation::Json if with_embedding => ";embedding",
        other => other.suffix(),
    };
    let state = thing.etag.clone();
    let lives_at = (call.path() != url).then(|| url.clone());
    let render = async || match representation {
        Representation::Json => reply::json(StatusCode::OK, text(&thing, &url)),
        Representation::Markdown => {
            reply::with_type(StatusCode::OK, representation.media_type(), thing.content.unwrap_or_default())
        }
        Representation::Html => {
            let bytes = thing.content.as_ref().map_or(0, String::len) + thing.data.as_ref().map_or(0, String::len);
            let page = apart(bytes, (thing, url), |(thing, url)| html::page(&thing, &url)).await;
            let mut response = reply::with_type(StatusCode::OK, representation.media_type(), page);
            reply::set(&mut response, CONTENT_SECURITY_POLICY, html::POLICY);
            response
        }
    };
    let mut response = reply::state(call, &state, suffix, render).await?;
    reply::vary(&mut response, "accept, accept-language");
    if let Some(url) = lives_at {
        reply::locate(&mut response, &url);
    }
    Ok(response)
}

/// PUT.
pub(crate) async fn put(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    let (name, condition) = target(call)?;
    let (request_id, cause) = call.provenance()?;
    body::media_type(call.headers(), &["application/json"])?;
    let body = body::read(call, body).await?;
    let thing = apart(body.len(), body, |body| json::read_thing(json::parse("", &body)?)).await?;
    let thing = Thing { key: Some(name.key()), ..thing };
    let request = PutThingRequest { thing: Some(thing), condition: condition.clone(), request_id, cause };
    let answer = gateway.things().put_thing(call.request(request)).await;
    let answer = answer.map_err(|status| refused(name.problem(status), condition.as_ref()))?;
    Ok(written(&answer))
}

/// PATCH.
pub(crate) async fn patch(gateway: &Gateway, call: &Call, body: Body) -> Result<Response, Problem> {
    let (name, condition) = target(call)?;
    let (request_id, cause) = call.provenance()?;
    body::media_type(call.headers(), &["application/merge-patch+json", "application/json"])?;
    let body = body::read(call, body).await?;
    let patch = apart(body.len(), body, |body| json::read_patch(json::parse("", &body)?)).await?;
    let request = PatchThingRequest { key: Some(name.key()), condition: condition.clone(), request_id, cause, ..patch };
    let answer = gateway.things().patch_thing(call.request(request)).await;
    let answer = answer.map_err(|status| refused(name.problem(status), condition.as_ref()))?;
    Ok(written(&answer))
}

/// DELETE.
pub(crate) async fn delete(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let (name, condition) = target(call)?;
    let (request_id, cause) = call.provenance()?;
    let request = DeleteThingRequest { key: Some(name.key()), condition: condition.clone(), request_id, cause };
    let answer = gateway.things().delete_thing(call.request(request)).await;
    let answer = answer.map_err(|status| refused(name.problem(status), condition.as_ref()))?;
    Ok(deleted(&answer.get_ref().ulid))
}

fn target(call: &Call) -> Result<(Name, Option<Condition>), Problem> {
    let variant = call.query(&["variant"])?.parsed("variant")?;
    Ok((Name::of_thing(call.path(), variant)?, etag::condition(call.headers())?))
}

/// A refusal of a write: 412 where a header's condition does not hold.
pub(crate) fn refused(problem: Problem, condition: Option<&Condition>) -> Problem {
    let Some(condition) = condition else { return problem };
    let fails = match problem.reason() {
        Reason::EtagStale => !condition.etags.is_empty(),
        Reason::AlreadyExists => condition.create_only,
        Reason::NotFound => condition.update_only,
        _ => false,
    };
    if fails { problem.precondition_failed() } else { problem }
}

/// The answer to a write of a thing.
pub(crate) fn written(answer: &tonic::Response<Thing>) -> Response {
    let thing = answer.get_ref();
    written_as(answer, text(thing, &thing.url), &thing.url, &thing.etag)
}

/// The answer to a write: 201 for a new name, 200 for the others, with the state that it made.
pub(crate) fn written_as<T>(answer: &tonic::Response<T>, text: String, url: &str, etag: &str) -> Response {
    let said = |name| answer.metadata().get(name).and_then(|value| value.to_str().ok());
    let outcome = said("annals-outcome").unwrap_or_default();
    let status = if outcome == "created" { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = reply::json(status, text);
    reply::set(&mut response, http::header::ETAG, &format!("\"{etag}\""));
    reply::set(&mut response, reply::ANNALS_OUTCOME, outcome);
    reply::set(&mut response, reply::ANNALS_ULID, said("annals-ulid").unwrap_or(etag));
    reply::locate(&mut response, url);
    response
}

/// The answer to a deletion.
pub(crate) fn deleted(ulid: &str) -> Response {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    reply::set(&mut response, reply::ANNALS_ULID, ulid);
    reply::set(&mut response, reply::ANNALS_OUTCOME, "deleted");
    response
}

/// A thing as JSON: the same bytes for a state whether it is the present one or was.
fn text(thing: &Thing, url: &str) -> String {
    let size = 512 + thing.content.as_ref().map_or(0, String::len) + thing.data.as_ref().map_or(0, String::len);
    let mut json = Writer::with_capacity(size);
    json::thing(&mut json, thing, url);
    json.finish()
}
