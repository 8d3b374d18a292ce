//! A service as its callers hold it: in the same process or far away, the same type.
//!
//! Owns connections to other services. Never retries a call: that is the caller's decision.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::TryFutureExt as _;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _, service_fn};

use crate::auth::{CALLER_HEADER, Credentials, TENANT_HEADER};
use crate::deadline::{Deadline, TIMEOUT_HEADER};
use crate::layers::{self, until};
use crate::reflection;
use crate::refusal::Refusal;
use proto::common::v1::Reason;

/// Connections to one remote peer. More than one, because h2 counts cancelled streams per connection and one
/// connection is one task; few, because each takes a slot of the peer's cap.
const CONNECTIONS: usize = 4;

/// How long a connection takes new calls. Less than the age at which the other side tells it to go: a call that is on
/// its way when that is said is lost, and what was sent of it cannot be sent again.
const YOUTH: Duration = Duration::from_secs(20);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a connection with calls in flight is asked for a sign of life, and how long that may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A service of Annals behind one clonable tower service, for its generated client:
/// `ThingsServiceClient::new(things.peer())`.
///
/// Never fails as a service: what goes wrong on the way is an answer with a gRPC status (`PEER_UNAVAILABLE`).
#[derive(Clone)]
pub struct Peer(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl Peer {
    /// The service whose `routes` these are, in this process. Calls run in the caller's task.
    pub fn local(routes: Routes) -> Self {
        Self(BoxCloneSyncService::new(routes.prepare()))
    }

    /// The service at `address` (`http://host:port`). Connects when first called and again, asking the resolver anew,
    /// whenever a connection ends; calls are spread over a few connections, each of which is replaced while it is
    /// young.
    pub fn remote(address: Uri) -> Self {
        Self(BoxCloneSyncService::new(Remote::new(address, YOUTH)))
    }

    /// The same peer, called in this process's own name wherever a call carries no key of its own.
    #[must_use]
    pub fn signed(self, credentials: Credentials) -> Self {
        Self(BoxCloneSyncService::new(self.0.map_request(move |mut request: Request<Body>| {
            if !request.headers().contains_key(AUTHORIZATION) {
                credentials.sign(request.headers_mut());
            }
            request
        })))
    }

    /// The same peer for what has to be asked to answer a call with these `headers`: in the name of the same caller, with
    /// what is left of the call's time.
    #[must_use]
    pub fn for_call(self, headers: &HeaderMap, deadline: Deadline) -> Self {
        let names = [AUTHORIZATION, CALLER_HEADER, TENANT_HEADER];
        let passed = names.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
        let passed: HeaderMap = passed.collect();
        Self(BoxCloneSyncService::new(self.0.map_request(move |mut request: Request<Body>| {
            request.headers_mut().insert(TIMEOUT_HEADER, deadline.to_header());
            request.headers_mut().extend(passed.clone());
            request
        })))
    }

    /// The same peer for calls that this process only passes on: their streams end with CANCELLED when it drains, as
    /// the ring ends those that it serves itself.
    #[must_use]
    pub fn draining(self, draining: CancellationToken) -> Self {
        let streaming = reflection::methods().into_iter().filter(|method| method.is_streaming);
        let streaming: Arc<HashSet<String>> = Arc::new(streaming.map(|method| method.path).collect());
        Self(BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
            let is_streaming = streaming.contains(request.uri().path());
            let (answer, draining) = (self.0.clone().oneshot(request), draining.clone());
            async move {
                if !is_streaming {
                    return answer.await;
                }
                let answer = answer.map_ok(|answer| answer.map(axum::body::Body::new));
                Ok(until(Box::pin(layers::drained(draining)), answer).await?.map(Body::new))
            }
        })))
    }
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

/// A few connections to one address, used in turn. tonic's own `Channel` would do, but it loses the calls that meet a
/// connection as it goes away.
#[derive(Clone)]
struct Remote {
    address: Uri,
    youth: Duration,
    lines: Arc<[Mutex<Line>]>,
    next: Arc<AtomicUsize>,
}

/// One connection, made when it is first used; when it is dropped it ends after its calls.
struct Line {
    client: Client<HttpConnector, Body>,
    since: Instant,
}

impl Line {
    fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .http2_only(true)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE);
        Self { client: builder.build(connector), since: Instant::now() }
    }
}

impl Remote {
    fn new(address: Uri, youth: Duration) -> Self {
        let lines = (0..CONNECTIONS).map(|_| Mutex::new(Line::new())).collect();
        Self { address, youth, lines, next: Arc::default() }
    }

    /// The connection whose turn it is.
    fn client(&self) -> Client<HttpConnector, Body> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.lines.len();
        let mut line = self.lines[turn].lock().unwrap_or_else(PoisonError::into_inner);
        if line.since.elapsed() >= self.youth {
            *line = Line::new();
        }
        line.client.clone()
    }
}

impl Service<Request<Body>> for Remote {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // Each call waits for its own connection.
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The generated clients know the path only.
        let mut parts = self.address.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts).expect("an address with a path of a request");
        let answer = self.client().request(request);
        Box::pin(async move {
            let answer = answer.await.map(|answer| answer.map(Body::new));
            Ok(answer.unwrap_or_else(|error| unreachable_peer(&error)))
        })
    }
}

/// The answer when no answer came. The transport's words stay in the log: they hold addresses.
fn unreachable_peer(error: &hyper_util::client::legacy::Error) -> Response<Body> {
    tracing::warn!(error = ?error, "a peer did not answer");
    let refusal = Refusal::new(Reason::PeerUnavailable, "another service of Annals did not answer")
        .retry_after(Duration::from_secs(1));
    tonic::Status::from(refusal).into_http()
}

#[cfg(test)]
#[path = "peer_test.rs"]
mod tests;
