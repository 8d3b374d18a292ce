//! Bad input: each rule and limit is told by field and rule, over HTTP and gRPC, and nothing is ever stored half.

mod aggregate;
mod events;
mod frames;
mod names;
mod pages;
mod states;

use std::collections::BTreeSet;

use harness::{cluster::Cluster, http::Answer};
use proto::{
    common::v1::Key,
    events::v1::QueryRequest,
    things::v1::{ListThingsRequest, PutThingRequest, Thing},
};
use serde_json::json;
use tonic_types::StatusExt as _;

fn key(ns: &str, id: &str, variant: &str) -> Key {
    Key { ns: ns.into(), id: id.into(), variant: variant.into(), path: String::new() }
}

fn path(path: &str) -> Key {
    Key { path: path.into(), ..Key::default() }
}

fn thing(key: Key) -> Thing {
    Thing { key: Some(key), r#type: "T".into(), ..Thing::default() }
}

fn put(thing: Thing) -> PutThingRequest {
    PutThingRequest { thing: Some(thing), ..Default::default() }
}

/// The reason of a status, which every status has.
#[track_caller]
fn reason(status: &tonic::Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "annals", "{status:?}");
    info.reason.clone()
}

/// The answer must refuse these fields, each with a rule.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, tonic::Status>, fields: &[&str]) {
    let status = match answer {
        Err(status) => status,
        Ok(answer) => panic!("{fields:?} was taken: {answer:?}"),
    };
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{fields:?}: {status:?}");
    assert_eq!(reason(&status), "FIELD_INVALID", "{status:?}");
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap_or_else(|| panic!("no BadRequest: {status:?}")).field_violations;
    let named: BTreeSet<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(named, fields.iter().copied().collect(), "{status:?}");
    assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{status:?}");
}

/// The answer must be a problem of this status and reason; of a broken rule it names field and rule.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("/_/reasons/{reason}"), "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    if status == 400 && reason.starts_with("FIELD") {
        let error = &problem["errors"][0];
        let said = |name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(said("field") && said("rule"), "{problem}");
    }
}

/// Whatever was refused has left no thing and no event.
async fn assert_nothing_stored(cluster: &Cluster) {
    for ns in ["river", "lake"] {
        let request = ListThingsRequest { ns: ns.into(), ..Default::default() };
        let listed = cluster.things().await.list_things(request).await.unwrap().into_inner();
        assert_eq!(listed.things, []);
        assert_eq!(cluster.http().get(&format!("/{ns}/")).await.expect(200).json()["items"], json!([]));
    }
    let events = cluster.events().await.query(QueryRequest::default()).await.unwrap().into_inner().events;
    assert_eq!(events, []);
}
