//! The service on the wire: decode, verb, encode. Decides nothing.

mod aggregate;
mod ask;

use std::{pin::Pin, sync::Arc};

use domain::Cursor;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use proto::{
    convert::{as_of, change_to_wire, mutation_to_wire, state_to_wire},
    events::v1::{
        self as wire, AggregateRequest, AggregateResponse, AppendRequest, AppendResponse, AppendStreamRequest,
        AppendStreamResponse, CompactArchiveRequest, CompactArchiveResponse, DiffRequest, DiffResponse,
        ExpireArchiveRequest, ExpireArchiveResponse, GetArchiveRequest, HistoryRequest, HistoryResponse,
        ListStatesAtRequest, ListStatesAtResponse, QueryRequest, QueryResponse, ResolveCursorRequest,
        ResolveCursorResponse, StateAtRequest, StateAtResponse, SubscribeRequest, SubscribeResponse,
        VerifyArchiveRequest, VerifyArchiveResponse, events_service_server::EventsService,
    },
};
use serve::{
    Caller, Refusal,
    deadline::Deadline,
    page::{self, Binding, Seal},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use ulid::Ulid;

use self::ask::{entity, filter, list_states, new_events, query, relay_batch, start_of};
use crate::{
    EventLog,
    append_stream::{Acknowledged, Sent},
    archive::Cost,
    diff::{Compared, Diff},
    filter::Filter,
    history::History,
    list_states::StatesPage,
    subscribe::Sign,
};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) struct Grpc {
    pub(crate) log: Arc<EventLog>,
    pub(crate) draining: CancellationToken,
}

#[tonic::async_trait]
impl EventsService for Grpc {
    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let AppendRequest { events, relay } = request.into_inner();
        let events = new_events(events, relay.is_some())?;
        let stored = match relay {
            None => self.log.append(&caller, events).await?,
            Some(relay) => self.log.append_relayed(&caller, relay_batch(&relay)?, events).await?,
        };
        Ok(Response::new(AppendResponse {
            ulids: stored.ulids.iter().map(ToString::to_string).collect(),
            cursor: self.log.cursor(stored.appended.end).to_string(),
            duplicates: stored.appended.duplicates.into_iter().map(|place| place as i32).collect(),
        }))
    }

    type AppendStreamStream = Answers<AppendStreamResponse>;

    async fn append_stream(
        &self,
        request: Request<Streaming<AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let (_, extensions, messages) = request.into_parts();
        let sent = messages.map(|message| {
            let AppendStreamRequest { events, batch } = message.map_err(|status| Refusal::from_status(&status))?;
            Ok(Sent { batch, events: new_events(events, false) })
        });
        let told = self.log.append_stream(Caller::of(&extensions)?, sent, Deadline::of(&extensions));
        let log = Arc::clone(&self.log);
        let answers = told.map(move |told| {
            let Acknowledged { batch, ulids, appended } = told?;
            Ok(AppendStreamResponse {
                batch,
                ulids: ulids.iter().map(ToString::to_string).collect(),
                cursor: log.cursor(appended.end).to_string(),
                duplicates: appended.duplicates.into_iter().map(|place| place as i32).collect(),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let mut request = request.into_inner();
        let entity = entity(request.key.clone(), request.kind).map_err(Refusal::from)?;
        let page_size = page::size(std::mem::take(&mut request.page_size))?;
        let (token, wait_for) = (std::mem::take(&mut request.page_token), std::mem::take(&mut request.wait_for));
        let binding = Binding::new(&caller.tenant, &[b"history", &request.encode_to_vec()]);
        let after = binding.position(&token, |bytes| Some(Ulid::from_bytes(bytes.try_into().ok()?)))?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let history = History { entity, page_size, after };
        let asker = caller.clone();
        let page = self.log.blocking(move |log| log.history(&asker, &history)).await?;
        Ok(Response::new(HistoryResponse {
            mutations: page.mutations.into_iter().map(mutation_to_wire).collect(),
            next_page_token: page.next.map(|last| binding.token(&last.to_bytes())).unwrap_or_default(),
            cost: Some(self.told(&caller, page.cost)),
        }))
    }

    async fn state_at(&self, request: Request<StateAtRequest>) -> Result<Response<StateAtResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let StateAtRequest { key, kind, as_of: moment, wait_for } = request.into_inner();
        let entity = entity(key, kind).map_err(Refusal::from)?;
        let moment = as_of("as_of", moment).map_err(Refusal::from)?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let asker = caller.clone();
        let (state, cost) = self.log.blocking(move |log| log.state_at(&asker, &entity, moment)).await?;
        let cost = Some(self.told(&caller, cost));
        Ok(Response::new(StateAtResponse { state: Some(state_to_wire(state)), cost }))
    }

    async fn list_states_at(
        &self,
        request: Request<ListStatesAtRequest>,
    ) -> Result<Response<ListStatesAtResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let mut request = request.into_inner();
        let page_size = page::size(std::mem::take(&mut request.page_size))?;
        let (token, wait_for) = (std::mem::take(&mut request.page_token), std::mem::take(&mut request.wait_for));
        let binding = Binding::new(&caller.tenant, &[b"states", &request.encode_to_vec()]);
        // A page may end at a name that the caller may not see.
        let seal = Seal::new(&self.log.journal.identity().id.to_bytes());
        let after = seal.position(binding, &token, |bytes| String::from_utf8(bytes.to_vec()).ok())?;
        let list = list_states(request, page_size, after, deadline).map_err(Refusal::from)?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let asker = caller.clone();
        let page = self.log.blocking(move |log| log.list_states_at(&asker, &list)).await?;
        let StatesPage { states, next, cost } = page;
        Ok(Response::new(ListStatesAtResponse {
            states: states.into_iter().map(state_to_wire).collect(),
            next_page_token: next.map(|last| seal.token(binding, last.as_bytes())).unwrap_or_default(),
            cost: Some(self.told(&caller, cost)),
        }))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let DiffRequest { key, kind, from, to, wait_for } = request.into_inner();
        let entity = entity(key, kind).map_err(Refusal::from)?;
        let from = as_of("from", from).map_err(Refusal::from)?;
        let to = to.map(|to| as_of("to", Some(to))).transpose().map_err(Refusal::from)?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let asker = caller.clone();
        let compared = self.log.blocking(move |log| log.diff(&asker, &Diff { entity, from, to })).await?;
        let Compared { before, after, changes, cost } = compared;
        Ok(Response::new(DiffResponse {
            before: before.map(state_to_wire),
            after: after.map(state_to_wire),
            changes: changes.into_iter().map(change_to_wire).collect(),
            cost: Some(self.told(&caller, cost)),
        }))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let mut request = request.into_inner();
        let page_size = page::size(std::mem::take(&mut request.page_size))?;
        let (token, wait_for) = (std::mem::take(&mut request.page_token), std::mem::take(&mut request.wait_for));
        let binding = Binding::new(&caller.tenant, &[b"query", &request.encode_to_vec()]);
        // A token of an earlier journal holds where that one's events are still where they were.
        let position = binding.position(&token, |bytes| {
            let (epoch, offset) = bytes.split_at_checked(8)?;
            let [epoch, offset] = [epoch, offset].map(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
            let cursor = Cursor { epoch: epoch?, offset: offset? };
            self.log.has(cursor).then_some(cursor.offset)
        })?;
        let query = query(request, page_size, position).map_err(Refusal::from)?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let page = self.log.query(&caller, query).await?;
        Ok(Response::new(QueryResponse {
            events: page.events,
            next_page_token: page
                .next
                .map(|next| binding.token(&position_token(self.log.cursor(next))))
                .unwrap_or_default(),
            cost: Some(self.told(&caller, page.cost)),
        }))
    }

    async fn aggregate(&self, request: Request<AggregateRequest>) -> Result<Response<AggregateResponse>, Status> {
        let (caller, deadline) = (Caller::of(request.extensions())?.clone(), Deadline::of(request.extensions()));
        let mut request = request.into_inner();
        let wait_for = std::mem::take(&mut request.wait_for);
        let (filter, without_mutations, aggregate) = aggregate::aggregate(request).map_err(Refusal::from)?;
        self.log.wait_for(&caller, &wait_for, deadline).await?;
        let aggregated = self.log.aggregate(&caller, filter, without_mutations, aggregate).await?;
        let cost = self.told(&caller, aggregated.cost);
        Ok(Response::new(aggregate::aggregated(aggregated, cost, page::MAX_BYTES)))
    }

    type SubscribeStream = Answers<SubscribeResponse>;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let SubscribeRequest { cursor, start, event_types, entity_ns, entity_id, all_tenants } = request.into_inner();
        let filter = filter(&event_types, &entity_ns, &entity_id, 0).map_err(Refusal::from)?;
        let filter = Filter { all_tenants, ..filter };
        let start = start_of(cursor, start).map_err(Refusal::from)?;
        let signs = self.log.subscribe(&caller, filter, &start, self.draining.clone())?;
        let log = Arc::clone(&self.log);
        let answers = signs.map(move |sign| {
            let Sign { event, resume } = sign?;
            Ok(SubscribeResponse { event, cursor: log.cursor(resume).to_string() })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn resolve_cursor(
        &self,
        request: Request<ResolveCursorRequest>,
    ) -> Result<Response<ResolveCursorResponse>, Status> {
        let (_, extensions, ResolveCursorRequest { wait_for }) = request.into_parts();
        let (caller, deadline) = (Caller::of(&extensions)?, Deadline::of(&extensions));
        let position = self.log.resolve_cursor(caller, &wait_for, deadline).await?;
        Ok(Response::new(ResolveCursorResponse { cursor: self.log.cursor(position).to_string() }))
    }

    async fn get_archive(&self, request: Request<GetArchiveRequest>) -> Result<Response<wire::Archive>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        Ok(Response::new(self.log.blocking(move |log| log.archive_status(&caller)).await?))
    }

    type CompactArchiveStream = Answers<CompactArchiveResponse>;

    async fn compact_archive(
        &self,
        request: Request<CompactArchiveRequest>,
    ) -> Result<Response<Self::CompactArchiveStream>, Status> {
        let answers = self.log.compact(Caller::of(request.extensions())?)?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    type ExpireArchiveStream = Answers<ExpireArchiveResponse>;

    async fn expire_archive(
        &self,
        request: Request<ExpireArchiveRequest>,
    ) -> Result<Response<Self::ExpireArchiveStream>, Status> {
        let answers = self.log.expire(Caller::of(request.extensions())?)?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }

    type VerifyArchiveStream = Answers<VerifyArchiveResponse>;

    async fn verify_archive(
        &self,
        request: Request<VerifyArchiveRequest>,
    ) -> Result<Response<Self::VerifyArchiveStream>, Status> {
        let answers = self.log.verify(Caller::of(request.extensions())?)?;
        Ok(Response::new(Box::pin(answers.map_err(Status::from))))
    }
}

fn position_token(Cursor { epoch, offset }: Cursor) -> Vec<u8> {
    [epoch, offset].map(u64::to_le_bytes).concat()
}

impl Grpc {
    /// As much of what an answer cost as the caller may know.
    fn told(&self, caller: &Caller, cost: Cost) -> wire::Cost {
        let Cost { files, requests, bytes, rows } =
            if self.log.may_know_costs(caller) { cost } else { Cost::default() };
        let [files, requests, bytes, rows] = [files, requests, bytes, rows].map(|count| count as i64);
        wire::Cost { files, requests, bytes, rows }
    }
}

#[cfg(test)]
#[path = "grpc_test.rs"]
mod tests;
