//! Ends every call in time: unary ones at their deadline, streams at theirs if they have one, and at the drain.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::measure::Methods;
use super::{Answer, Inner, refused, until};
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
        match deadline {
            Some(deadline) if !is_streaming => Box::pin(async move {
                let answer = tokio::time::timeout_at(deadline.at(), answer).await;
                answer.unwrap_or_else(|_| Ok(refused(Refusal::deadline_exceeded())))
            }),
            _ => Box::pin(until(Box::pin(end(deadline, self.draining.clone())), answer)),
        }
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
        refusal = drained(draining) => refusal,
    }
}

/// Why a stream ends once the server is asked to.
pub(crate) async fn drained(draining: CancellationToken) -> Refusal {
    draining.cancelled().await;
    Refusal::new(Reason::Cancelled, "the server is draining")
}
