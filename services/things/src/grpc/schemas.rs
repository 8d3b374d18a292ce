//! Schemas on the wire.

use domain::{Invalid, Namespace, TypeName};
use proto::convert::timestamp_to_wire;
use proto::things::v1 as wire;
use tonic::Response;

use super::answer::OUTCOME;
use crate::change::Outcome;
use crate::schema::Registered;

/// The type, and its namespace, of a schema.
pub(super) fn name(ns: &str, word: &str) -> Result<(Namespace, TypeName), Invalid> {
    Ok((ns.parse()?, word.parse()?))
}

pub(super) fn schema(registered: Registered) -> wire::Schema {
    let Registered { ns, thing_type, text, created_at, updated_at } = registered;
    wire::Schema {
        ns: ns.as_str().into(),
        r#type: thing_type.as_str().into(),
        schema: text.into(),
        created_at: Some(timestamp_to_wire(created_at)),
        updated_at: Some(timestamp_to_wire(updated_at)),
    }
}

pub(super) fn put(registered: Registered, outcome: Outcome) -> Response<wire::Schema> {
    let mut response = Response::new(schema(registered));
    response.metadata_mut().insert(OUTCOME, outcome.as_str().parse().expect("an outcome is ASCII"));
    response
}
