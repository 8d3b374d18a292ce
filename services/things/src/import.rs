//! Importing many things, relationships and namespaces, message by message.
//!
//! Owns the count of rows and what is said about those that are left out. Never stops for a bad row.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::Provenance;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use serve::{Caller, Refusal};
use ulid::Ulid;

use crate::change::{Applied, Change, Outcome, Part, Sequence, Write};
use crate::{Things, refuse};

/// The most rows of one message.
const MAX_ROWS: usize = 1_000;
/// Messages that are with the store at a time: the next one is decoded while the one before is committed.
const IN_FLIGHT: usize = 2;
/// How many rows that were left out are told of.
const MAX_FAILURES: usize = 1_000;

/// One message: rows that are decoded, and refusals of those that could not be.
#[derive(Debug)]
pub(crate) struct Rows {
    /// In order.
    pub(crate) each: Vec<Result<Change, Refusal>>,
    /// What the mutations say; of the first message it counts for all.
    pub(crate) provenance: Provenance,
    /// Where the import may be gone on with; of the first message it counts for all.
    pub(crate) course: Option<Course>,
}

/// An import that may be gone on with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Course {
    /// What the principal calls it.
    pub(crate) import_id: Arc<str>,
    /// The number of the first row that comes.
    pub(crate) first_row: u64,
}

/// What an import did.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Report {
    /// Rows that made something new.
    pub(crate) created: u64,
    /// Rows that changed something.
    pub(crate) replaced: u64,
    /// Rows that were already so.
    pub(crate) unchanged: u64,
    /// Rows that were left out.
    pub(crate) failed: u64,
    /// Why, for the first 1,000 of them.
    pub(crate) failures: Vec<(u64, Refusal)>,
    /// The last mutation.
    pub(crate) last: Option<Ulid>,
    /// Rows that were committed before this call.
    pub(crate) passed_over: u64,
    /// The number behind the last row that is committed.
    pub(crate) next_row: u64,
}

impl Things {
    /// Puts every row of `messages`, in order; each message is one transaction. Ends at the first error of the stream
    /// or of the store; messages that were committed before stay.
    pub(crate) async fn import<E: From<Refusal>>(
        &self,
        caller: &Caller,
        mut messages: impl Stream<Item = Result<Rows, E>> + Unpin + Send,
    ) -> Result<Report, E> {
        let mut import = Import::new(self);
        let mut first = None;
        while let Some(message) = messages.next().await {
            let Rows { each: rows, provenance, course } = message?;
            if first.is_none() {
                import.go_on(caller, course).await?;
            }
            let provenance = first.get_or_insert(provenance).clone();
            if rows.len() > MAX_ROWS {
                return Err(Refusal::invalid_field("rows", "must be at most 1,000 in one message").into());
            }
            import.begin(caller, provenance, rows).await?;
        }
        while !import.pending.is_empty() {
            import.finish_oldest().await?;
        }
        import.report.next_row = import.next_row.max(import.committed);
        Ok(import.report)
    }
}

/// An import under way.
struct Import<'a> {
    things: &'a Things,
    /// Of the messages.
    sequence: Sequence,
    report: Report,
    id: Option<Arc<str>>,
    /// Rows before this one are passed over.
    committed: u64,
    next_row: u64,
    pending: VecDeque<Pending<'a>>,
}

/// A message that is with the store.
struct Pending<'a> {
    /// The number of each row that was sent.
    rows: Vec<u64>,
    answer: BoxFuture<'a, Result<Vec<Result<Applied, Refusal>>, Refusal>>,
}

impl<'a> Import<'a> {
    fn new(things: &'a Things) -> Self {
        let (report, sequence, pending) = (Report::default(), Sequence::default(), VecDeque::new());
        Self { things, sequence, report, id: None, committed: 0, next_row: 0, pending }
    }

    /// Looks how much of it is committed, if that is to be known.
    async fn go_on(&mut self, caller: &Caller, course: Option<Course>) -> Result<(), Refusal> {
        let Some(Course { import_id, first_row }) = course else { return Ok(()) };
        if caller.is_anonymous() {
            return Err(Refusal::unauthenticated());
        }
        self.committed = self.things.store.things.imported(caller, Arc::clone(&import_id)).await?;
        if first_row > self.committed {
            return Err(refuse::import_out_of_order(&import_id, first_row, self.committed));
        }
        (self.next_row, self.id) = (first_row, Some(import_id));
        Ok(())
    }

    async fn begin(
        &mut self,
        caller: &Caller,
        provenance: Provenance,
        rows: Vec<Result<Change, Refusal>>,
    ) -> Result<(), Refusal> {
        let first = self.next_row;
        self.next_row += rows.len() as u64;
        let passed_over = self.committed.saturating_sub(first).min(rows.len() as u64);
        self.report.passed_over += passed_over;
        let part = self.id.clone().map(|import_id| Part { import_id, rows: first + passed_over..self.next_row });
        if part.as_ref().is_some_and(|part| part.rows.is_empty()) {
            return Ok(());
        }
        let (changes, sequence) = (Vec::with_capacity(rows.len()), self.sequence.clone());
        let mut write = Write { caller: caller.clone(), provenance, changes, sequence, part };
        let mut numbers = Vec::with_capacity(rows.len());
        for (number, row) in (first..).zip(rows).skip(passed_over as usize) {
            match row {
                Ok(change) => {
                    write.changes.push(change);
                    numbers.push(number);
                }
                Err(refusal) => self.report.fail(number, refusal),
            }
        }
        let mut answer = self.things.store.things.write(write);
        // The store has it once it is polled; what comes back is looked at later.
        let answer: BoxFuture<'_, _> = match futures::poll!(&mut answer) {
            std::task::Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
            std::task::Poll::Pending => answer,
        };
        self.pending.push_back(Pending { rows: numbers, answer });
        if self.pending.len() > IN_FLIGHT { self.finish_oldest().await } else { Ok(()) }
    }

    async fn finish_oldest(&mut self) -> Result<(), Refusal> {
        let Some(Pending { rows, answer }) = self.pending.pop_front() else { return Ok(()) };
        for (number, outcome) in rows.into_iter().zip(answer.await?) {
            match outcome {
                Ok(applied) => self.report.count(&applied),
                Err(refusal) => self.report.fail(number, refusal),
            }
        }
        Ok(())
    }
}

impl Report {
    fn count(&mut self, applied: &Applied) {
        let (etag, outcome) = match applied {
            Applied::Thing { thing, outcome, .. } => (thing.etag, *outcome),
            Applied::Relationship { relationship, outcome, .. } => (relationship.etag, *outcome),
            Applied::Namespace { is_new: true, .. } => return self.created += 1,
            Applied::Namespace { is_new: false, .. } => return self.unchanged += 1,
            other => unreachable!("a row puts something, it does not answer {other:?}"),
        };
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Replaced => self.replaced += 1,
            Outcome::Unchanged => return self.unchanged += 1,
        }
        self.last = Some(etag.0);
    }

    fn fail(&mut self, row: u64, refusal: Refusal) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            let at = self.failures.partition_point(|(before, _)| *before < row);
            self.failures.insert(at, (row, refusal));
        }
    }
}
