//! Background tasks that somebody owns: each has a name, a cancellation token and a bounded end.
//!
//! Owns the only `tokio::spawn` of the services. Never restarts a task: one that fails ends the process, said in the log.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The background tasks of one owner, usually a service. Clones share them.
#[derive(Clone)]
pub struct Tasks {
    owner: &'static str,
    cancel: CancellationToken,
    tracker: TaskTracker,
    running: Arc<Mutex<Vec<(&'static str, AbortHandle)>>>,
    failure: Arc<watch::Sender<Option<Failure>>>,
}

/// The first task of an owner that panicked or ended with an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("task {owner}/{task} {cause}")]
pub struct Failure {
    owner: &'static str,
    task: &'static str,
    cause: String,
}

/// Tasks that did not end within the time they had, and were aborted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tasks of {owner} did not end in time: {}", tasks.join(", "))]
pub struct Overdue {
    owner: &'static str,
    tasks: Vec<&'static str>,
}

/// What a task may return: nothing, or a result whose error is a [`Failure`].
pub trait Outcome: Send {
    /// The error's text, with its causes.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display + Send> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        // Alternate form: anyhow prints the whole chain of causes.
        self.err().map(|error| format!("failed: {error:#}"))
    }
}

impl Tasks {
    /// No tasks yet, of `owner`.
    pub fn new(owner: &'static str) -> Self {
        Self {
            owner,
            cancel: CancellationToken::new(),
            tracker: TaskTracker::new(),
            running: Arc::default(),
            failure: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Runs `task` until it ends by itself or, asked by its token, in the drain; then it tidies up and returns.
    pub fn spawn<F, T>(&self, name: &'static str, task: F)
    where
        F: FnOnce(CancellationToken) -> T,
        T: Future<Output: Outcome> + Send + 'static,
    {
        let work = AssertUnwindSafe(task(self.cancel.child_token())).catch_unwind();
        let (owner, failure) = (self.owner, Arc::clone(&self.failure));
        let span = tracing::info_span!("task", task.owner = owner, task.name = name);
        let handle = self.tracker.spawn(
            async move {
                let cause = match work.await {
                    Ok(outcome) => outcome.failure(),
                    Err(panic) => Some(format!("panicked: {}", panic_text(&*panic))),
                };
                let Some(cause) = cause else { return };
                let failed = Failure { owner, task: name, cause };
                tracing::error!(error = %failed, "a background task failed");
                failure.send_if_modified(|first| first.is_none() && first.replace(failed).is_none());
            }
            .instrument(span),
        );
        let mut running = self.running();
        running.retain(|(_, task)| !task.is_finished());
        running.push((name, handle.abort_handle()));
    }

    /// The token that asks every task of this owner to end; for work that is not a task of its own (a stream that is
    /// being served).
    pub fn draining(&self) -> CancellationToken {
        self.cancel.child_token()
    }

    /// Waits for the first failure; for ever if there is none.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(failure)) => failure,
            _ => std::future::pending().await,
        }
    }

    /// Asks every task to end and waits at most `limit`; what runs then is aborted and named.
    pub async fn drain(&self, limit: Duration) -> Result<(), Overdue> {
        self.cancel.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return Ok(());
        }
        let mut tasks = Vec::new();
        for (name, task) in self.running().iter().filter(|(_, task)| !task.is_finished()) {
            task.abort();
            tasks.push(*name);
        }
        if tasks.is_empty() { Ok(()) } else { Err(Overdue { owner: self.owner, tasks }) }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, AbortHandle)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text that a panic was raised with.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

#[cfg(test)]
#[path = "tasks_test.rs"]
mod tests;
