//! Ends every call in time: unary ones at their deadline, streams at theirs if they have one, and at the drain.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::Service;

use super::measure::Methods;
use super::{Answer, Inner, refused};
use crate::deadline::{self, Deadline};
use crate::refusal::Refusal;
use proto::common::v1::Reason;

#[derive(Clone)]
pub(super) struct Bounded<S> {
    inner: S,
    methods: Arc<Methods>,
    draining: CancellationToken,
}

impl<S> Bounded<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>, draining: CancellationToken) -> Self {
        Self { inner, methods, draining }
    }
}

impl<S: Inner> Service<Request> for Bounded<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answer {
        let is_streaming = self.methods.get(request.uri().path()).is_streaming;
        let requested = match deadline::requested(request.headers()) {
            Ok(requested) => requested,
            Err(invalid) => return Box::pin(async { Ok(refused(invalid.into())) }),
        };
        let timeout = match requested {
            Some(timeout) if is_streaming => Some(timeout),
            Some(timeout) => Some(timeout.min(deadline::UNARY)),
            None if is_streaming => None,
            None => Some(deadline::UNARY),
        };
        let deadline = timeout.map(Deadline::after);
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let answer = self.inner.call(request);
        let draining = self.draining.clone();
        Box::pin(async move {
            let answer = match deadline {
                None => answer.await?,
                Some(deadline) => match tokio::time::timeout_at(deadline.at(), answer).await {
                    Ok(answer) => answer?,
                    Err(_) => return Ok(refused(Refusal::deadline_exceeded())),
                },
            };
            if !is_streaming {
                return Ok(answer);
            }
            Ok(answer.map(|body| Body::new(Ending { body: Some(body), end: Box::pin(end(deadline, draining)) })))
        })
    }
}

/// Why a stream ends before its service ends it.
async fn end(deadline: Option<Deadline>, draining: CancellationToken) -> Refusal {
    let expired = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.at()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = expired => Refusal::deadline_exceeded(),
        () = draining.cancelled() => Refusal::new(Reason::Cancelled, "the server is draining"),
    }
}

/// The messages of a stream until it ends, by itself or not.
struct Ending {
    body: Option<Body>,
    end: BoxFuture<'static, Refusal>,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        // First, so that a stream which always has more ends too.
        if let Poll::Ready(refusal) = this.end.as_mut().poll(cx) {
            this.body = None;
            let mut trailers = HeaderMap::new();
            let status = Status::from(refusal);
            status.add_header(&mut trailers).expect("a status of ours has no metadata of its own");
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(body).poll_frame(cx)
    }
}
