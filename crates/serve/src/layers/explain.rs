//! Gives every error its reason: tonic's own statuses (unknown method, too large a message, undecodable bytes) are put
//! in our words.

use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use tonic::{Code, Status};
use tower::Service;

use super::{Answer, Inner, Observed, Watch};
use crate::refusal::Refusal;

#[derive(Clone)]
pub(super) struct Explained<S> {
    inner: S,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: Inner> Service<Request> for Explained<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if answer.headers().contains_key(Status::GRPC_STATUS) {
                explain(answer.headers_mut());
                return Ok(answer);
            }
            Ok(answer.map(|body| Observed::body(body, Explain)))
        })
    }
}

struct Explain;

impl Watch for Explain {
    fn trailers(&mut self, trailers: &mut HeaderMap) {
        explain(trailers);
    }
}

/// Replaces the status in `headers` unless it is good or has its reason.
fn explain(headers: &mut HeaderMap) {
    let Some(status) = Status::from_header_map(headers) else { return };
    if status.code() == Code::Ok || Refusal::explains(&status) {
        return;
    }
    let explained = Status::from(Refusal::from_status(&status));
    explained.add_header(headers).expect("a status of ours has no metadata of its own");
}
