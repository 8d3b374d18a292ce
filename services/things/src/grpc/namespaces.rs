//! Namespaces on the wire: decode, verb, encode.

use domain::{Namespace, Style, Timestamp};
use proto::convert::{namespace_to_wire, style, timestamp_to_wire};
use proto::things::v1 as wire;
use serve::{Caller, Refusal};
use tonic::{Request, Response, Status};

use crate::Things;
use crate::store::Contents;

pub(super) async fn register(
    things: &Things,
    request: Request<wire::RegisterNamespaceRequest>,
) -> Result<Response<wire::Namespace>, Status> {
    let caller = Caller::of(request.extensions())?.clone();
    let wire::RegisterNamespaceRequest { ns, style: word } = request.into_inner();
    let ns: Namespace = ns.parse().map_err(Refusal::from)?;
    let style = style(word).map_err(Refusal::from)?;
    let call = things.call(caller, String::new(), String::new()).map_err(Refusal::from)?;
    let created_at = things.register_namespace(call, ns.clone(), style).await?;
    Ok(Response::new(namespace_to_wire(&ns, style, created_at)))
}

pub(super) async fn get(
    things: &Things,
    request: Request<wire::GetNamespaceRequest>,
) -> Result<Response<wire::Namespace>, Status> {
    let (_, extensions, request) = request.into_parts();
    let ns: Namespace = request.ns.parse().map_err(Refusal::from)?;
    let (style, created_at, contents) = things.get_namespace(Caller::of(&extensions)?, &ns).await?;
    Ok(Response::new(described(&ns, style, created_at, contents)))
}

pub(super) async fn delete(
    things: &Things,
    request: Request<wire::DeleteNamespaceRequest>,
) -> Result<Response<wire::DeleteNamespaceResponse>, Status> {
    let caller = Caller::of(request.extensions())?.clone();
    let ns = request.into_inner().ns.parse().map_err(Refusal::from)?;
    let call = things.call(caller, String::new(), String::new()).map_err(Refusal::from)?;
    things.delete_namespace(call, ns).await?;
    Ok(Response::new(wire::DeleteNamespaceResponse {}))
}

fn described(ns: &Namespace, style: Style, created_at: Timestamp, contents: Contents) -> wire::Namespace {
    let Contents { things, relationships, first, last } = contents;
    let contents = wire::NamespaceContents {
        things: things as i64,
        relationships: relationships.map(|count| count as i64),
        first_created_at: first.map(timestamp_to_wire),
        last_changed_at: last.map(|last| timestamp_to_wire(Timestamp::of_ulid(last))),
    };
    wire::Namespace { contents: Some(contents), ..namespace_to_wire(ns, style, created_at) }
}
