//! Finds out who calls; nobody unknown gets further.

use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tower::Service;

use super::{Answer, Inner, refused};
use crate::auth::Keyring;

#[derive(Clone)]
pub(super) struct Authenticated<S> {
    inner: S,
    keyring: Keyring,
}

impl<S> Authenticated<S> {
    pub(super) fn new(inner: S, keyring: Keyring) -> Self {
        Self { inner, keyring }
    }
}

impl<S: Inner> Service<Request> for Authenticated<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answer {
        match self.keyring.authenticate(request.headers()) {
            Ok(caller) => {
                tracing::Span::current().record("tenant.id", caller.tenant.as_str());
                request.extensions_mut().insert(caller);
                Box::pin(self.inner.call(request))
            }
            Err(refusal) => Box::pin(async { Ok(refused(refusal)) }),
        }
    }
}
