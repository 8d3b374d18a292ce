//! Owns how one client talks to a server that may die at any moment: what was sent, what came back.
//! Never retries, and takes an answer for what it says.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use domain::{Condition, Key, Name, url};
use harness::http::Http;
use http::Method;
use proto::common::v1::Reason;
use proto::convert::{key_to_wire, name_to_wire, relationship_to_wire, thing_to_wire};
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::things::v1 as wire;
use proto::things::v1::things_service_client::ThingsServiceClient;
use serde_json::json;
use serve::Refusal;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;
use ulid::Ulid;

use super::bodies::{condition_to_wire, edge_json, import_to_wire, thing_json};
use super::request::{Answer, Asked, Request, relationship_to_send, thing_to_send};
use super::shared::Shared;
use super::world;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) things: ThingsServiceClient<Channel>,
    pub(crate) events: EventsServiceClient<Channel>,
    pub(crate) http: Http,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Grpc,
    Http,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let channel = Endpoint::new(format!("http://{address}"))?.connect().await?;
        Ok(Self {
            things: ThingsServiceClient::new(channel.clone()).max_decoding_message_size(16 << 20),
            events: EventsServiceClient::new(channel).max_decoding_message_size(16 << 20),
            http: Http::new(address),
        })
    }

    /// Sends a request and remembers what became of it.
    pub(crate) async fn ask(&mut self, shared: &Shared, id: String, asked: Asked, way: Way) -> anyhow::Result<Request> {
        let sent = shared.tick();
        let answer = match way {
            Way::Grpc => self.over_grpc(&id, &asked).await,
            Way::Http => self.over_http(&id, &asked).await,
        };
        let answer = answer.with_context(|| format!("{id}: {asked:?}"))?;
        let answered = if answer == Answer::Nothing { u64::MAX } else { shared.tick() };
        let request = Request { id, asked, sent, answered, answer };
        if request.answer != Answer::Nothing {
            shared.saw(&request);
            shared.count_answer();
        }
        Ok(request)
    }

    async fn over_grpc(&mut self, id: &str, asked: &Asked) -> anyhow::Result<Answer> {
        let request_id = id.to_owned();
        let cause = String::from("a crash test");
        match asked.clone() {
            Asked::Put { key, body, condition } => {
                let thing = thing_to_wire(thing_to_send(key, body), String::new());
                let condition = condition_to_wire(&condition);
                let request = wire::PutThingRequest { thing: Some(thing), condition, request_id, cause };
                written(self.things.put_thing(request).await)
            }
            Asked::Patch { key, content, data, condition } => {
                let request = wire::PatchThingRequest {
                    key: Some(key_to_wire(&key)),
                    content: Some(content.as_str().into()),
                    data_patch: Some(data.to_string()),
                    condition: condition_to_wire(&condition),
                    request_id,
                    cause,
                    ..Default::default()
                };
                written(self.things.patch_thing(request).await)
            }
            Asked::Delete { key, condition } => {
                let (key, condition) = (Some(key_to_wire(&key)), condition_to_wire(&condition));
                let request = wire::DeleteThingRequest { key, condition, request_id, cause };
                match self.things.delete_thing(request).await {
                    Ok(answer) => {
                        let answer = answer.into_inner();
                        let with = answer.deleted_variants + answer.deleted_relationships;
                        Ok(Answer::Written { ulid: answer.ulid.parse()?, with: Some(with as usize) })
                    }
                    Err(status) => refused(&status),
                }
            }
            Asked::Link { name, body, condition } => {
                let relationship = relationship_to_wire(relationship_to_send(name, body), String::new());
                let condition = condition_to_wire(&condition);
                let relationship = Some(relationship);
                let request = wire::PutRelationshipRequest { relationship, condition, request_id, cause };
                written(self.things.put_relationship(request).await)
            }
            Asked::Unlink { name, condition } => {
                let (key, condition) = (Some(name_to_wire(&name)), condition_to_wire(&condition));
                let request = wire::DeleteRelationshipRequest { key, condition, request_id, cause };
                match self.things.delete_relationship(request).await {
                    Ok(answer) => Ok(Answer::Written { ulid: answer.into_inner().ulid.parse()?, with: Some(0) }),
                    Err(status) => refused(&status),
                }
            }
            Asked::Import { messages, failing } => {
                let messages = import_to_wire(messages, failing, &request_id, &cause);
                match self.things.import_things(tokio_stream::iter(messages)).await {
                    Ok(answer) => Ok(Answer::Imported(answer.into_inner())),
                    Err(status) => refused(&status),
                }
            }
        }
    }

    async fn over_http(&mut self, id: &str, asked: &Asked) -> anyhow::Result<Answer> {
        let url_of = |key: &Key| url::encode(key, world::style_of(&key.ns));
        let edge_of = |name: &Name| url::encode_relationship(name, world::style_of(&name.ns));
        let (method, path, body, condition) = match asked {
            Asked::Put { key, body, condition } => (Method::PUT, url_of(key), thing_json(body)?, condition),
            Asked::Patch { key, content, data, condition } => {
                let body = json!({"content": content.as_str(), "data": serde_json::from_str::<serde_json::Value>(&data.to_string())?}).to_string();
                (Method::PATCH, url_of(key), body, condition)
            }
            Asked::Delete { key, condition } => (Method::DELETE, url_of(key), String::new(), condition),
            Asked::Link { name, body, condition } => (Method::PUT, edge_of(name), edge_json(body)?, condition),
            Asked::Unlink { name, condition } => (Method::DELETE, edge_of(name), String::new(), condition),
            Asked::Import { .. } => bail!("imports are gRPC's"),
        };
        let mut headers = vec![("annals-request-id", id)];
        if !body.is_empty() {
            let is_patch = method == Method::PATCH;
            headers.push(("content-type", if is_patch { "application/merge-patch+json" } else { "application/json" }));
        }
        let etags = match condition {
            Condition::Etags(etags) => etags.iter().map(|etag| format!("\"{etag}\"")).collect::<Vec<_>>().join(", "),
            _ => String::from("*"),
        };
        match condition {
            Condition::None => {}
            Condition::CreateOnly => headers.push(("if-none-match", "*")),
            Condition::UpdateOnly | Condition::Etags(_) => headers.push(("if-match", &etags)),
        }
        let Ok(answer) = self.http.try_call(method, &path, &headers, Bytes::from(body)).await else {
            return Ok(Answer::Nothing);
        };
        if answer.status >= 300 {
            return refused_over_http(&answer);
        }
        let ulid = answer.header("annals-ulid").parse()?;
        Ok(if answer.headers.get("annals-outcome").is_some_and(|outcome| outcome == "unchanged") {
            Answer::Unchanged { ulid }
        } else {
            Answer::Written { ulid, with: None }
        })
    }
}

/// What an answer over HTTP refuses, and that it says so as a problem does.
pub(crate) fn refused_over_http(answer: &harness::http::Answer) -> anyhow::Result<Answer> {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body)
        .with_context(|| format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)))?;
    let reason = problem["type"].as_str().and_then(|reason| reason.strip_prefix("/_/reasons/"));
    let reason = reason.and_then(|reason| Reason::from_str_name(&format!("REASON_{reason}")));
    outcome_of(reason.with_context(|| format!("no reason: {problem}"))?, &problem.to_string())
}

/// What a refusal means. One without our `ErrorInfo` is the transport's: the server died.
pub(crate) fn refused(status: &tonic::Status) -> anyhow::Result<Answer> {
    if status.get_details_error_info().is_none() {
        return Ok(Answer::Nothing);
    }
    outcome_of(Refusal::from_status(status).reason, &format!("{status:?}"))
}

fn outcome_of(reason: Reason, told: &str) -> anyhow::Result<Answer> {
    ensure!(!matches!(reason, Reason::Internal | Reason::Unspecified | Reason::FieldInvalid), "a defect: {told}");
    let is_open = matches!(reason, Reason::PeerUnavailable | Reason::DeadlineExceeded | Reason::Cancelled);
    Ok(if is_open { Answer::Nothing } else { Answer::Refused(reason) })
}

fn written<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> anyhow::Result<Answer> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => return refused(&status),
    };
    let said = |name: &str| answer.metadata().get(name).and_then(|value| value.to_str().ok());
    let ulid: Ulid = said("annals-ulid").context("no annals-ulid")?.parse()?;
    match said("annals-outcome") {
        Some("unchanged") => Ok(Answer::Unchanged { ulid }),
        Some("created" | "replaced") => Ok(Answer::Written { ulid, with: Some(0) }),
        other => bail!("annals-outcome: {other:?}"),
    }
}
