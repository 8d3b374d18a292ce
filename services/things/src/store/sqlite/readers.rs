//! Owns the connections that read, and on which thread a read is made. Never writes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use serve::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use super::open::read_connection;
use crate::refuse::store_unavailable;
use crate::stream::Turns;

/// Long reads at a time, each on a thread of its own: more would only share the same disk.
const LONG_READS: usize = 4;
/// Connections that are kept: one for each long read and for each thread that may make a short one.
const IDLE: usize = LONG_READS + 16;
/// Steps of a statement after which it looks whether somebody still waits for it: some milliseconds.
const STEPS: i32 = 100_000;

/// Connections that read, opened when there is none idle. As many as threads read at a time: a short read never waits.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    long: Arc<Semaphore>,
    pub(super) exports: Turns,
    pub(super) walks: Turns,
}

impl Readers {
    /// Opens one connection for each core, so that the first reads find them open.
    pub(super) fn open(path: PathBuf) -> rusqlite::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let idle: Result<_, _> = (0..cores.min(IDLE)).map(|_| read_connection(&path)).collect();
        Ok(Self {
            idle: Mutex::new(idle?),
            path,
            long: Arc::new(Semaphore::new(LONG_READS)),
            exports: Turns::of_exports(),
            walks: Turns::of_walks(),
        })
    }

    /// Makes a short read on this thread.
    pub(super) fn here<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Refusal> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => read_connection(&self.path).map_err(Failure::Engine)?,
        };
        let outcome = read(&connection);
        // After an I/O error the connection is not trusted.
        if !matches!(outcome, Err(Failure::Engine(_))) {
            let mut idle = self.idle();
            if idle.len() < IDLE {
                idle.push(connection);
            }
        }
        Ok(outcome?)
    }

    /// Makes a long read on a thread that may block. Where the caller goes away, at their deadline at the latest, its
    /// statement is interrupted; it counts until it has ended.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.long).acquire_owned().await.map_err(|_| store_unavailable())?;
        self.on_a_thread(turn, read).await
    }

    /// Makes a read that gives its answer bit by bit, as [`Self::aside`]: slow clients keep no others waiting but their like.
    pub(super) async fn streamed<T: Send + 'static>(
        self: &Arc<Self>,
        turns: &Turns,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = turns.take().await?;
        self.on_a_thread(turn, read).await
    }

    async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        turn: OwnedSemaphorePermit,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let readers = Arc::clone(self);
        let waiting = Waiting::default();
        let is_gone = Arc::clone(&waiting.is_gone);
        let outcome = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.here(|connection| {
                connection.progress_handler(STEPS, Some(move || is_gone.load(Ordering::Relaxed)));
                let outcome = read(connection);
                // Before another read has the connection.
                connection.progress_handler(STEPS, None::<fn() -> bool>);
                outcome
            })
        });
        let outcome = outcome.await;
        drop(waiting);
        outcome.unwrap_or_else(|error| Err(Refusal::internal(error)))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a read, until dropped.
#[derive(Default)]
struct Waiting {
    is_gone: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_statement_that_nobody_waits_for_any_more_is_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("things.db");
        Connection::open(&path).unwrap();
        let readers = Arc::new(Readers::open(path).unwrap());
        let (started, begun) = mpsc::sync_channel(1);
        let read = readers.aside(move |connection| {
            started.send(()).unwrap();
            let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
            Ok(connection.query_row(endless, [], |row| row.get::<_, u64>(0))?)
        });
        let mut read = Box::pin(read);
        assert!((&mut read).now_or_never().is_none());
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        drop(read);
        drop(readers.long.acquire_many(LONG_READS as u32).await.unwrap());
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_any_more_counts_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("things.db");
        Connection::open(&path).unwrap();
        let readers = Arc::new(Readers::open(path).unwrap());
        let (started, begun) = mpsc::sync_channel(1);
        let (release, held) = mpsc::sync_channel::<()>(1);
        let read = readers.aside(move |_| {
            started.send(()).unwrap();
            let _ = held.recv();
            Ok(())
        });
        // Polled once, which hands it to its thread, and dropped.
        assert_eq!(read.now_or_never(), None);
        tokio::task::spawn_blocking(move || begun.recv()).await.unwrap().unwrap();
        assert_eq!(readers.long.available_permits(), LONG_READS - 1);
        drop(release);
        let all = readers.long.acquire_many(LONG_READS as u32).await;
        drop(all.unwrap());
    }
}
