//! Finds out who calls; nobody unknown gets further, and no stream goes on once its caller is unknown.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tower::Service;

use super::measure::Methods;
use super::{Answer, Inner, refused, until};
use crate::auth::Keyring;
use crate::refusal::Refusal;

#[derive(Clone)]
pub(super) struct Authenticated<S> {
    inner: S,
    methods: Arc<Methods>,
    keyring: Keyring,
}

impl<S> Authenticated<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>, keyring: Keyring) -> Self {
        Self { inner, methods, keyring }
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
        let caller = match self.keyring.authenticate(request.headers()) {
            Ok(caller) => caller,
            Err(refusal) => return Box::pin(async { Ok(refused(refusal)) }),
        };
        tracing::Span::current().record("tenant.id", caller.tenant.as_str());
        request.extensions_mut().insert(caller.clone());
        if !self.methods.get(request.uri().path()).is_streaming {
            return Box::pin(self.inner.call(request));
        }
        let (keyring, headers) = (self.keyring.clone(), request.headers().clone());
        let revoked = async move {
            keyring.revoked(&headers, &caller).await;
            Refusal::unauthenticated()
        };
        Box::pin(until(Box::pin(revoked), self.inner.call(request)))
    }
}
