//! One HTTP request on its way to the services.
//!
//! Owns its deadline and in whose name it goes. Never holds its body.

use std::time::Duration;

use domain::Invalid;
use http::request::Parts;
use http::{HeaderMap, Method};
use serve::deadline;
use tokio::time::Instant;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::problem::Problem;
use crate::query::Query;

/// Header with an id of the request, kept with the mutation that it makes.
const REQUEST_ID: &str = "annals-request-id";

/// Header that says why, kept with the mutation.
const CAUSE: &str = "annals-cause";

/// A request without its body.
pub(crate) struct Call {
    head: Parts,
    caller: HeaderMap,
    deadline: Instant,
}

impl Call {
    /// The request in the name of `caller`. It has ten seconds, or what its `grpc-timeout` says if that is less.
    pub(crate) fn new(head: Parts, caller: HeaderMap) -> Result<Self, Invalid> {
        let timeout = deadline::requested(&head.headers)?.unwrap_or(deadline::UNARY).min(deadline::UNARY);
        Ok(Self { head, caller, deadline: Instant::now() + timeout })
    }

    /// A request to a service, with what is left of the time.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        request
    }

    /// A request to a service for answers without an end.
    pub(crate) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.caller.clone());
        request
    }

    /// When services give up on it.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The URL path as it was sent, percent-encoded.
    pub(crate) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The query as it was sent.
    pub(crate) fn raw_query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The parameters, of which there are none but `known`.
    pub(crate) fn query(&self, known: &[&str]) -> Result<Query, Problem> {
        let query = Query::parse(self.raw_query())?;
        query.only(known)?;
        Ok(query)
    }

    /// The request's id and cause, each empty if it has none: `Annals-Request-Id` and `Annals-Cause`.
    pub(crate) fn provenance(&self) -> Result<(String, String), Invalid> {
        Ok((self.header_text(REQUEST_ID)?, self.header_text(CAUSE)?))
    }

    fn header_text(&self, name: &str) -> Result<String, Invalid> {
        let Some(value) = self.head.headers.get(name) else { return Ok(String::new()) };
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Invalid::new(name, "must be UTF-8"))?;
        Ok(text.to_owned())
    }
}
