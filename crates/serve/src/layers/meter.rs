//! Counts a call against its tenant's quotas, or refuses it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::Service;

use super::measure::Methods;
use super::{Answer, Inner, Observed, Watch, refused};
use crate::auth::Caller;
use crate::quota::{Admitted, Usage};
use crate::refusal::Refusal;

#[derive(Clone)]
pub(super) struct Metered<S> {
    inner: S,
    methods: Arc<Methods>,
    usage: Usage,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>, usage: Usage) -> Self {
        Self { inner, methods, usage }
    }
}

impl<S: Inner> Service<Request> for Metered<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        let is_stream = self.methods.get(request.uri().path()).is_streaming;
        let admitted = match Caller::of(request.extensions()).and_then(|caller| self.usage.admit(caller, is_stream)) {
            Ok(admitted) => Arc::new(admitted),
            Err(refusal) => return Box::pin(async { Ok(refused(refusal)) }),
        };
        if !admitted.is_metered() {
            return Box::pin(self.inner.call(request));
        }
        let received = Received(Arc::clone(&admitted));
        let answer = self.inner.call(request.map(|body| Observed::body(body, received)));
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| Observed::body(body, Open(admitted))))
        })
    }
}

/// Looks at the bytes of a request.
struct Received(Arc<Admitted>);

impl Watch for Received {
    fn pause(&mut self) -> Option<Duration> {
        self.0.owed()
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.0.received(data.len());
        Ok(())
    }
}

/// Keeps a call counted until its answer has been sent.
struct Open(#[expect(dead_code, reason = "held, not read")] Arc<Admitted>);

impl Watch for Open {}
