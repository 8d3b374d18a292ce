//! Reads of the past of one name.
//!
//! Owns the order of the two calls: the name is resolved first, behind whoever is writing it, and its newest mutation
//! is what events must have seen before it answers. So a read of the past is never silently behind and repeats the same.

use axum::response::Response;
use domain::AsOf;
use http::StatusCode;
use proto::common::v1::Reason;
use proto::convert::timestamp_to_wire;
use proto::events::v1::state::State;
use proto::events::v1::{self as events, as_of};
use proto::things::v1::{ResolveNameRequest, ResolveNameResponse};

use crate::Gateway;
use crate::body::apart;
use crate::call::Call;
use crate::json::{self, Writer};
use crate::name::Name;
use crate::problem::Problem;
use crate::query::Page;
use crate::reply;

/// Which name is meant, and what must be seen to read its past up to `as_of` (without: up to now). Whether a ULID has
/// happened, events knows, also of one that is ahead of the clock.
pub(crate) async fn resolve(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    as_of: Option<AsOf>,
) -> Result<ResolveNameResponse, Problem> {
    let as_of = match as_of {
        Some(AsOf::Time(time)) => Some(timestamp_to_wire(time)),
        Some(AsOf::Ulid(_)) | None => None,
    };
    let request = ResolveNameRequest { key: Some(name.key()), kind: name.kind(), as_of };
    let answer = gateway.things().resolve_name(call.request(request)).await;
    answer.map(tonic::Response::into_inner).map_err(|status| name.problem(status))
}

/// The state of a resolved name.
pub(crate) async fn state(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    resolved: &ResolveNameResponse,
    as_of: AsOf,
) -> Result<State, Problem> {
    let as_of = match as_of {
        AsOf::Time(time) => as_of::AsOf::Time(timestamp_to_wire(time)),
        AsOf::Ulid(ulid) => as_of::AsOf::Ulid(ulid.to_string()),
    };
    let request = events::StateAtRequest {
        key: resolved.key.clone(),
        kind: name.kind(),
        as_of: Some(events::AsOf { as_of: Some(as_of) }),
        wait_for: resolved.last_ulid.clone(),
    };
    let answer = gateway.events().state_at(call.request(request)).await.map_err(|status| name.problem(status))?;
    answer.into_inner().state.and_then(|state| state.state).ok_or_else(|| name.absent())
}

/// `?view=history`.
pub(crate) async fn history(gateway: &Gateway, call: &Call, name: &Name, page: Page) -> Result<Response, Problem> {
    let resolved = resolve(gateway, call, name, None).await?;
    if let Some(moved) = name.moved(call, &resolved.url) {
        return Ok(moved);
    }
    let request = events::HistoryRequest {
        key: resolved.key,
        kind: name.kind(),
        page_size: page.size,
        page_token: page.token,
        wait_for: resolved.last_ulid,
    };
    let answer = gateway.events().history(call.request(request)).await.map_err(|status| name.problem(status))?;
    let events::HistoryResponse { mutations, next_page_token, cost: _ } = answer.into_inner();
    let mut json = Writer::with_capacity(4_096);
    json.array("items", &mutations, |json, mutation| json::mutation(json, mutation, &resolved.url));
    json.text("next_page_token", &next_page_token);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// `?view=diff`: what differs between the states as of two moments; a moment at which there was none has none.
pub(crate) async fn diff(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    from: AsOf,
    to: Option<AsOf>,
) -> Result<Response, Problem> {
    let latest = [Some(from), to].into_iter().flatten().max_by_key(|as_of| as_of.time());
    let resolved = resolve(gateway, call, name, latest).await?;
    if let Some(moved) = name.moved(call, &resolved.url) {
        return Ok(moved);
    }
    let newest = || resolved.last_ulid.parse().map_err(|_| name.absent());
    let to = to.map_or_else(newest, Ok)?;
    let before = state_or_none(gateway, call, name, &resolved, from).await?;
    let after = state_or_none(gateway, call, name, &resolved, to).await?;
    if before.is_none() && after.is_none() {
        return Err(name.absent());
    }
    let bytes = before.as_deref().map_or(0, str::len) + after.as_deref().map_or(0, str::len);
    let text = apart(bytes, (resolved.url, before, after), move |(url, before, after)| {
        let mut json = Writer::object();
        json.text("url", &url);
        json.text("from", &from.to_string());
        json.text("to", &to.to_string());
        let parsed = |state: Option<String>| match state {
            Some(state) => json::parse("state", state.as_bytes()),
            None => Ok(domain::Json::Null),
        };
        json::changes(&mut json, &parsed(before)?, &parsed(after)?);
        Ok::<_, domain::Invalid>(json.finish())
    });
    Ok(reply::json(StatusCode::OK, text.await?))
}

async fn state_or_none(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    resolved: &ResolveNameResponse,
    as_of: AsOf,
) -> Result<Option<String>, Problem> {
    match state(gateway, call, name, resolved, as_of).await {
        Ok(state) => Ok(Some(text(&state, &resolved.url))),
        Err(problem) if problem.reason() == Reason::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn text(state: &State, url: &str) -> String {
    let mut json = Writer::with_capacity(1_024);
    match state {
        State::Thing(thing) => json::thing(&mut json, thing, url),
        State::Relationship(relationship) => json::relationship(&mut json, relationship, url),
    }
    json.finish()
}
