//! Owns the sending of an import: messages that fit, streams that end now and then. Never parses a row.

use std::collections::HashSet;

use anyhow::Context as _;
use domain::{Namespace, Style};
use proto::{
    common::v1::Reason,
    convert,
    things::v1::{ImportRow, ImportThingsRequest, ImportThingsResponse, RegisterNamespaceRequest},
};
use serve::Refusal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::Client;

use super::{progress::Progress, report::Report, row::BadRow};

/// The most rows of one stream: what is counted at once, and lost from the count if the connection breaks.
const STREAM_ROWS: usize = 50_000;

/// Messages that wait for the transport; it takes them as fast as the server reads.
const MESSAGES_AHEAD: usize = 2;

/// What the parser gives.
pub(super) enum Item {
    /// Rows for one message.
    Batch(Batch),
    /// A row that could not be read or used.
    Bad(BadRow),
    /// A row that says the same as an earlier one.
    Equal,
    /// The file cannot be read any further.
    Broken(anyhow::Error),
}

/// At most 1,000 rows and 4 MiB: one message, one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<ImportRow>,
    /// The line of each row.
    pub(super) lines: Vec<u64>,
    /// Namespaces that no batch before had.
    pub(super) namespaces: Vec<Namespace>,
}

/// Sends everything that the parser gives.
pub(super) struct Sender<'a> {
    pub(super) client: Client,
    /// `None` registers as wiki and takes the style that is there.
    pub(super) style: Option<Style>,
    pub(super) cause: &'a str,
    /// By which the server knows how far the import is.
    pub(super) import_id: &'a str,
    /// The number of the next row.
    pub(super) next_row: u64,
    /// Rows before this one are not sent again.
    pub(super) committed: u64,
    pub(super) progress: &'a mut Progress,
    pub(super) report: &'a mut Report,
}

impl Sender<'_> {
    /// Asks how much of an import is committed, which is not sent again.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        let question = ImportThingsRequest { import_id: self.import_id.to_owned(), ..ImportThingsRequest::default() };
        let answer = self.client.things().import_things(tokio_stream::iter([question])).await?.into_inner();
        self.committed = answer.next_row.unsigned_abs();
        if self.committed == 0 {
            self.progress.say(&format!("nothing is known of import {}: every row is sent", self.import_id));
        }
        Ok(())
    }

    /// Until the parser has no more; of an import that is gone on with, what is not there yet.
    pub(super) async fn send_all(&mut self, mut items: mpsc::Receiver<Item>, goes_on: bool) -> anyhow::Result<()> {
        if goes_on {
            self.go_on().await?;
        }
        while let Some(batch) = self.next_batch(&mut items).await? {
            self.send_stream(batch, &mut items).await?;
        }
        Ok(())
    }

    /// One stream, beginning with `first`.
    async fn send_stream(&mut self, first: Batch, items: &mut mpsc::Receiver<Item>) -> anyhow::Result<()> {
        let first_row = self.next_row;
        let (messages, stream) = mpsc::channel(MESSAGES_AHEAD);
        let mut things = self.client.things();
        let call = things.import_things(ReceiverStream::new(stream));
        let mut lines = Vec::new();
        let feeding = self.feed(first, items, messages, &mut lines);
        let (answer, fed) = tokio::join!(call, feeding);
        let again =
            || format!("the import stopped; to go on with it, run the same command with --resume {}", self.import_id);
        let answer = answer.with_context(again)?;
        self.count(answer.into_inner(), first_row, &lines);
        fed
    }

    /// Feeds the stream until it has all its rows or ends early, and notes the line of each row.
    async fn feed(
        &mut self,
        first: Batch,
        items: &mut mpsc::Receiver<Item>,
        messages: mpsc::Sender<ImportThingsRequest>,
        lines: &mut Vec<u64>,
    ) -> anyhow::Result<()> {
        let mut next = Some(first);
        while let Some(Batch { rows, lines: of_batch, namespaces }) = next {
            for ns in &namespaces {
                self.register(ns).await?;
            }
            let count = rows.len();
            let mut message = ImportThingsRequest { rows, ..ImportThingsRequest::default() };
            if lines.is_empty() {
                message.cause = self.cause.to_owned();
                message.import_id = self.import_id.to_owned();
                message.first_row = self.next_row.cast_signed();
            }
            lines.extend(of_batch);
            self.next_row += count as u64;
            if messages.send(message).await.is_err() {
                break; // The call has ended, and its answer says why.
            }
            self.progress.advance(count);
            if lines.len() >= STREAM_ROWS {
                break;
            }
            next = self.next_batch(items).await?;
        }
        Ok(())
    }

    async fn next_batch(&mut self, items: &mut mpsc::Receiver<Item>) -> anyhow::Result<Option<Batch>> {
        while let Some(item) = items.recv().await {
            match item {
                Item::Batch(batch) if self.next_row + batch.rows.len() as u64 <= self.committed => {
                    self.next_row += batch.rows.len() as u64;
                    self.report.passed_over += batch.rows.len() as u64;
                }
                Item::Batch(batch) => return Ok(Some(batch)),
                Item::Equal => self.report.equal += 1,
                Item::Bad(bad) => self.leave_out(bad),
                Item::Broken(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn register(&self, ns: &Namespace) -> anyhow::Result<()> {
        let style = convert::style_to_wire(self.style.unwrap_or_default()).into();
        let request = RegisterNamespaceRequest { ns: ns.as_str().into(), style };
        let Err(status) = self.client.things().register_namespace(request).await else { return Ok(()) };
        // Nobody asked for a style: the registered one is right, and without the right to register the rows tell.
        let is_fine =
            matches!(Refusal::from_status(&status).reason, Reason::NamespaceStyleFixed | Reason::PermissionDenied);
        if self.style.is_none() && is_fine {
            return Ok(());
        }
        Err(status).with_context(|| format!("the namespace {ns} cannot be registered"))
    }

    fn count(&mut self, answer: ImportThingsResponse, first_row: u64, lines: &[u64]) {
        let ImportThingsResponse {
            created,
            replaced,
            unchanged,
            failed,
            failures,
            last_ulid,
            passed_over,
            next_row: _,
        } = answer;
        self.report.passed_over += passed_over.unsigned_abs();
        self.report.created += created.unsigned_abs();
        self.report.replaced += replaced.unsigned_abs();
        self.report.unchanged += unchanged.unsigned_abs();
        if !last_ulid.is_empty() {
            self.report.last_ulid = last_ulid;
        }
        let untold = failed.unsigned_abs().saturating_sub(failures.len() as u64);
        for failure in failures {
            let line = lines.get(failure.row.unsigned_abs().saturating_sub(first_row) as usize).copied();
            let reason = format!("{} ({})", failure.message, failure.reason);
            self.leave_out(BadRow { line: line.unwrap_or_default(), reason });
        }
        if untold > 0 {
            self.report.failed += untold;
            let first = lines.first().copied().unwrap_or_default();
            let last = lines.last().copied().unwrap_or_default();
            let most = "the server names the first 1,000 of a stream";
            self.progress.say(&format!("lines {first} to {last}: {untold} more rows were left out; {most}"));
        }
    }

    fn leave_out(&mut self, bad: BadRow) {
        self.progress.say(&format!("line {}: {}", bad.line, bad.reason));
        self.report.leave_out(bad);
    }
}

/// The namespaces of a file, each told once.
#[derive(Default)]
pub(super) struct Namespaces(HashSet<Namespace>);

impl Namespaces {
    /// Whether `ns` is told for the first time.
    pub(super) fn note(&mut self, ns: &Namespace) -> bool {
        !self.0.contains(ns) && self.0.insert(ns.clone())
    }
}
