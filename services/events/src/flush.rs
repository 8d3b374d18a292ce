//! Moves events from the journal into the archive, and lets go of what is there. Never loses one: the journal is cut
//! only behind what both tables durably have and nobody reads any more.

use std::{sync::Arc, time::Duration};

use serve::leisure::{self, Pace};
use tokio_util::sync::CancellationToken;

use crate::{
    EventLog,
    archive::{self, Incoming, Table},
    index::Location,
    journal::STEP,
    log,
};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(100);
/// The longest pause after a failure; the first is a tick.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Events that one flush takes at most: small ones take more memory than bytes while they are sorted.
const MAX_EVENTS: u64 = 65_536;

/// So many times what one flush takes, and callers do not go first any more.
const BEHIND: u64 = 3;

/// When the journal is flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flush {
    /// Bytes of events that are waited for, and that one flush takes at most (or one event).
    pub(crate) bytes: u64,
    /// How long an event stays in the journal alone, if there are fewer bytes.
    pub(crate) interval: Duration,
}

/// Why events stay in the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the archive")]
    Archive(#[from] archive::Error),
    #[error("the journal cannot be read: {0}")]
    Journal(String),
    #[error("the journal cannot be cut, or the flush not done")]
    Io(#[from] std::io::Error),
}

impl EventLog {
    /// Flushes whenever it is due, until it is cancelled. A flush that fails is tried again: the journal keeps what the
    /// archive does not take.
    pub(crate) async fn keep_flushing(self: Arc<Self>, flush: Flush, cancel: CancellationToken) {
        let mut pause = TICK;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if !self.is_due(flush) {
                continue;
            }
            let is_behind = self.is_behind(flush);
            let log = Arc::clone(&self);
            let work = move || log.flush(flush.bytes);
            let flushed = leisure::run("flush", Pace::of(is_behind), work, &cancel, || self.archive.stop()).await;
            match flushed.unwrap_or_else(|error| Err(error.into())) {
                Ok(()) => pause = TICK,
                Err(Error::Archive(archive::Error::Stopping)) => return,
                Err(Error::Archive(error @ archive::Error::Mismatch { .. })) => return self.superseded(&error),
                Err(error) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    metrics::counter!("annals_archive_flush_failures_total").increment(1);
                    tracing::error!(error = &error as &dyn std::error::Error, "events stay in the journal");
                }
            }
        }
    }

    /// Whether there is enough to archive, or something to let go of.
    fn is_due(&self, flush: Flush) -> bool {
        let (position, needed) = (self.archive.view().position(), self.archive.needed());
        let index = self.index();
        let bytes = index.bytes();
        metrics::gauge!("annals_archive_pending_bytes").set(bytes as f64);
        let oldest = (position < index.end()).then(|| index.locate(position.max(index.beginning())).intake);
        let age = oldest.map_or(0, |oldest| self.clock.now().millis() - oldest.millis());
        // What somebody read when it was archived has not been let go of.
        let is_uncut = index.beginning() < needed;
        let is_much = bytes >= flush.bytes || index.len() >= MAX_EVENTS;
        is_uncut || is_much || age >= i64::try_from(flush.interval.as_millis()).unwrap_or(i64::MAX)
    }

    fn is_behind(&self, flush: Flush) -> bool {
        let index = self.index();
        index.bytes() >= BEHIND * flush.bytes || index.len() >= BEHIND * MAX_EVENTS
    }

    /// Moves the oldest events, at most `bytes` of them (or one), into the archive. Blocks.
    pub(crate) fn flush(&self, bytes: u64) -> Result<(), Error> {
        let position = self.archive.view().position();
        let locations = self.next(position, bytes);
        if let Some(last) = locations.last() {
            let end = last.offset + 1;
            let incoming = self.incoming(&locations, end)?;
            for table in Table::ALL {
                // One of the two may have gone on before a crash.
                if self.archive.view().table(table).position() < end {
                    self.archive.append(table, &incoming, end)?;
                }
            }
            metrics::counter!("annals_archive_flushed_total").increment(locations.len() as u64);
            tracing::info!(events = locations.len(), end, "events are archived");
        }
        self.cut()?;
        Ok(())
    }

    /// The events at these places, as rows of the batch that ends before `end`.
    fn incoming(&self, locations: &[Location], end: u64) -> Result<Incoming, Error> {
        let (mut reader, mut incoming) = (self.journal.reader(), Incoming::default());
        for location in locations {
            let mut event = log::read(&mut reader, *location).map_err(|error| Error::Journal(error.to_string()))?;
            event.pipeline_batch_id = end as i64;
            incoming.push(event)?;
        }
        incoming.complete()?;
        Ok(incoming)
    }

    /// Lets go of what the archive has and nobody reads in the journal. Blocks.
    pub(crate) fn cut(&self) -> std::io::Result<()> {
        self.journal.cut(self.archive.needed())
    }

    /// Where the oldest events from an offset on are.
    fn next(&self, position: u64, bytes: u64) -> Vec<Location> {
        let end = self.index().end().min(position + MAX_EVENTS);
        let (mut locations, mut sum) = (Vec::new(), 0);
        for start in (position..end).step_by(STEP as usize) {
            let index = self.index();
            for location in (start..end.min(start + STEP)).map(|offset| index.locate(offset)) {
                sum += u64::from(location.length);
                if sum > bytes && !locations.is_empty() {
                    return locations;
                }
                locations.push(location);
            }
        }
        locations
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, event};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cut_leaves_a_segment_alone_that_the_writer_is_about_to_name() {
        let fixture = Fixture::new();
        fixture.append(vec![event("log")]).await;
        let unfinished = fixture.path().join("journal/00000000000000000001.unfinished");
        std::fs::write(&unfinished, "a header").unwrap();
        fixture.flush(u64::MAX);
        assert!(unfinished.exists());
    }
}
