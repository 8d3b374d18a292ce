//! A call that may have to end before its verb ends it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use tonic::Status;

use super::refused;
use crate::refusal::Refusal;

/// `answer`, whose messages stop with a refusal as soon as `end` gives one; before it has come, the refusal is the
/// answer. A verb that takes a stream of messages answers only when that is over, so both are needed.
pub(crate) async fn until(
    mut end: BoxFuture<'static, Refusal>,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Infallible> {
    let answer = tokio::select! {
        biased;
        // First, so that what is already done is answered so.
        answer = answer => answer?,
        refusal = &mut end => return Ok(refused(refusal)),
    };
    Ok(answer.map(|body| Body::new(Ending { body: Some(body), end })))
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

    /// A refusal before the first message is headers alone: a frame of data behind them, even an empty one, is none of gRPC's.
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;
    use proto::common::v1::Reason;

    #[tokio::test]
    async fn a_stream_that_is_refused_at_once_is_headers_alone() {
        let never = || Box::pin(std::future::pending());
        let refusal = || refused(Refusal::new(Reason::NotFound, "there is none"));
        let answer = until(never(), async { Ok(refusal()) }).await.unwrap();
        assert!(answer.headers().contains_key("grpc-status"));
        assert!(answer.body().is_end_stream());
        let answer = until(never(), async { Ok(Response::new(Body::from("message"))) }).await.unwrap();
        assert!(!answer.body().is_end_stream());
    }
}
