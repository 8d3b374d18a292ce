//! Reads of the past.
//!
//! Owns the order of the two calls: the name is resolved first, behind whoever is writing it, and its newest mutation
//! is what events must have seen before it answers; without one name, all that was written before. So a read of the past
//! is never silently behind and repeats the same.

use axum::response::Response;
use domain::{AsOf, Namespace, Style};
use http::StatusCode;
use prost::Message as _;
use proto::common::v1::Reason;
use proto::convert::{self, as_of_to_wire, timestamp_to_wire};
use proto::events::v1::state::State;
use proto::events::v1::{self as events};
use proto::things::v1::{ResolveNameRequest, ResolveNameResponse, SettleRequest, Thing};

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
    let request = ResolveNameRequest { key: Some(name.key()), kind: name.kind(), as_of: time_of(as_of) };
    let answer = gateway.things().resolve_name(call.request(request)).await;
    answer.map(tonic::Response::into_inner).map_err(|status| name.problem(status))
}

fn time_of(as_of: Option<AsOf>) -> Option<prost_types::Timestamp> {
    match as_of {
        Some(AsOf::Time(time)) => Some(timestamp_to_wire(time)),
        Some(AsOf::Ulid(_)) | None => None,
    }
}

/// The state of a resolved name.
pub(crate) async fn state(
    gateway: &Gateway,
    call: &Call,
    name: &Name,
    resolved: &ResolveNameResponse,
    as_of: AsOf,
) -> Result<State, Problem> {
    let request = events::StateAtRequest {
        key: resolved.key.clone(),
        kind: name.kind(),
        as_of: Some(as_of_to_wire(as_of)),
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
    let request = events::DiffRequest {
        key: resolved.key,
        kind: name.kind(),
        from: Some(as_of_to_wire(from)),
        to: Some(as_of_to_wire(to)),
        wait_for: resolved.last_ulid,
    };
    let answer = gateway.events().diff(call.request(request)).await.map_err(|status| name.problem(status))?;
    let (difference, url) = (answer.into_inner(), resolved.url);
    let text = apart(difference.encoded_len(), difference, move |difference| {
        let mut json = Writer::object();
        json.text("url", &url);
        json.text("from", &from.to_string());
        json.text("to", &to.to_string());
        json::changes(&mut json, &difference);
        json.finish()
    });
    Ok(reply::json(StatusCode::OK, text.await))
}

/// `/{ns}/?at=`: a page of the things of a namespace as they were. Events waits for all that was written before.
pub(crate) async fn list(
    gateway: &Gateway,
    call: &Call,
    ns: &Namespace,
    state_type: String,
    as_of: AsOf,
    page: Page,
) -> Result<Response, Problem> {
    let time = time_of(Some(as_of));
    let settled = gateway.things().settle(call.request(SettleRequest { as_of: time })).await?;
    let request = events::ListStatesAtRequest {
        ns: ns.as_str().to_owned(),
        r#type: state_type,
        as_of: Some(as_of_to_wire(as_of)),
        page_size: page.size,
        page_token: page.token,
        wait_for: settled.into_inner().cursor,
        ..Default::default()
    };
    let answer = gateway.events().list_states_at(call.request(request)).await?.into_inner();
    let events::ListStatesAtResponse { states, next_page_token, cost: _ } = answer;
    let states = states.into_iter().filter_map(|state| state.state);
    let things: Vec<_> = states
        .filter_map(|state| match state {
            State::Thing(thing) => Some(thing),
            State::Relationship(_) => None,
        })
        .collect();
    let style = style(gateway, call, &things, time).await?;
    let mut json = Writer::with_capacity(16 << 10);
    json.array("items", &things, |json, thing| json::thing(json, thing, &url(thing, style)));
    json.text("next_page_token", &next_page_token);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// How the namespace of these is spelled, which any name in it says that the caller may still see. If they may see none
/// of them any more, as a wiki.
async fn style(
    gateway: &Gateway,
    call: &Call,
    things: &[Thing],
    as_of: Option<prost_types::Timestamp>,
) -> Result<Style, Problem> {
    for thing in things {
        let request = ResolveNameRequest { key: thing.key.clone(), as_of, ..Default::default() };
        match gateway.things().resolve_name(call.request(request)).await {
            Ok(resolved) => return Ok(convert::style(resolved.into_inner().style)?),
            Err(status) => {
                let problem = Problem::from(status);
                if problem.reason() != Reason::NotFound {
                    return Err(problem);
                }
            }
        }
    }
    Ok(Style::default())
}

fn url(thing: &Thing, style: Style) -> String {
    // What services send are keys.
    convert::canonical_key("key", thing.key.clone()).map(|key| domain::url::encode(&key, style)).unwrap_or_default()
}
