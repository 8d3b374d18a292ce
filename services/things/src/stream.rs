//! Answers that are read from the store while they are sent.
//!
//! Owns how far a read is ahead of its client, and that it ends with them. Never reads the store.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use proto::common::v1::Reason;
use serve::Refusal;
use serve::deadline::Deadline;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::refuse;

/// Parts of an answer that may wait for the client.
const AHEAD: usize = 2;
/// How long a client may take nothing: so long a moment of the database is held for nobody.
const STALLED: Duration = Duration::from_secs(30);

/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Turns of reads that go on as long as their clients take them.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Of exports of one store: each holds a moment of the database for long, and a connection that shorter reads do not have.
    pub(crate) fn of_exports() -> Self {
        Self(Arc::new(Semaphore::new(2)))
    }

    /// Of walks in one store, which are short.
    pub(crate) fn of_walks() -> Self {
        Self(Arc::new(Semaphore::new(4)))
    }

    /// A turn, kept until it is dropped. `OVERLOADED` where none is free soon.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        match timeout(TURN, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(refuse::streams_full()),
        }
    }
}

/// Where a read puts the parts of its answer.
pub(crate) struct Sink<T>(mpsc::Sender<T>);

impl<T> Sink<T> {
    /// Waits for room. An error ends the read: the client has gone, or takes nothing.
    pub(crate) async fn give(&self, part: T) -> Result<(), Refusal> {
        match timeout(STALLED, self.0.send(part)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Refusal::new(Reason::Cancelled, "the client has gone")),
            Err(_) => Err(refuse::client_stalled(STALLED)),
        }
    }

    /// As [`Sink::give`], on a thread that may block.
    pub(crate) fn give_here(&self, part: T) -> Result<(), Refusal> {
        Handle::current().block_on(self.give(part))
    }
}

/// The parts that `read` gives, and its refusal at the end if it is refused; one that is refused before its first part is no
/// stream. It ends with the stream, and at the deadline.
pub(crate) async fn parts<T, F>(
    deadline: Option<Deadline>,
    read: impl FnOnce(Sink<T>) -> F,
) -> Result<impl Stream<Item = Result<T, Refusal>> + Send, Refusal>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Refusal>> + Send + 'static,
{
    let (sender, given) = mpsc::channel(AHEAD);
    let read = read(Sink(sender));
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        match deadline {
            Some(deadline) => {
                timeout_at(deadline.at(), read).await.unwrap_or_else(|_| Err(Refusal::deadline_exceeded()))
            }
            None => read.await,
        }
    });
    let mut parts = Box::pin(stream::unfold((given, reading), next).peekable());
    if let Some(Err(refusal)) = parts.as_mut().peek().await {
        return Err(refusal.clone());
    }
    Ok(parts)
}

type Reading<T> = (mpsc::Receiver<T>, JoinSet<Result<(), Refusal>>);

async fn next<T>((mut given, mut reading): Reading<T>) -> Option<(Result<T, Refusal>, Reading<T>)> {
    if let Some(part) = given.recv().await {
        return Some((Ok(part), (given, reading)));
    }
    let refusal = match reading.join_next().await? {
        Ok(Ok(())) => return None,
        Ok(Err(refusal)) => refusal,
        Err(error) => Refusal::internal(error),
    };
    Some((Err(refusal), (given, reading)))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn parts_come_in_their_order_and_end_with_the_read() {
        let read = async |sink: Sink<u32>| {
            for part in 0..10 {
                sink.give(part).await?;
            }
            Ok(())
        };
        let parts: Vec<_> = parts(None, read).await.unwrap().try_collect().await.unwrap();
        assert_eq!(parts, (0..10).collect::<Vec<_>>());
    }

    fn none() -> Refusal {
        Refusal::new(Reason::NotFound, "there is none")
    }

    #[tokio::test]
    async fn what_is_refused_at_once_is_no_stream_and_later_it_is_the_last_part() {
        let at_once = parts(None, async |_: Sink<u32>| Err(none())).await;
        assert_eq!(at_once.err().unwrap().reason, Reason::NotFound);
        let later = async |sink: Sink<u32>| {
            sink.give(1).await?;
            Err(none())
        };
        let parts: Vec<_> = parts(None, later).await.unwrap().collect().await;
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[1].as_ref().unwrap_err().reason, Reason::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (ended, end) = oneshot::channel();
        let read = async |sink: Sink<u32>| {
            let refused = loop {
                if let Err(refusal) = sink.give(1).await {
                    break refusal;
                }
            };
            ended.send(refused.clone()).unwrap();
            Err(refused)
        };
        let _held = parts(None, read).await.unwrap();
        assert_eq!(end.await.unwrap().reason, Reason::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_read_ends_with_its_client() {
        let (ended, end) = oneshot::channel::<()>();
        let read = async |sink: Sink<u32>| {
            let _ended = ended;
            sink.give(1).await?;
            std::future::pending().await
        };
        drop(parts(None, read).await.unwrap());
        end.await.unwrap_err();
    }
}
