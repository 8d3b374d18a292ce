//! Turns a panic into an answer, so that one bad call takes nobody else's connection with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt as _;
use tower::Service;

use super::{Answer, Inner, refused};
use crate::refusal::Refusal;
use crate::tasks::panic_text;

#[derive(Clone)]
pub(super) struct Caught<S> {
    inner: S,
}

impl<S> Caught<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Inner> Service<Request> for Caught<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        // Nothing of the call is looked at after it panicked, so no broken invariant is seen.
        let answer = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Box::pin(async move {
            let caught = match answer {
                Ok(answer) => AssertUnwindSafe(answer).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            caught.unwrap_or_else(|panic| {
                Ok(refused(Refusal::internal(format_args!("panicked: {}", panic_text(&*panic)))))
            })
        })
    }
}
