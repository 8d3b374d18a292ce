//! Keeps the archive good to read: merges small files, lets go of old snapshots and of files that nothing refers to.
//! Never touches the journal. Each step is a whole one: a crash leaves the archive before or after it.

use std::{sync::Arc, time::Duration};

use serve::leisure::{self, Pace};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Compaction, EventLog,
    archive::{self, Error, Table},
};

/// How often it is looked whether there is something to merge.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether the archive is still this writer's: a request to the catalog for each table.
const OWNER_INTERVAL: Duration = Duration::from_secs(5);
/// How often old snapshots and files are let go of.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(10);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl EventLog {
    /// Does what is due, until it is cancelled. What fails is tried again.
    pub(crate) async fn keep_up(self: Arc<Self>, cancel: CancellationToken) {
        let (mut pause, mut expiry) = (TICK, Instant::now() + EXPIRY_INTERVAL);
        let mut owner = Instant::now();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let (checks_owner, expires) = (Instant::now() >= owner, Instant::now() >= expiry);
            let (log, pace) = (Arc::clone(&self), Pace::of(self.archive.is_behind()));
            let work = move || log.keep_up_once(checks_owner, expires);
            match leisure::run("upkeep", pace, work, &cancel, || self.archive.stop()).await {
                // There may be more, and new files may come faster than one merge a tick.
                Ok(Ok(is_merged)) => pause = if is_merged { Duration::ZERO } else { TICK },
                Ok(Err(Error::Stopping)) => return,
                Ok(Err(error @ Error::Mismatch { .. })) => return self.superseded(&error),
                Ok(Err(error)) => {
                    pause = (pause * 2).clamp(TICK, LONGEST_PAUSE);
                    tracing::error!(error = &error as &dyn std::error::Error, "the archive is not kept up");
                }
                Err(error) => {
                    pause = LONGEST_PAUSE;
                    tracing::error!(error = &error as &dyn std::error::Error, "the archive is not kept up");
                }
            }
            if checks_owner {
                owner = Instant::now() + OWNER_INTERVAL;
            }
            if expires {
                expiry = Instant::now() + EXPIRY_INTERVAL;
            }
        }
    }

    /// Another journal feeds the archive: from now on nothing is appended here, and the process is not ready.
    pub(crate) fn superseded(&self, why: &Error) {
        let why = format!("another journal has taken over, what only this one has can be drained into it: {why}");
        tracing::error!(error = why, "nothing is appended any more");
        self.journal.supersede(&why);
        self.readiness.block("archive", why);
    }

    /// A step of each table; whether files were merged.
    fn keep_up_once(&self, checks_owner: bool, expires: bool) -> Result<bool, Error> {
        if checks_owner {
            self.archive.check_owner()?;
        }
        let rested = self.clock.now().millis() - archive::REST.as_millis() as i64;
        let mut is_merged = false;
        for table in Table::ALL {
            if self.compaction == Compaction::Own {
                is_merged |= self.archive.compact_once(table, rested)?.is_some();
            }
            if expires {
                self.archive.expire(table, self.horizon())?;
            }
        }
        Ok(is_merged)
    }

    /// Before this time, in milliseconds, snapshots and files that nothing refers to go.
    pub(crate) fn horizon(&self) -> i64 {
        self.clock.now().millis() - self.retention.as_millis() as i64
    }
}
