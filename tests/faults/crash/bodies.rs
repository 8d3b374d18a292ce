//! Owns how what clients ask for is written, for gRPC and as JSON. Never sends it.

use domain::{Condition, Embedding, Key, RelationshipBody, ThingBody, url};
use proto::convert::thing_to_wire;
use proto::things::v1 as wire;
use serde_json::json;

use super::request::thing_to_send;
use super::world;

pub(crate) fn condition_to_wire(condition: &Condition) -> Option<wire::Condition> {
    let none = wire::Condition::default();
    match condition {
        Condition::None => None,
        Condition::CreateOnly => Some(wire::Condition { create_only: true, ..none }),
        Condition::UpdateOnly => Some(wire::Condition { update_only: true, ..none }),
        Condition::Etags(etags) => {
            Some(wire::Condition { etags: etags.iter().map(ToString::to_string).collect(), ..none })
        }
    }
}

pub(crate) fn import_to_wire(
    messages: Vec<Vec<(Key, ThingBody)>>,
    failing: usize,
    request_id: &str,
    cause: &str,
) -> Vec<wire::ImportThingsRequest> {
    let row = |(key, body): (Key, ThingBody)| {
        let thing = thing_to_wire(thing_to_send(key, body), String::new());
        wire::ImportRow { row: Some(wire::import_row::Row::Thing(thing)) }
    };
    let mut sent: Vec<_> = messages
        .into_iter()
        .map(|rows| wire::ImportThingsRequest { rows: rows.into_iter().map(row).collect(), ..Default::default() })
        .collect();
    for at in 0..failing {
        let message = at % sent.len();
        sent[message].rows.insert(0, row(world::failing_row()));
    }
    if let Some(first) = sent.first_mut() {
        (first.request_id, first.cause) = (request_id.to_owned(), cause.to_owned());
    }
    sent
}

pub(crate) fn thing_json(body: &ThingBody) -> anyhow::Result<String> {
    let ThingBody { thing_type, visibility, content, code, data, embedding } = body;
    let mut members = serde_json::Map::new();
    members.insert("type".into(), json!(thing_type.as_str()));
    members.insert("visibility".into(), json!(visibility.as_str()));
    if let Some(content) = content {
        members.insert("content".into(), json!(content.as_str()));
    }
    if let Some(code) = code {
        members.insert("code".into(), json!(code.as_str()));
    }
    if let Some(data) = data {
        members.insert("data".into(), serde_json::from_str(data.as_str())?);
    }
    if let Some(embedding) = embedding {
        members.insert("embedding".into(), json!(Embedding::as_slice(embedding)));
    }
    Ok(serde_json::Value::Object(members).to_string())
}

pub(crate) fn edge_json(body: &RelationshipBody) -> anyhow::Result<String> {
    let RelationshipBody { relationship_type, from, to, visibility, data } = body;
    // One end by its URL, one by its parts: both are ways to say it.
    let style = world::style_of(&from.ns);
    let data = data.as_ref().map_or("{}", |data| data.as_str());
    Ok(json!({
        "type": relationship_type.as_str(),
        "visibility": visibility.as_str(),
        "from": url::encode(&Key::from(from.clone()), style),
        "to": {"ns": to.ns.as_str(), "id": to.id.as_str()},
        "data": serde_json::from_str::<serde_json::Value>(data)?,
    })
    .to_string())
}
