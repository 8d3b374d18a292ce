//! Counts and times every call, and gives it a span in the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use http::HeaderMap;
use metrics::{Counter, Histogram, counter, histogram};
use tokio::time::Instant;
use tonic::Code;
use tower::Service;
use tracing::{Instrument as _, Span};

use super::{Answer, Inner, Observed, Watch};
use crate::reflection;

/// The methods that are known, by path, with what is counted and known of each.
pub(crate) struct Methods {
    known: HashMap<String, Arc<Method>>,
    /// Everything else: a stranger's paths must not become metrics.
    unknown: Arc<Method>,
}

pub(crate) struct Method {
    service: &'static str,
    path: String,
    pub(crate) is_streaming: bool,
    /// Fields of its request that are lists.
    pub(crate) lists: Vec<reflection::List>,
    ok: Counter,
    seconds: Histogram,
}

impl Methods {
    pub(crate) fn new(service: &'static str) -> Self {
        let of = |method| Arc::new(Method::new(service, method));
        let known = reflection::methods().into_iter().map(|method| (method.path.clone(), of(method)));
        let unknown = reflection::Method { path: "unknown".to_owned(), is_streaming: false, lists: Vec::new() };
        Self { known: known.collect(), unknown: of(unknown) }
    }

    pub(crate) fn get(&self, path: &str) -> &Arc<Method> {
        self.known.get(path).unwrap_or(&self.unknown)
    }
}

impl Method {
    fn new(service: &'static str, method: reflection::Method) -> Self {
        let reflection::Method { path, is_streaming, lists } = method;
        let ok = counter!("annals_rpc_total", "service" => service, "method" => path.clone(), "code" => "Ok");
        let seconds = histogram!("annals_rpc_seconds", "service" => service, "method" => path.clone());
        Self { service, path, is_streaming, lists, ok, seconds }
    }

    fn count(&self, code: Code) {
        if code == Code::Ok {
            return self.ok.increment(1);
        }
        let (method, code) = (self.path.clone(), format!("{code:?}"));
        counter!("annals_rpc_total", "service" => self.service, "method" => method, "code" => code).increment(1);
    }
}

#[derive(Clone)]
pub(super) struct Measured<S> {
    inner: S,
    methods: Arc<Methods>,
}

impl<S> Measured<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>) -> Self {
        Self { inner, methods }
    }
}

impl<S: Inner> Service<Request> for Measured<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        let method = Arc::clone(self.methods.get(request.uri().path()));
        let span = tracing::info_span!("rpc", rpc.method = method.path, tenant.id = tracing::field::Empty);
        let mut call = Call { method, began: Instant::now(), code: Code::Cancelled, span: span.clone() };
        let answer = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let answer = answer.await?;
                call.saw(answer.headers());
                Ok(answer.map(|body| Observed::body(body, call)))
            }
            .instrument(span),
        )
    }
}

/// One call; what it came to is written down when it is dropped. Cancelled, until a status has been seen.
struct Call {
    method: Arc<Method>,
    began: Instant,
    code: Code,
    span: Span,
}

impl Call {
    fn saw(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Code::from_bytes(status.as_bytes());
        }
    }
}

impl Watch for Call {
    fn trailers(&mut self, trailers: &mut HeaderMap) {
        self.saw(trailers);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        self.method.count(self.code);
        self.method.seconds.record(took);
        tracing::debug!(parent: &self.span, rpc.code = ?self.code, took = ?took, "call ended");
    }
}
