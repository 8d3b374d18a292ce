//! States as answers, and what an answer to a write says beside one.

use domain::{Relationship, Style, Thing, url};
use proto::convert::{name_to_wire, relationship_to_wire, thing_to_wire, visibility_to_wire};
use proto::things::v1 as wire;
use tonic::Response;
use tonic::metadata::MetadataMap;

use crate::Put;
use crate::summary::Summary;

/// Metadata of an answer to a write: the name's newest mutation, and what the write did.
pub(super) const ULID: &str = "annals-ulid";
pub(super) const OUTCOME: &str = "annals-outcome";

pub(super) fn thing((thing, style): (Thing, Style)) -> wire::Thing {
    let url = url::encode(&thing.key, style);
    thing_to_wire(thing, url)
}

pub(super) fn relationship((relationship, style): (Relationship, Style)) -> wire::Relationship {
    let url = url::encode_relationship(&relationship.name, style);
    relationship_to_wire(relationship, url)
}

pub(super) fn summary(summary: Summary) -> wire::ThingSummary {
    let Summary { name, style, thing_type, visibility, title } = summary;
    wire::ThingSummary {
        r#type: thing_type.as_str().into(),
        visibility: visibility_to_wire(visibility).into(),
        title,
        url: url::encode(&name.clone().into(), style),
        key: Some(name_to_wire(&name)),
    }
}

/// A put thing, without its embedding: that is asked for.
pub(super) fn put_thing(put: Put<Thing>) -> Response<wire::Thing> {
    let Put { mut state, style, outcome } = put;
    state.body.embedding = None;
    let etag = state.etag.to_string();
    written(thing((state, style)), &etag, outcome.as_str())
}

pub(super) fn written<T>(answer: T, ulid: &str, outcome: &'static str) -> Response<T> {
    let mut response = Response::new(answer);
    let metadata: &mut MetadataMap = response.metadata_mut();
    metadata.insert(ULID, ulid.parse().expect("a ULID is ASCII"));
    metadata.insert(OUTCOME, outcome.parse().expect("an outcome is ASCII"));
    response
}
