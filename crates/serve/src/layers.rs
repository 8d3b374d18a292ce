//! The inner ring: what every call passes on its way to a verb, in one process as between processes.
//!
//! Owns the layers and their order. Never decodes a message: each layer knows paths, headers and bytes only.

mod authenticate;
mod body;
mod bound;
mod catch;
mod ending;
mod explain;
mod measure;
mod meter;
mod weigh;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Layer, Service, ServiceBuilder};

pub(crate) use body::{Observed, Watch};
pub(crate) use bound::drained;
pub(crate) use ending::until;

use crate::auth::Keyring;
use crate::quota::Usage;
use crate::refusal::Refusal;
use crate::run::Context;
use measure::Methods;

/// The ring of one service.
#[derive(Clone)]
pub struct Ring {
    methods: Arc<Methods>,
    keyring: Keyring,
    usage: Usage,
    draining: CancellationToken,
}

/// What every layer's service returns.
type Answer = BoxFuture<'static, Result<Response, Infallible>>;

/// What a layer stands around, and is itself.
trait Inner:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}
impl<S> Inner for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl Ring {
    /// The ring of `service` (`things`) in a process with this context.
    pub fn new(service: &'static str, context: &Context) -> Self {
        Self {
            methods: Arc::new(Methods::new(service)),
            keyring: context.keyring.clone(),
            usage: Usage::new(context.keyring.clone()),
            draining: context.draining.clone(),
        }
    }

    /// `routes` behind the ring.
    #[must_use]
    pub fn around(&self, routes: Routes) -> Routes {
        Routes::from(routes.into_axum_router().layer(self.stack()))
    }

    /// The layers, outermost first.
    fn stack<S: Inner>(&self) -> impl Layer<S, Service: Inner> + Clone + Send + Sync + 'static {
        let Self { methods, keyring, usage, draining } = self.clone();
        let bounded = (Arc::clone(&methods), draining);
        let (metered, weighed) = (Arc::clone(&methods), Arc::clone(&methods));
        let authenticated = Arc::clone(&methods);
        ServiceBuilder::new()
            // Outermost, so that every call is counted and timed, also one that panics, is refused or goes away.
            .layer_fn(move |inner| measure::Measured::new(inner, Arc::clone(&methods)))
            // Around all that may refuse, tonic's own code too, so that no error leaves without its reason.
            .layer_fn(explain::Explained::new)
            // Within those two, so that a panic is an error like others; around the rest, so that none escapes.
            .layer_fn(catch::Caught::new)
            // Before any work is done for the call.
            .layer_fn(move |inner| bound::Bounded::new(inner, Arc::clone(&bounded.0), bounded.1.clone()))
            // Before the quota, which is the tenant's.
            .layer_fn(move |inner| authenticate::Authenticated::new(inner, Arc::clone(&authenticated), keyring.clone()))
            // After all that refuses by headers, so that only calls which will be served are counted against it.
            .layer_fn(move |inner| meter::Metered::new(inner, Arc::clone(&metered), usage.clone()))
            // Last: it knows the caller, what it refuses has been counted, and decoding comes next.
            .layer_fn(move |inner| weigh::Weighed::new(inner, Arc::clone(&weighed)))
            .into_inner()
    }
}

/// A router for one gRPC service outside the ring (health, reflection): anybody may call it, and no error leaves
/// without its reason.
pub(crate) fn open_router<S>(service: S) -> Router
where
    S: Service<http::Request<tonic::body::Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: axum::response::IntoResponse,
    S::Future: Send + 'static,
{
    let layers = ServiceBuilder::new().layer_fn(explain::Explained::new).layer_fn(catch::Caught::new);
    Routes::new(service).into_axum_router().reset_fallback().layer(layers.into_inner())
}

/// A refusal as the answer to a call.
pub(crate) fn refused(refusal: Refusal) -> Response {
    Status::from(refusal).into_http::<Body>()
}

#[cfg(test)]
#[path = "layers_test.rs"]
mod tests;
