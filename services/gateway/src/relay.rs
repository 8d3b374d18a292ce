//! gRPC and gRPC-Web, passed through to the services as they come.
//!
//! Owns which service a path belongs to. Never decodes a message: bytes, metadata and trailers pass both ways.

use std::convert::Infallible;
use std::task::{Context as TaskContext, Poll};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Version};
use proto::common::v1::Reason;
use serve::{Context, Peer, Refusal};
use tonic::Status;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::caller::Callers;
use crate::problem::Problem;

const THINGS: &str = "/annals.things.v1.ThingsService/";
const EVENTS: &str = "/annals.events.v1.EventsService/";
const SEARCH: &str = "/annals.search.v1.SearchService/";

/// How gRPC is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// `application/grpc`, over HTTP/2.
    Grpc,
    /// `application/grpc-web`, for browsers.
    GrpcWeb,
}

impl Protocol {
    /// By the content type: nothing else tells gRPC apart.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        if content_type.starts_with(b"application/grpc-web") {
            return Some(Self::GrpcWeb);
        }
        content_type.starts_with(b"application/grpc").then_some(Self::Grpc)
    }
}

/// The services behind the gateway, by the path of a method.
#[derive(Clone)]
pub(crate) struct Relay {
    things: Peer,
    events: Peer,
    search: Peer,
    /// Health and reflection, and that there is nothing else.
    own: Router,
    callers: Callers,
}

impl Relay {
    /// Before things, events and search.
    pub(crate) fn new(services: [Peer; 3], callers: Callers, context: &Context) -> Self {
        let own = serve::health::register(Router::new(), &context.readiness);
        let own = serve::reflection::register(own).fallback(async || {
            Status::from(Refusal::new(Reason::MethodUnknown, "no such method")).into_http::<axum::body::Body>()
        });
        let [things, events, search] = services.map(|peer| peer.draining(context.draining.clone()));
        Self { things, events, search, own, callers }
    }

    /// The answer to a call.
    pub(crate) async fn answer(&self, protocol: Protocol, mut request: axum::extract::Request) -> Response {
        let (uri, version) = (request.uri().clone(), request.version());
        if let Err(refusal) = self.callers.admit(request.headers(), &uri) {
            return Status::from(refusal).into_http();
        }
        self.callers.pass_on(request.headers_mut(), &uri);
        let answer = match protocol {
            Protocol::Grpc if version < Version::HTTP_2 => {
                let message = "gRPC needs HTTP/2; HTTP/1.1 takes gRPC-Web, and JSON at the URLs of things";
                return Problem::new(Reason::MediaTypeUnsupported, message).into_response();
            }
            Protocol::Grpc => self.clone().call(request.map(Body::new)).await,
            Protocol::GrpcWeb => GrpcWebLayer::new().layer(self.clone()).oneshot(request).await,
        };
        let Ok(answer) = answer;
        answer.map(axum::body::Body::new)
    }
}

impl Service<Request<Body>> for Relay {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // Peers and routers are always ready: a call waits by itself.
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if path.starts_with(THINGS) {
            return self.things.call(request);
        }
        if path.starts_with(EVENTS) {
            return self.events.call(request);
        }
        if path.starts_with(SEARCH) {
            return self.search.call(request);
        }
        let answer = self.own.clone().oneshot(request.map(axum::body::Body::new));
        Box::pin(async move { answer.await.map(|answer| answer.map(Body::new)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str) -> Option<Protocol> {
        Protocol::of(&[(CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn grpc_is_told_apart_by_its_content_type() {
        assert_eq!(of("application/grpc"), Some(Protocol::Grpc));
        assert_eq!(of("application/grpc+proto"), Some(Protocol::Grpc));
        assert_eq!(of("application/grpc-web-text+proto"), Some(Protocol::GrpcWeb));
        assert_eq!(of("application/json"), None);
        assert_eq!(Protocol::of(&HeaderMap::new()), None);
    }

    #[test]
    fn every_service_of_the_protos_is_relayed() {
        for service in serve::reflection::service_names() {
            let prefix = format!("/{service}/");
            assert!([THINGS, EVENTS, SEARCH].contains(&prefix.as_str()), "{service}");
        }
    }
}
