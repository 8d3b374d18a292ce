//! The service on the wire: decode, verb, encode. Decides nothing.

mod answer;
mod ask;
mod atomic;
mod export;
mod filter;
mod import;
mod namespaces;
mod restore;
mod schemas;
mod traverse;

use domain::url;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use prost::Message as _;
use proto::convert::{
    condition, entity_kind, key_to_wire, name_to_wire, namespace_to_wire, reference, relationship_body, style_to_wire,
    thing_body, thing_patch, timestamp, visibility_to_wire, write_result_to_wire,
};
use proto::things::v1::{self as wire, things_service_server::ThingsService};
use serve::deadline::Deadline;
use serve::page;
use serve::{Caller, Refusal};
use tonic::{Request, Response, Status, Streaming};

use self::answer::{ULID, put_thing, relationship, summary, thing, written};
use self::ask::{condition_of_deletion, preferred, relationship_reference, type_filter, within};
use self::import::import_report;
use crate::Put;
use crate::Things;
use crate::delete::Deleted;
use crate::list::PageRequest;
use crate::store::{Read, Resolved};

/// Takes the page out of a request for a list; what is left of it is the question.
macro_rules! page {
    ($request:ident) => {{
        let size = page::size(std::mem::take(&mut $request.page_size))?;
        let token = std::mem::take(&mut $request.page_token);
        PageRequest { size, token, question: $request.encode_to_vec() }
    }};
}

/// A stream of answers.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl ThingsService for Things {
    type ExportThingsStream = Answers<wire::ExportThingsResponse>;
    type TraverseStream = Answers<wire::TraverseResponse>;

    async fn get_thing(&self, request: Request<wire::GetThingRequest>) -> Result<Response<wire::Thing>, Status> {
        let (_, extensions, request) = request.into_parts();
        let wire::GetThingRequest { key, preferred_variants, include_embedding } = request;
        let reference = reference("key", key).map_err(Refusal::from)?;
        let preferred = preferred(&preferred_variants).map_err(Refusal::from)?;
        let found = self.get_thing(Caller::of(&extensions)?, reference, preferred, include_embedding).await?;
        Ok(Response::new(thing(found)))
    }

    async fn put_thing(&self, request: Request<wire::PutThingRequest>) -> Result<Response<wire::Thing>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let wire::PutThingRequest { thing, condition: held, request_id, cause } = request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let (reference, body) = thing_body(thing).map_err(Refusal::from)?;
        let condition = condition(held).map_err(Refusal::from)?;
        Ok(put_thing(self.put_thing(call, reference, body, condition).await?))
    }

    async fn patch_thing(&self, request: Request<wire::PatchThingRequest>) -> Result<Response<wire::Thing>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let mut request = request.into_inner();
        let (request_id, cause) = (std::mem::take(&mut request.request_id), std::mem::take(&mut request.cause));
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let condition = condition(request.condition.take()).map_err(Refusal::from)?;
        let (reference, patch) = thing_patch(request).map_err(Refusal::from)?;
        Ok(put_thing(self.patch_thing(call, reference, patch, condition).await?))
    }

    async fn delete_thing(
        &self,
        request: Request<wire::DeleteThingRequest>,
    ) -> Result<Response<wire::DeleteThingResponse>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let wire::DeleteThingRequest { key, condition, request_id, cause } = request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let reference = reference("key", key).map_err(Refusal::from)?;
        let condition = condition_of_deletion(condition).map_err(Refusal::from)?;
        let Deleted { key, ulid, variants, relationships } = self.delete_thing(call, reference, condition).await?;
        let answer = wire::DeleteThingResponse {
            key: Some(key_to_wire(&key)),
            ulid: ulid.to_string(),
            deleted_variants: variants as i32,
            deleted_relationships: relationships as i32,
        };
        Ok(written(answer, &ulid.to_string(), "deleted"))
    }

    async fn restore_thing(
        &self,
        request: Request<wire::RestoreThingRequest>,
    ) -> Result<Response<wire::Thing>, Status> {
        let (caller, past) = self.past_of(&request)?;
        let wire::RestoreThingRequest { key, as_of, condition: held, request_id, cause } = request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let reference = reference("key", key).map_err(Refusal::from)?;
        let as_of = restore::as_of(as_of).map_err(Refusal::from)?;
        let condition = condition(held).map_err(Refusal::from)?;
        Ok(put_thing(self.restore_thing(call, past, reference, as_of, condition).await?))
    }

    async fn undelete_thing(
        &self,
        request: Request<wire::UndeleteThingRequest>,
    ) -> Result<Response<wire::Thing>, Status> {
        let (caller, past) = self.past_of(&request)?;
        let wire::UndeleteThingRequest { key, request_id, cause } = request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let reference = reference("key", key).map_err(Refusal::from)?;
        Ok(put_thing(self.undelete_thing(call, past, reference).await?))
    }

    async fn list_things(
        &self,
        request: Request<wire::ListThingsRequest>,
    ) -> Result<Response<wire::ListThingsResponse>, Status> {
        let (_, extensions, mut request) = request.into_parts();
        let page = page!(request);
        let (filter, order) = filter::of_list(request).map_err(Refusal::from)?;
        let listed = self.list_things(Caller::of(&extensions)?, filter, order, &page).await?;
        Ok(Response::new(wire::ListThingsResponse {
            things: listed.items.into_iter().map(thing).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn count_things(
        &self,
        request: Request<wire::CountThingsRequest>,
    ) -> Result<Response<wire::CountThingsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let filter = filter::of_count(request).map_err(Refusal::from)?;
        let count = self.count_things(Caller::of(&extensions)?, filter).await?;
        Ok(Response::new(wire::CountThingsResponse { count: count as i64 }))
    }

    async fn batch_get_things(
        &self,
        request: Request<wire::BatchGetThingsRequest>,
    ) -> Result<Response<wire::BatchGetThingsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let wire::BatchGetThingsRequest { keys, include_embedding } = request;
        let references = keys.iter().enumerate().map(|(at, key)| reference(&format!("keys[{at}]"), Some(key.clone())));
        let references = references.collect::<Result<_, _>>().map_err(Refusal::from)?;
        let reads = self.batch_get_things(Caller::of(&extensions)?, references, include_embedding).await?;
        let mut answer = wire::BatchGetThingsResponse::default();
        for (key, read) in keys.into_iter().zip(reads) {
            match read {
                Read::Found(found, style) => answer.things.push(thing((*found, style))),
                Read::Missing => answer.missing.push(key),
                Read::Unread => answer.unread.push(key),
            }
        }
        Ok(Response::new(answer))
    }

    async fn write_things(
        &self,
        request: Request<wire::WriteThingsRequest>,
    ) -> Result<Response<wire::WriteThingsResponse>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let request = request.into_inner();
        let call = self.call(caller, request.request_id.clone(), request.cause.clone()).map_err(Refusal::from)?;
        let (changes, terms) = atomic::changes(request).map_err(Refusal::from)?;
        let results = self.write_things(call, changes, terms).await?;
        let last = results.iter().filter_map(|result| result.ulid).max();
        let results = results.into_iter().map(write_result_to_wire).collect();
        let mut answer = Response::new(wire::WriteThingsResponse { results });
        if let Some(last) = last {
            answer.metadata_mut().insert(ULID, last.to_string().parse().expect("a ULID is ASCII"));
        }
        Ok(answer)
    }

    async fn import_things(
        &self,
        request: Request<Streaming<wire::ImportThingsRequest>>,
    ) -> Result<Response<wire::ImportThingsResponse>, Status> {
        let (_, extensions, messages) = request.into_parts();
        let caller = Caller::of(&extensions)?;
        let messages = messages.map(|message| self.rows(caller, message?));
        let report = self.import(caller, messages.boxed()).await?;
        Ok(Response::new(import_report(report)))
    }

    async fn export_things(
        &self,
        request: Request<wire::ExportThingsRequest>,
    ) -> Result<Response<Self::ExportThingsStream>, Status> {
        let (_, extensions, mut request) = request.into_parts();
        let deadline = within(&extensions, export::LONGEST);
        if request.page_size == 0 {
            request.page_size = export::ROWS;
        }
        let page = page!(request);
        let scope = filter::scope(&request.ns, &request.ns_prefix).map_err(Refusal::from)?;
        let parts = self.export(Caller::of(&extensions)?, scope, &page, deadline).await?;
        let parts = parts.map(|part| part.map(export::exported).map_err(Status::from));
        Ok(Response::new(parts.boxed()))
    }

    async fn get_relationship(
        &self,
        request: Request<wire::GetRelationshipRequest>,
    ) -> Result<Response<wire::Relationship>, Status> {
        let (_, extensions, wire::GetRelationshipRequest { key }) = request.into_parts();
        let reference = relationship_reference(key).map_err(Refusal::from)?;
        let found = self.get_relationship(Caller::of(&extensions)?, &reference).await?;
        Ok(Response::new(relationship(found)))
    }

    async fn put_relationship(
        &self,
        request: Request<wire::PutRelationshipRequest>,
    ) -> Result<Response<wire::Relationship>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let wire::PutRelationshipRequest { relationship: given, condition: held, request_id, cause } =
            request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let body = relationship_body(given).map_err(Refusal::from)?;
        let condition = condition(held).map_err(Refusal::from)?;
        let Put { state, style, outcome } = self.put_relationship(call, body, condition).await?;
        let etag = state.etag.to_string();
        Ok(written(relationship((state, style)), &etag, outcome.as_str()))
    }

    async fn delete_relationship(
        &self,
        request: Request<wire::DeleteRelationshipRequest>,
    ) -> Result<Response<wire::DeleteRelationshipResponse>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let wire::DeleteRelationshipRequest { key, condition, request_id, cause } = request.into_inner();
        let call = self.call(caller, request_id, cause).map_err(Refusal::from)?;
        let reference = relationship_reference(key).map_err(Refusal::from)?;
        let condition = condition_of_deletion(condition).map_err(Refusal::from)?;
        let Deleted { key, ulid, .. } = self.delete_relationship(call, reference, condition).await?;
        let ulid = ulid.to_string();
        let answer = wire::DeleteRelationshipResponse { key: Some(name_to_wire(&key.name())), ulid: ulid.clone() };
        Ok(written(answer, &ulid, "deleted"))
    }

    async fn list_relationships(
        &self,
        request: Request<wire::ListRelationshipsRequest>,
    ) -> Result<Response<wire::ListRelationshipsResponse>, Status> {
        let (_, extensions, mut request) = request.into_parts();
        let page = page!(request);
        let wire::ListRelationshipsRequest { thing, direction, r#type, include_others, .. } = request;
        let thing = reference("thing", thing)
            .and_then(|thing| thing.without_variant().map_err(|error| error.within("thing")))
            .map_err(Refusal::from)?;
        let direction = ask::direction(direction).map_err(Refusal::from)?;
        let relationship_type = type_filter(&r#type).map_err(Refusal::from)?;
        let caller = Caller::of(&extensions)?;
        let listed = self.list_relationships(caller, thing, direction, relationship_type, include_others, &page);
        let (listed, others) = listed.await?;
        Ok(Response::new(wire::ListRelationshipsResponse {
            others: others.into_iter().map(summary).collect(),
            relationships: listed.items.into_iter().map(relationship).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn traverse(
        &self,
        request: Request<wire::TraverseRequest>,
    ) -> Result<Response<Self::TraverseStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let deadline = within(&extensions, traverse::LONGEST);
        let traversal = traverse::traversal(request).map_err(Refusal::from)?;
        let parts = self.traverse(Caller::of(&extensions)?, traversal, deadline).await?;
        let parts = parts.map(|part| part.map(traverse::part).map_err(Status::from));
        Ok(Response::new(parts.boxed()))
    }

    async fn register_namespace(
        &self,
        request: Request<wire::RegisterNamespaceRequest>,
    ) -> Result<Response<wire::Namespace>, Status> {
        namespaces::register(self, request).await
    }

    async fn get_namespace(
        &self,
        request: Request<wire::GetNamespaceRequest>,
    ) -> Result<Response<wire::Namespace>, Status> {
        namespaces::get(self, request).await
    }

    async fn list_namespaces(
        &self,
        request: Request<wire::ListNamespacesRequest>,
    ) -> Result<Response<wire::ListNamespacesResponse>, Status> {
        let (_, extensions, mut request) = request.into_parts();
        let page = page!(request);
        let scope = filter::scope("", &request.ns_prefix).map_err(Refusal::from)?;
        let listed = self.list_namespaces(Caller::of(&extensions)?, scope, &page).await?;
        let namespace = |(ns, style, created_at)| namespace_to_wire(&ns, style, created_at);
        Ok(Response::new(wire::ListNamespacesResponse {
            namespaces: listed.items.into_iter().map(namespace).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn delete_namespace(
        &self,
        request: Request<wire::DeleteNamespaceRequest>,
    ) -> Result<Response<wire::DeleteNamespaceResponse>, Status> {
        namespaces::delete(self, request).await
    }

    async fn put_schema(&self, request: Request<wire::PutSchemaRequest>) -> Result<Response<wire::Schema>, Status> {
        schemas::put(self, request).await
    }

    async fn get_schema(&self, request: Request<wire::GetSchemaRequest>) -> Result<Response<wire::Schema>, Status> {
        schemas::get(self, request).await
    }

    async fn list_schemas(
        &self,
        request: Request<wire::ListSchemasRequest>,
    ) -> Result<Response<wire::ListSchemasResponse>, Status> {
        schemas::list(self, request).await
    }

    async fn delete_schema(
        &self,
        request: Request<wire::DeleteSchemaRequest>,
    ) -> Result<Response<wire::DeleteSchemaResponse>, Status> {
        schemas::delete(self, request).await
    }

    async fn resolve_name(
        &self,
        request: Request<wire::ResolveNameRequest>,
    ) -> Result<Response<wire::ResolveNameResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let wire::ResolveNameRequest { key, kind, as_of } = request;
        let kind = entity_kind("kind", kind).map_err(Refusal::from)?.unwrap_or_default();
        let reference = match kind {
            domain::EntityKind::Thing => reference("key", key),
            domain::EntityKind::Relationship => relationship_reference(key),
        };
        let as_of = timestamp("as_of", as_of).map_err(Refusal::from)?;
        let caller = Caller::of(&extensions)?;
        let resolved = self.resolve_name(caller, reference.map_err(Refusal::from)?, kind, as_of).await?;
        let Resolved { key, style, exists, visibility, last } = resolved;
        let url = match kind {
            domain::EntityKind::Thing => url::encode(&key, style),
            domain::EntityKind::Relationship => url::encode_relationship(&key.name(), style),
        };
        Ok(Response::new(wire::ResolveNameResponse {
            key: Some(key_to_wire(&key)),
            style: style_to_wire(style).into(),
            exists,
            visibility: visibility_to_wire(visibility).into(),
            last_ulid: last.to_string(),
            url,
        }))
    }

    async fn settle(&self, request: Request<wire::SettleRequest>) -> Result<Response<wire::SettleResponse>, Status> {
        Caller::of(request.extensions())?;
        let deadline = Deadline::of(request.extensions()).unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        let as_of = timestamp("as_of", request.into_inner().as_of).map_err(Refusal::from)?;
        Ok(Response::new(wire::SettleResponse { cursor: self.settle(as_of, deadline).await? }))
    }
}
