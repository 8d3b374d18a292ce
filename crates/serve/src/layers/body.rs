//! A body that somebody looks at as it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;

use crate::refusal::Refusal;

/// Who looks. Dropped with the body, so its `Drop` is the body's end, reached or not.
pub(crate) trait Watch: Send + Unpin + 'static {
    /// The next frame is asked for: there is room for it on the way to the client.
    fn asked(&mut self) {}

    /// How long nothing more passes.
    fn pause(&mut self) -> Option<Duration> {
        None
    }

    /// A frame passes.
    fn given(&mut self) {}

    /// Data passes, unless it is refused: then the body ends with that.
    fn data(&mut self, _data: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    /// How much of the data that was refused passes before the body ends.
    fn good(&self) -> usize {
        0
    }

    /// The trailers pass.
    fn trailers(&mut self, _trailers: &mut HeaderMap) {}
}

/// A body and who looks at it.
pub(crate) struct Observed<W> {
    body: Body,
    watch: W,
    /// What the body ends with, after what has passed.
    refusal: Option<Refusal>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<W: Watch> Observed<W> {
    /// `body`, looked at by `watch`.
    pub(crate) fn body(body: Body, watch: W) -> Body {
        Body::new(Self { body, watch, refusal: None, pause: None })
    }
}

impl<W: Watch> http_body::Body for Observed<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(refusal) = self.refusal.take() {
            return Poll::Ready(Some(Err(axum::Error::new(Status::from(refusal)))));
        }
        self.watch.asked();
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
            }
            self.pause = self.watch.pause().map(|pause| Box::pin(tokio::time::sleep(pause)));
            if self.pause.is_none() {
                break;
            }
        }
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame {
            self.watch.given();
            if let Some(data) = frame.data_ref() {
                if let Err(refusal) = self.watch.data(data) {
                    let good = data.slice(..self.watch.good());
                    if !good.is_empty() {
                        self.refusal = Some(refusal);
                        return Poll::Ready(Some(Ok(Frame::data(good))));
                    }
                    return Poll::Ready(Some(Err(axum::Error::new(Status::from(refusal)))));
                }
            } else if let Some(trailers) = frame.trailers_mut() {
                self.watch.trailers(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.refusal.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
