//! Refuses a message that is larger than its caller may send, or that has more elements than a list may have, as its
//! bytes arrive: decoded, an element of two bytes takes hundreds.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use proto::common::v1::Reason;
use tower::Service;

use super::measure::{Method, Methods};
use super::{Answer, Inner, Observed, Watch};
use crate::auth::Caller;
use crate::refusal::Refusal;

/// What a caller may send who is not a peer: no verb takes more, but for one.
const USUAL: Most = Most {
    bytes: 4 << 20,
    too_large: "a message must be at most 4 MiB",
    elements: 1_000,
    rule: "must be at most 1,000",
};
/// What changes many things together.
const WRITE: &str = "/annals.things.v1.ThingsService/WriteThings";
const OF_A_WRITE: Most = Most { bytes: 16 << 20, too_large: "a message must be at most 16 MiB", ..USUAL };
/// What a peer may send: a relay's batch is larger. A service that takes less bytes from peers too says so to tonic.
const OF_A_PEER: Most =
    Most { bytes: u32::MAX, too_large: "a message is too large", elements: 10_000, rule: "must be at most 10,000" };

/// How large a message may be.
#[derive(Clone, Copy)]
struct Most {
    bytes: u32,
    too_large: &'static str,
    /// Of each of its lists, and how that is said.
    elements: usize,
    rule: &'static str,
}

#[derive(Clone)]
pub(super) struct Weighed<S> {
    inner: S,
    methods: Arc<Methods>,
}

impl<S> Weighed<S> {
    pub(super) fn new(inner: S, methods: Arc<Methods>) -> Self {
        Self { inner, methods }
    }
}

impl<S: Inner> Service<Request> for Weighed<S> {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answer {
        let is_peer = Caller::of(request.extensions()).is_ok_and(Caller::is_peer);
        let most = match request.uri().path() {
            _ if is_peer => OF_A_PEER,
            WRITE => OF_A_WRITE,
            _ => USUAL,
        };
        let scale = Scale::new(Arc::clone(self.methods.get(request.uri().path())), most);
        Box::pin(self.inner.call(request.map(|body| Observed::body(body, scale))))
    }
}

/// Where in the gRPC frames of a request, and in the fields of a message, the bytes that arrive are.
struct Scale {
    method: Arc<Method>,
    most: Most,
    /// Of a frame: a flag, and the length of its message.
    header: Vec<u8>,
    /// Bytes of the message that have not come yet.
    left: usize,
    /// Bytes of it that are of no interest.
    skip: usize,
    next: Next,
    /// The part of the next number that has come, and its bits.
    number: (u64, u32),
    /// Elements of each list of the method.
    counts: Vec<usize>,
    /// Where in the data that passes the last message begins.
    begins: usize,
}

/// Which number of a message is next.
enum Next {
    /// A field's number and the type of its value.
    Tag,
    /// How long a field's value is.
    Length,
    /// A field's value.
    Value,
}

const FRAME_HEADER: usize = 5;

impl Scale {
    fn new(method: Arc<Method>, most: Most) -> Self {
        let counts = vec![0; method.lists.len()];
        let header = Vec::with_capacity(FRAME_HEADER);
        Self { method, most, header, left: 0, skip: 0, next: Next::Tag, number: (0, 0), counts, begins: 0 }
    }

    /// One byte of a frame's header.
    fn header(&mut self, byte: u8) -> Result<(), Refusal> {
        self.header.push(byte);
        let [flag, a, b, c, d] = self.header[..] else { return Ok(()) };
        let length = u32::from_be_bytes([a, b, c, d]);
        if length > self.most.bytes {
            return Err(Refusal::new(Reason::MessageTooLarge, self.most.too_large));
        }
        self.header.clear();
        self.left = length as usize;
        // Only plain messages are decoded.
        self.skip = if flag == 0 { 0 } else { self.left };
        (self.next, self.number) = (Next::Tag, (0, 0));
        self.counts.fill(0);
        Ok(())
    }

    /// One byte of a message that belongs to a number.
    fn digit(&mut self, byte: u8) -> Result<(), Refusal> {
        let (so_far, bits) = self.number;
        let number = so_far | u64::from(byte & 0x7f).checked_shl(bits).unwrap_or(0);
        if byte & 0x80 != 0 {
            self.number = (number, bits + 7);
            return Ok(());
        }
        self.number = (0, 0);
        match self.next {
            Next::Value => self.next = Next::Tag,
            Next::Length => {
                self.skip = usize::try_from(number).unwrap_or(usize::MAX);
                self.next = Next::Tag;
            }
            Next::Tag => match number & 7 {
                0 => self.next = Next::Value,
                1 => self.skip = 8,
                2 => {
                    self.count(number >> 3)?;
                    self.next = Next::Length;
                }
                // The fields of a group are scanned as if they were the message's own.
                3 | 4 => {}
                5 => self.skip = 4,
                // There are no others: decoding ends here too.
                _ => self.skip = usize::MAX,
            },
        }
        Ok(())
    }

    fn count(&mut self, field: u64) -> Result<(), Refusal> {
        let Some(place) = self.method.lists.iter().position(|list| u64::from(list.number) == field) else {
            return Ok(());
        };
        self.counts[place] += 1;
        if self.counts[place] > self.most.elements {
            return Err(Refusal::invalid_field(&self.method.lists[place].name, self.most.rule));
        }
        Ok(())
    }
}

impl Watch for Scale {
    fn data(&mut self, mut data: &[u8]) -> Result<(), Refusal> {
        let length = data.len();
        self.begins = 0;
        while let [byte, rest @ ..] = data {
            let skipped = self.skip.min(self.left).min(data.len());
            if self.left == 0 {
                if self.header.is_empty() {
                    self.begins = length - data.len();
                }
                self.header(*byte)?;
                data = rest;
            } else if skipped > 0 {
                self.skip -= skipped;
                self.left -= skipped;
                data = &data[skipped..];
            } else {
                self.left -= 1;
                self.digit(*byte)?;
                data = rest;
            }
        }
        Ok(())
    }

    /// Messages before the one that is refused are whole.
    fn good(&self) -> usize {
        self.begins
    }
}

#[cfg(test)]
#[path = "weigh_test.rs"]
mod tests;
