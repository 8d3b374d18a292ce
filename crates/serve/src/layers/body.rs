//! A body that somebody looks at as it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;

use crate::refusal::Refusal;

/// Who looks. Dropped with the body, so its `Drop` is the body's end, reached or not.
pub(crate) trait Watch: Send + Unpin + 'static {
    /// The next frame is asked for: there is room for it on the way to the client.
    fn asked(&mut self) {}

    /// A frame passes.
    fn given(&mut self) {}

    /// Data passes, unless it is refused: then the body ends with that.
    fn data(&mut self, _data: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    /// The trailers pass.
    fn trailers(&mut self, _trailers: &mut HeaderMap) {}
}

/// A body and who looks at it.
pub(crate) struct Observed<W> {
    body: Body,
    watch: W,
}

impl<W: Watch> Observed<W> {
    /// `body`, looked at by `watch`.
    pub(crate) fn body(body: Body, watch: W) -> Body {
        Body::new(Self { body, watch })
    }
}

impl<W: Watch> http_body::Body for Observed<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.watch.asked();
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame {
            self.watch.given();
            if let Some(data) = frame.data_ref() {
                if let Err(refusal) = self.watch.data(data) {
                    return Poll::Ready(Some(Err(axum::Error::new(Status::from(refusal)))));
                }
            } else if let Some(trailers) = frame.trailers_mut() {
                self.watch.trailers(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
