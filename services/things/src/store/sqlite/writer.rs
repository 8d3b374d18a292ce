//! Owns the one thread that writes, and the grouping of requests into commits.
//!
//! A group is one transaction with a savepoint for each request: a request that fails leaves nothing, and no request is
//! answered before the commit. Whatever waits when a group begins or while it is worked on joins it, so under load one
//! sync serves many requests and without load none waits for another.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use domain::{Clock, TenantId};
use rusqlite::Connection;
use serve::health::Readiness;
use serve::{Refusal, Tasks};
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::open::write_connection;
use super::outbox::{Ledger, Waiting};
use super::tables::Tables;
use crate::change::Sequence;
use crate::refuse::store_unavailable;

/// Requests that wait for the writer: what several groups take. More wait in their callers, until their deadline.
const QUEUE: usize = 512;
/// Requests in one commit.
const GROUP: usize = 256;
/// Mutations in one commit, after which no further request joins it: so that an import delays others by little.
const GROUP_MUTATIONS: i64 = 2_000;

/// A request: does its work (or is refused before), and gives how it is answered once it is known whether the group
/// was committed.
type Job = Box<dyn FnOnce(Result<&mut Transaction<'_>, Refusal>) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

enum Message {
    Job(Job),
    Close,
}

/// The way to the thread that writes.
pub(super) struct Writer(mpsc::Sender<Message>);

impl Writer {
    /// Starts the thread, which ends with `tasks`.
    pub(super) fn start(
        file: PathBuf,
        connection: Connection,
        clock: Clock,
        waiting: Arc<Waiting>,
        readiness: Readiness,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let ledger = Ledger::read(&connection).context("the outbox cannot be read")?;
        waiting.publish(&ledger, true);
        let mut thread = Thread { file, connection: Some(connection), clock, ledger, waiting, readiness };
        let closer = sender.clone();
        tasks.spawn("writer", |cancel| async move {
            let mut thread = tokio::task::spawn_blocking(move || thread.run(queue));
            tokio::select! {
                ended = &mut thread => ended.context("the writer panicked")?,
                () = cancel.cancelled() => {
                    // What is queued before this is still carried out.
                    let _ = closer.send(Message::Close).await;
                    thread.await.context("the writer panicked")?;
                }
            }
            anyhow::Ok(())
        });
        Ok(Self(sender))
    }

    /// Has `work` done in the next group, and answers when that is committed.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.submit_in(Sequence::default(), work).await
    }

    /// As [`submit`](Self::submit), as the next of a sequence; refused where that has ended.
    pub(super) async fn submit_in<T: Send + 'static>(
        &self,
        sequence: Sequence,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let outcome = transaction.and_then(|transaction| {
                if sequence.has_ended() {
                    return Err(store_unavailable());
                }
                transaction.savepoint(work).map_err(Refusal::from)
            });
            // What follows may be in the same group.
            if outcome.is_err() {
                sequence.end();
            }
            Box::new(move |committed| {
                // Before the next group begins.
                if committed.is_err() {
                    sequence.end();
                }
                // Nobody listens if the caller's deadline came first.
                let _ = answer.send(committed.and(outcome));
            })
        });
        // Closed only when this process ends.
        self.0.send(Message::Job(job)).await.map_err(|_| store_unavailable())?;
        answered.await.map_err(|_| store_unavailable())?
    }
}

struct Thread {
    file: PathBuf,
    /// None after an error that it did not survive.
    connection: Option<Connection>,
    clock: Clock,
    ledger: Ledger,
    waiting: Arc<Waiting>,
    readiness: Readiness,
}

impl Thread {
    fn run(&mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(Message::Job(first)) = queue.blocking_recv() {
            let mut closing = false;
            let mut next = || match queue.try_recv() {
                Ok(Message::Job(job)) => Some(job),
                Ok(Message::Close) => {
                    closing = true;
                    None
                }
                Err(_) => None,
            };
            let mut replies = Vec::new();
            let committed = self.group(first, &mut next, &mut replies);
            metrics::histogram!("annals_things_group_requests").record(replies.len() as f64);
            if let Err(refusal) = &committed {
                metrics::counter!("annals_things_commit_failures_total").increment(1);
                self.readiness.failed("store", refusal.message.clone());
            }
            for reply in replies {
                reply(committed.clone());
            }
            if closing {
                break;
            }
        }
    }

    /// Does the work of one group and commits it.
    fn group(
        &mut self,
        first: Job,
        next: &mut dyn FnMut() -> Option<Job>,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Refusal> {
        let began = self.begin();
        let connection = match began {
            Ok(connection) => connection,
            Err(refusal) => {
                replies.push(first(Err(refusal.clone())));
                return Err(refusal);
            }
        };
        let mut transaction =
            Transaction { connection: &connection, clock: &self.clock, ledger: self.ledger, has_failed: false };
        let mut job = Some(first);
        while let Some(work) = job {
            replies.push(work(Ok(&mut transaction)));
            let added = transaction.ledger.added_since(&self.ledger);
            let has_room = replies.len() < GROUP && added < GROUP_MUTATIONS && !connection.is_autocommit();
            job = if has_room { next() } else { None };
        }
        let Transaction { ledger, has_failed, .. } = transaction;
        if let Err(refusal) = commit(&connection) {
            // A connection whose transaction cannot be ended is opened anew.
            if connection.is_autocommit() || connection.execute_batch("rollback").is_ok() {
                displace(&connection);
                self.connection = Some(connection);
            }
            return Err(refusal);
        }
        self.connection = Some(connection);
        let has_added = ledger.added_since(&self.ledger) > 0;
        if has_failed {
            self.readiness.failed("store", store_unavailable().message);
        } else if has_added {
            // What only reads says nothing about the next write.
            self.readiness.clear("store");
        }
        self.waiting.publish(&ledger, has_added);
        self.ledger = ledger;
        Ok(())
    }

    /// A connection in a transaction.
    fn begin(&mut self) -> Result<Connection, Refusal> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => write_connection(&self.file).map_err(|error| {
                tracing::error!(error = format!("{error:#}"), "the database cannot be opened again");
                store_unavailable()
            })?,
        };
        let began = connection.prepare_cached("begin immediate").and_then(|mut begin| begin.execute([]));
        match began {
            Ok(_) => Ok(connection),
            Err(error) => {
                self.connection = Some(connection);
                Err(Failure::Engine(error).into())
            }
        }
    }
}

/// Ends the transaction, unless the engine has done so itself because of an error: then all of it is gone.
fn commit(connection: &Connection) -> Result<(), Refusal> {
    if connection.is_autocommit() {
        return Err(store_unavailable());
    }
    let committed = connection.prepare_cached("commit").and_then(|mut commit| commit.execute([]));
    committed.map(drop).map_err(|error| Failure::Engine(error).into())
}

/// Writes a transaction that changes nothing where the refused one may stand in the log, whole: if only its sync failed,
/// a process that is killed now would find it there at its next start, as if it had been committed. Whether this one
/// is synced does not matter, only that it is in the way.
fn displace(connection: &Connection) {
    let displaced = connection.execute_batch("begin immediate; update relay set only = only; commit");
    if let Err(error) = displaced
        && !connection.is_autocommit()
    {
        tracing::debug!(%error, "a transaction in the way of a refused one fails as that did");
        let _ = connection.execute_batch("rollback");
    }
}

/// The group's transaction, as one request sees it.
pub(super) struct Transaction<'c> {
    pub(super) connection: &'c Connection,
    clock: &'c Clock,
    pub(super) ledger: Ledger,
    /// Whether a request was refused for a failure that lies outside.
    has_failed: bool,
}

impl Transaction<'_> {
    pub(super) fn clock(&self) -> &Clock {
        self.clock
    }

    pub(super) fn tables<'t>(&'t self, tenant: &'t TenantId) -> Tables<'t> {
        Tables::new(self.connection, tenant)
    }

    /// Does `work`, all of it or nothing.
    fn savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let before = self.ledger;
        self.execute("savepoint request")?;
        match work(self) {
            Ok(done) => {
                self.execute("release request")?;
                Ok(done)
            }
            Err(failure) => {
                self.ledger = before;
                self.has_failed |= failure.is_outside();
                // Where the engine ended the whole transaction there is nothing to go back to.
                if !self.connection.is_autocommit() {
                    self.execute("rollback to request")?;
                    self.execute("release request")?;
                }
                Err(failure)
            }
        }
    }

    /// Does `work` and leaves nothing of it.
    pub(super) fn undone<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let before = self.ledger;
        self.execute("savepoint trial")?;
        let done = work(self)?;
        self.ledger = before;
        self.execute("rollback to trial")?;
        self.execute("release trial")?;
        Ok(done)
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "writer_test.rs"]
mod tests;
