//! Schemas on the wire: decode, verb, encode.

use domain::{Invalid, Namespace, TypeName};
use proto::convert::timestamp_to_wire;
use proto::things::v1 as wire;
use serve::{Caller, Refusal};
use tonic::{Request, Response, Status};

use super::answer::OUTCOME;
use crate::Things;
use crate::schema::Registered;

pub(super) async fn put(
    things: &Things,
    request: Request<wire::PutSchemaRequest>,
) -> Result<Response<wire::Schema>, Status> {
    let caller = Caller::of(request.extensions())?.clone();
    let wire::PutSchemaRequest { ns, r#type, schema: text } = request.into_inner();
    let (ns, thing_type) = name(&ns, &r#type).map_err(Refusal::from)?;
    let call = things.call(caller, String::new(), String::new()).map_err(Refusal::from)?;
    let (registered, outcome) = things.put_schema(call, ns, thing_type, text).await?;
    let mut response = Response::new(schema(registered));
    response.metadata_mut().insert(OUTCOME, outcome.as_str().parse().expect("an outcome is ASCII"));
    Ok(response)
}

pub(super) async fn get(
    things: &Things,
    request: Request<wire::GetSchemaRequest>,
) -> Result<Response<wire::Schema>, Status> {
    let (_, extensions, wire::GetSchemaRequest { ns, r#type }) = request.into_parts();
    let (ns, thing_type) = name(&ns, &r#type).map_err(Refusal::from)?;
    let found = things.get_schema(Caller::of(&extensions)?, ns, thing_type).await?;
    Ok(Response::new(schema(found)))
}

pub(super) async fn list(
    things: &Things,
    request: Request<wire::ListSchemasRequest>,
) -> Result<Response<wire::ListSchemasResponse>, Status> {
    let (_, extensions, request) = request.into_parts();
    let ns: Namespace = request.ns.parse().map_err(Refusal::from)?;
    let found = things.list_schemas(Caller::of(&extensions)?, ns).await?;
    Ok(Response::new(wire::ListSchemasResponse { schemas: found.into_iter().map(schema).collect() }))
}

pub(super) async fn delete(
    things: &Things,
    request: Request<wire::DeleteSchemaRequest>,
) -> Result<Response<wire::DeleteSchemaResponse>, Status> {
    let caller = Caller::of(request.extensions())?.clone();
    let wire::DeleteSchemaRequest { ns, r#type } = request.into_inner();
    let (ns, thing_type) = name(&ns, &r#type).map_err(Refusal::from)?;
    let call = things.call(caller, String::new(), String::new()).map_err(Refusal::from)?;
    things.delete_schema(call, ns, thing_type).await?;
    Ok(Response::new(wire::DeleteSchemaResponse {}))
}

/// The type, and its namespace, of a schema.
fn name(ns: &str, word: &str) -> Result<(Namespace, TypeName), Invalid> {
    Ok((ns.parse()?, word.parse()?))
}

fn schema(registered: Registered) -> wire::Schema {
    let Registered { ns, thing_type, text, created_at, updated_at } = registered;
    wire::Schema {
        ns: ns.as_str().into(),
        r#type: thing_type.as_str().into(),
        schema: text.into(),
        created_at: Some(timestamp_to_wire(created_at)),
        updated_at: Some(timestamp_to_wire(updated_at)),
    }
}
