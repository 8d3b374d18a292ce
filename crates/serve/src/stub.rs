//! A service for the tests of this crate: it does what a call's `page_token` (or `cursor`) says.

use std::sync::Arc;

use domain::{Clock, Timestamp};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::events::v1::events_service_server::{EventsService, EventsServiceServer};
use proto::events::v1::{
    AggregateRequest, AggregateResponse, AppendRequest, AppendResponse, AppendStreamRequest, AppendStreamResponse,
    Archive, CompactArchiveRequest, CompactArchiveResponse, DiffRequest, DiffResponse, ExpireArchiveRequest,
    ExpireArchiveResponse, GetArchiveRequest, HistoryRequest, HistoryResponse, ListStatesAtRequest,
    ListStatesAtResponse, QueryRequest, QueryResponse, ResolveCursorRequest, ResolveCursorResponse, StateAtRequest,
    StateAtResponse, SubscribeRequest, SubscribeResponse, VerifyArchiveRequest, VerifyArchiveResponse,
};
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::auth::{Caller, Keyring, PeerKey};
use crate::deadline::Deadline;
use crate::layers::Ring;
use crate::{Context, Peer, Refusal, Service, Tasks};

/// Largest message that the stub takes.
pub(crate) const MESSAGE_BYTES: usize = 1024;

#[derive(Clone, Default)]
pub(crate) struct Stub {
    /// Told when a `hold` has begun.
    pub(crate) begun: Arc<Notify>,
    /// Lets one `hold` go on.
    pub(crate) release: Arc<Notify>,
}

impl Stub {
    pub(crate) fn service(&self, context: &Context) -> Service {
        let server = EventsServiceServer::new(self.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let routes = Ring::new("events", context).around(Routes::new(server));
        Service { name: "events", routes, http: None, tasks: Tasks::new("events") }
    }

    pub(crate) fn client(&self, context: &Context) -> EventsServiceClient<Peer> {
        EventsServiceClient::new(self.service(context).peer())
    }
}

/// A service that takes imports which never end.
pub(crate) fn imports(context: &Context) -> Service {
    let import = axum::routing::post(std::future::pending::<()>);
    let methods = axum::Router::new().route("/annals.things.v1.ThingsService/ImportThings", import);
    let routes = Ring::new("things", context).around(Routes::from(methods));
    Service { name: "things", routes, http: None, tasks: Tasks::new("things") }
}

/// A context without keys.
pub(crate) fn context() -> Context {
    Context::local(Clock::manual(Timestamp::MIN), "nowhere".into())
}

/// A context whose `keys.toml` has `text`, and the peer key of its process.
pub(crate) fn context_with_keys(text: &str) -> (Context, PeerKey) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("keys.toml");
    std::fs::write(&path, text).expect("the directory is writable");
    let peer = PeerKey::mint();
    let keyring = Keyring::open_existing(path, peer.clone()).expect("good keys");
    (Context::new(Clock::manual(Timestamp::MIN), keyring, directory.path().into()), peer)
}

/// A query that does what `word` says.
pub(crate) fn query(word: &str) -> Request<QueryRequest> {
    Request::new(QueryRequest { page_token: word.to_owned(), ..QueryRequest::default() })
}

/// A subscription that does what `word` says.
pub(crate) fn subscribe(word: &str) -> Request<SubscribeRequest> {
    Request::new(SubscribeRequest { cursor: word.to_owned(), ..SubscribeRequest::default() })
}

/// `request` with the key `text`.
pub(crate) fn keyed<T>(mut request: Request<T>, text: &str) -> Request<T> {
    let value = format!("Bearer {text}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

#[expect(clippy::disallowed_methods, reason = "a status as tonic or a transport makes it")]
fn bare() -> Status {
    Status::unavailable("bare")
}

#[tonic::async_trait]
impl EventsService for Stub {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let caller = Caller::of(request.extensions())?.clone();
        let deadline = Deadline::of(request.extensions());
        let answer = match request.get_ref().page_token.as_str() {
            "caller" => format!("{}/{}", caller.tenant, caller.principal),
            "anonymous" => caller.is_anonymous().to_string(),
            "remaining" => format!("{:?}", deadline.map(Deadline::remaining)),
            "panic" => panic!("the stub was asked to"),
            "bare" => return Err(bare()),
            "peer" => {
                caller.require_peer()?;
                "peer".to_owned()
            }
            "hold" => {
                self.begun.notify_one();
                self.release.notified().await;
                "released".to_owned()
            }
            "hang" => std::future::pending().await,
            word => word.to_owned(),
        };
        Ok(Response::new(QueryResponse { next_page_token: answer, ..QueryResponse::default() }))
    }

    type SubscribeStream = BoxStream<'static, Result<SubscribeResponse, Status>>;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Self::SubscribeStream>, Status> {
        let message = || Ok(SubscribeResponse { cursor: "one".to_owned(), ..SubscribeResponse::default() });
        let stream = match request.get_ref().cursor.as_str() {
            "quiet" => stream::iter([message()]).chain(stream::pending()).boxed(),
            "endless" => stream::repeat_with(message).boxed(),
            "broken" => stream::iter([message(), Err(bare())]).boxed(),
            _ => return Err(Refusal::invalid_field("cursor", "must be quiet, endless or broken").into()),
        };
        Ok(Response::new(stream))
    }

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let ulids = request.get_ref().events.iter().map(|_| "stored".to_owned()).collect();
        Ok(Response::new(AppendResponse { ulids, ..AppendResponse::default() }))
    }

    async fn resolve_cursor(
        &self,
        _: Request<ResolveCursorRequest>,
    ) -> Result<Response<ResolveCursorResponse>, Status> {
        Ok(Response::new(ResolveCursorResponse::default()))
    }

    type AppendStreamStream = BoxStream<'static, Result<AppendStreamResponse, Status>>;

    async fn append_stream(
        &self,
        request: Request<Streaming<AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let answers = request.into_inner().map(|message| {
            let AppendStreamRequest { events: _, batch } = message?;
            Ok(AppendStreamResponse { batch, ..AppendStreamResponse::default() })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn history(&self, _: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        Ok(Response::new(HistoryResponse::default()))
    }

    async fn state_at(&self, _: Request<StateAtRequest>) -> Result<Response<StateAtResponse>, Status> {
        Ok(Response::new(StateAtResponse::default()))
    }

    async fn list_states_at(&self, _: Request<ListStatesAtRequest>) -> Result<Response<ListStatesAtResponse>, Status> {
        Ok(Response::new(ListStatesAtResponse::default()))
    }

    async fn diff(&self, _: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        Ok(Response::new(DiffResponse::default()))
    }

    async fn aggregate(&self, _: Request<AggregateRequest>) -> Result<Response<AggregateResponse>, Status> {
        Ok(Response::new(AggregateResponse::default()))
    }

    async fn get_archive(&self, _: Request<GetArchiveRequest>) -> Result<Response<Archive>, Status> {
        Ok(Response::new(Archive::default()))
    }

    type CompactArchiveStream = BoxStream<'static, Result<CompactArchiveResponse, Status>>;

    async fn compact_archive(
        &self,
        _: Request<CompactArchiveRequest>,
    ) -> Result<Response<Self::CompactArchiveStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }

    type ExpireArchiveStream = BoxStream<'static, Result<ExpireArchiveResponse, Status>>;

    async fn expire_archive(
        &self,
        _: Request<ExpireArchiveRequest>,
    ) -> Result<Response<Self::ExpireArchiveStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }

    type VerifyArchiveStream = BoxStream<'static, Result<VerifyArchiveResponse, Status>>;

    async fn verify_archive(
        &self,
        _: Request<VerifyArchiveRequest>,
    ) -> Result<Response<Self::VerifyArchiveStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }
}
