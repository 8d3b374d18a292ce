//! Stores batches as they come in one stream, many of them under way at a time.
//!
//! A stream that is faster than the disk is held back: nothing more is read of it, and so its client cannot send. Never
//! acknowledges a batch before it is on disk, or before the one ahead of it.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _, stream};
use proto::convert::NewEvent;
use serve::{auth::Caller, deadline::Deadline, refusal::Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ulid::Ulid;

use crate::{
    EventLog,
    append::RETRY_AFTER,
    journal::{AppendError, Appended, UnderWay},
};

/// Streams at a time: besides what is under way, each may have one message of 4 MiB in memory.
pub(crate) const MAX_STREAMS: usize = 128;
/// When a stream that found no place may come back: others end when their clients end them.
const PLACE_RETRY: Duration = Duration::from_secs(1);
/// How long a refused stream is read on.
const LINGER: Duration = Duration::from_millis(50);
/// Batches of a stream that are not acknowledged yet.
const AHEAD_BATCHES: usize = 64;
/// Bytes of these; as much as one group of the journal takes, so that one stream alone can fill it.
const AHEAD_BYTES: usize = 8 << 20;

/// What a client sent.
pub(crate) struct Sent {
    /// Its number for it; 0 is the next one.
    pub(crate) batch: i64,
    /// Its events, or which rule they break.
    pub(crate) events: Result<Vec<NewEvent>, Refusal>,
}

/// A batch that is on disk.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// Its number.
    pub(crate) batch: i64,
    /// Of the events that came without one.
    pub(crate) ulids: Vec<Ulid>,
    pub(crate) appended: Appended,
}

/// Reads a stream, and hands its batches to the journal.
struct Intake {
    log: Arc<EventLog>,
    caller: Caller,
    sent: Pin<Box<dyn Stream<Item = Result<Sent, Refusal>> + Send>>,
    /// The number of the last batch.
    last: i64,
    /// What more may be under way.
    ahead: Arc<Semaphore>,
    deadline: Option<Deadline>,
    /// Its place among the streams, or why it has none.
    admitted: Result<Place, Refusal>,
}

/// A batch that the journal has taken.
struct Taken {
    log: Arc<EventLog>,
    batch: i64,
    ulids: Vec<Ulid>,
    under_way: UnderWay,
    _ahead: OwnedSemaphorePermit,
}

impl EventLog {
    /// Stores each batch of `sent`, all or none, and tells it when it is on disk, in order. The first that is refused
    /// ends the stream after all before it were told; the refusal says its number.
    ///
    /// Before a refusal is told, what the client has sent is read: frames that come after the end of a stream count against
    /// the connection, which may be one that a gateway shares among its callers.
    pub(crate) fn append_stream<S: Stream<Item = Result<Sent, Refusal>> + Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        sent: S,
        deadline: Option<Deadline>,
    ) -> impl Stream<Item = Result<Acknowledged, Refusal>> + Send + use<S> {
        let intake = Intake {
            log: Arc::clone(self),
            caller: caller.clone(),
            sent: Box::pin(sent),
            last: 0,
            ahead: Arc::new(Semaphore::new(AHEAD_BYTES)),
            deadline,
            admitted: caller.require_write_events().and_then(|()| {
                let place = Arc::clone(&self.append_streams).try_acquire_owned();
                place.map_err(|_| Refusal::overloaded("the room for append streams", PLACE_RETRY)).map(Place::new)
            }),
        };
        let taken = stream::try_unfold(intake, async |mut intake| {
            let next = match intake.admitted.as_ref().err().cloned() {
                None => intake.next().await,
                Some(refusal) => Err(refusal),
            };
            match next {
                Ok(taken) => Ok(taken.map(|taken| (taken, intake))),
                Err(refusal) => {
                    intake.linger().await;
                    Err(refusal)
                }
            }
        });
        let told = taken.map(async |taken| taken?.told().await).buffered(AHEAD_BATCHES);
        // Nothing is told after a refusal.
        stream::try_unfold(Box::pin(told), async |mut told| Ok(told.next().await.transpose()?.map(|ok| (ok, told))))
    }
}

impl Intake {
    /// Takes the next batch; nothing when the client has closed its side.
    async fn next(&mut self) -> Result<Option<Taken>, Refusal> {
        let Some(sent) = self.sent.next().await else { return Ok(None) };
        let batch = self.number(&sent);
        self.take(batch, sent).await.map(Some).map_err(|refusal| refusal.with("batch", batch))
    }

    /// Reads on for a moment, until the client has closed its side.
    async fn linger(&mut self) {
        let read = async { while let Some(Ok(_)) = self.sent.next().await {} };
        // Who goes on sending is told all the same.
        let _ = tokio::time::timeout(LINGER, read).await;
    }

    /// The number of what has come.
    fn number(&self, sent: &Result<Sent, Refusal>) -> i64 {
        match sent {
            Ok(sent) if sent.batch != 0 => sent.batch,
            _ => self.last.saturating_add(1),
        }
    }

    /// Hands a batch to the journal, as soon as there is room for it.
    async fn take(&mut self, batch: i64, sent: Result<Sent, Refusal>) -> Result<Taken, Refusal> {
        let events = sent?.events?;
        if batch <= self.last {
            return Err(Refusal::invalid_field("batch", "must be above that of the batch before"));
        }
        self.last = batch;
        let has_own: Vec<_> = events.iter().map(|event| event.ulid.is_some()).collect();
        let (mut ulids, encoded) = self.log.batch(&self.caller, events)?;
        let mut has_own = has_own.into_iter();
        ulids.retain(|_| has_own.next() == Some(false));
        let began = Instant::now();
        let entering = async {
            let bytes = encoded.len().min(AHEAD_BYTES) as u32;
            let ahead = Arc::clone(&self.ahead).acquire_many_owned(bytes).await;
            let ahead = ahead.expect("nobody closes it");
            Ok((ahead, self.log.journal.enter(encoded).await?))
        };
        let entered: Result<_, AppendError> = match self.deadline {
            None => entering.await,
            Some(deadline) => {
                let entered = tokio::time::timeout_at(deadline.give_up(), entering).await;
                entered.map_err(|_| Refusal::overloaded("the journal's queue", RETRY_AFTER))?
            }
        };
        metrics::histogram!("annals_append_stream_held_seconds").record(began.elapsed());
        let (ahead, under_way) = self.log.told(entered)?;
        Ok(Taken { log: Arc::clone(&self.log), batch, ulids, under_way, _ahead: ahead })
    }
}

impl Taken {
    /// Returns when it is on disk.
    async fn told(self) -> Result<Acknowledged, Refusal> {
        let Self { log, batch, ulids, under_way, _ahead } = self;
        let appended = log.told(under_way.stored().await).map_err(|refusal| refusal.with("batch", batch))?;
        metrics::counter!("annals_append_stream_batches_total").increment(1);
        Ok(Acknowledged { batch, ulids, appended })
    }
}

/// A stream's place among those at a time, told as long as it is held.
struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Place {
    fn new(place: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("annals_append_streams").increment(1);
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("annals_append_streams").decrement(1);
    }
}

#[cfg(test)]
#[path = "append_stream_test.rs"]
mod tests;
