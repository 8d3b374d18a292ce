//! Owns what the clients of a round know together: the order of what is sent and answered, and the etags last seen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use domain::Etag;
use proto::common::v1::Reason;
use tokio::sync::watch;

use super::request::{Answer, Request, Subject};

/// What the clients of one round share.
#[derive(Debug)]
pub(crate) struct Shared {
    tick: AtomicU64,
    stopped: watch::Sender<bool>,
    /// How many requests have been answered.
    pub(crate) answered: watch::Sender<u64>,
    etags: Mutex<HashMap<Subject, Etag>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            tick: AtomicU64::new(1),
            stopped: watch::Sender::new(false),
            answered: watch::Sender::new(0),
            etags: Mutex::default(),
        }
    }

    /// The next number in the order of all that is sent and answered.
    pub(crate) fn tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn count_answer(&self) {
        self.answered.send_modify(|answered| *answered += 1);
    }

    /// Begins a load; the order of what is sent goes on.
    pub(crate) fn start(&self) {
        self.stopped.send_replace(false);
        self.answered.send_replace(0);
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Returns when the load ends.
    pub(crate) async fn stopped(&self) {
        // The sender is ours, so waiting does not fail.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// The etag that was last seen of a name.
    pub(crate) fn etag(&self, of: &Subject) -> Option<Etag> {
        self.etags.lock().unwrap_or_else(PoisonError::into_inner).get(of).copied()
    }

    /// Sets the etag that was last seen of a name.
    pub(crate) fn knows(&self, subject: Subject, etag: Etag) {
        self.etags.lock().unwrap_or_else(PoisonError::into_inner).insert(subject, etag);
    }

    /// Takes the etag from an answer.
    pub(crate) fn saw(&self, request: &Request) {
        let Some(subject) = request.asked.subject() else { return };
        let mut etags = self.etags.lock().unwrap_or_else(PoisonError::into_inner);
        match request.answer {
            Answer::Written { ulid, .. } | Answer::Unchanged { ulid } => etags.insert(subject, Etag(ulid)),
            Answer::Refused(Reason::EtagStale | Reason::NotFound) => etags.remove(&subject),
            _ => None,
        };
    }
}
