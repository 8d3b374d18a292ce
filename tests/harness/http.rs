//! Owns plain HTTP calls for tests: what is sent and what came back, nothing followed or retried.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Http {
    server: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// A header that must be there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}"));
        value.to_str().expect("the header is text")
    }

    /// This answer, which must have that status.
    #[track_caller]
    #[allow(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "often the assertion is all")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// Server-sent events, as they come.
#[derive(Debug)]
pub struct Follow {
    body: Incoming,
    text: String,
}

/// One server-sent event.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sent {
    /// Its `id`; empty if it has none.
    pub id: String,
    /// Its `data`; empty if it has none.
    pub data: String,
    /// Its comment; empty if it has none.
    pub comment: String,
}

impl Follow {
    /// The next event or sign of life; `None` at the end.
    pub async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let mut sent = Sent::default();
                for line in event.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => sent.id.push_str(id),
                        Some(("data", data)) => sent.data.push_str(data),
                        Some(("", comment)) => sent.comment.push_str(comment),
                        _ => {}
                    }
                }
                return Some(sent);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&data).expect("frames end with events"));
            }
        }
    }

    /// The next event, past all signs of life.
    pub async fn next_event(&mut self) -> (String, Value) {
        loop {
            let sent = self.next().await.expect("the stream goes on");
            if !sent.data.is_empty() {
                return (sent.id, serde_json::from_str(&sent.data).expect("an event is JSON"));
            }
        }
    }
}

impl Http {
    /// A client of the server there.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    /// GET that may fail to connect.
    pub async fn try_get(&self, path: &str) -> anyhow::Result<Answer> {
        self.try_call(Method::GET, path, &[], "".into()).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], "").await
    }

    /// Any method, with headers and a body.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.try_call(method, path, headers, Bytes::copy_from_slice(body.as_bytes())).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Reads server-sent events, from those with the cursor that `headers` or the query name.
    pub async fn follow(&self, path: &str, headers: &[(&str, &str)]) -> Follow {
        let mut request = Request::get(format!("http://{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).expect("a request");
        let answer = self.client.request(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Follow { body: answer.into_body(), text: String::new() }
    }

    /// Any method, with headers and a body of bytes, that may fail to connect.
    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.client.request(request.body(Full::new(body))?).await?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}
