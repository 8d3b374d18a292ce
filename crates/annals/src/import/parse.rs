//! Owns the way from a file to messages: read, plan, leave out what is equal or contradicts, fill batches.
//!
//! Runs on a thread of its own and stays a few batches ahead of the sender.

use prost::Message as _;
use tokio::sync::mpsc;

use super::{
    plan::{Plan, Planned},
    read::Rows,
    row::{BadRow, Row},
    seen::{Seen, Sighting},
    send::{Batch, Item, Namespaces},
};

/// The most rows of a message.
const BATCH_ROWS: usize = 1_000;

/// The most bytes of a message's rows; the server takes 4 MiB with everything around them.
const BATCH_BYTES: usize = (4 << 20) - (16 << 10);

/// Bytes around a row in its message: a tag and a length.
const ROW_OVERHEAD: usize = 6;

/// Everything between the rows and their batches.
pub(super) struct Parser {
    plan: Plan,
    seen: Seen,
    namespaces: Namespaces,
    batch: Batch,
    batch_bytes: usize,
    items: mpsc::Sender<Item>,
}

/// The sender has gone: there is nobody to parse for.
struct Unwanted;

impl Parser {
    pub(super) fn new(plan: Plan, items: mpsc::Sender<Item>) -> Self {
        Self {
            plan,
            seen: Seen::default(),
            namespaces: Namespaces::default(),
            batch: Batch::default(),
            batch_bytes: 0,
            items,
        }
    }

    /// Until the rows end or the sender has gone.
    pub(super) fn run(mut self, mut rows: Rows) {
        // An error means that the sender has gone, with an error of its own.
        let _ = self.parse(&mut rows);
    }

    fn parse(&mut self, rows: &mut Rows) -> Result<(), Unwanted> {
        loop {
            match rows.next() {
                Ok(Some(Ok(row))) => self.take(&row)?,
                Ok(Some(Err(bad))) => self.give(Item::Bad(bad))?,
                Ok(None) => return self.flush(),
                Err(error) => {
                    self.flush()?;
                    return self.give(Item::Broken(error));
                }
            }
        }
    }

    fn take(&mut self, row: &Row) -> Result<(), Unwanted> {
        let bad = |reason| Item::Bad(BadRow { line: row.line, reason });
        let Planned { ns, put } = match self.plan.apply(row) {
            Ok(Some(planned)) => planned,
            Ok(None) => return Ok(()),
            Err(error) => return self.give(bad(format!("{error:#}"))),
        };
        let bytes = put.encoded_len() + ROW_OVERHEAD;
        if bytes > BATCH_BYTES {
            return self.give(bad("the row is larger than a message may be, 4 MiB".into()));
        }
        match self.seen.note(&put, row.line) {
            Sighting::New => {}
            Sighting::Equal => return self.give(Item::Equal),
            Sighting::Other(first) => {
                return self.give(bad(format!("it has the name of the row on line {first}, but says something else")));
            }
        }
        if self.batch.rows.len() == BATCH_ROWS || self.batch_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        if let Some(ns) = ns
            && self.namespaces.note(&ns)
        {
            self.batch.namespaces.push(ns);
        }
        self.batch.rows.push(put);
        self.batch.lines.push(row.line);
        self.batch_bytes += bytes;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Unwanted> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.rows.is_empty() { Ok(()) } else { self.give(Item::Batch(batch)) }
    }

    fn give(&self, item: Item) -> Result<(), Unwanted> {
        self.items.blocking_send(item).map_err(|_| Unwanted)
    }
}

#[cfg(test)]
#[path = "parse_test.rs"]
mod tests;
