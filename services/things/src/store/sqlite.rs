//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, all of it in one file.
//!
//! One thread writes: it groups the requests that wait into one commit (`writer`). Readers have connections of their
//! own (`readers`). Owns the only use of rusqlite. Never decides what a change does.

mod apply;
mod ends;
mod export;
mod failure;
mod imports;
mod lists;
mod migrate;
mod namespaces;
mod open;
mod outbox;
mod readers;
mod requests;
mod rows;
mod schemas;
mod tables;
mod walk;
mod write;
mod writer;

use std::sync::Arc;

use domain::{EntityKind, Namespace, Reference, Relationship, Style, Timestamp};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::convert::WriteResult;
use serve::page::Seal;
use serve::{Caller, Refusal};
use ulid::Ulid;

pub(super) use open::open;

use self::outbox::Waiting;
use self::readers::Readers;
use self::tables::Tables;
use self::writer::Writer;
use super::{
    Answer, Backlog, Contents, Lease, NamespacePage, NamespaceQuery, Outbox, Read, RelationshipPage, RelationshipQuery,
    RelationshipStore, Resolved, Taken, ThingFilter, ThingPage, ThingQuery, ThingStore, Wanted,
};
use crate::atomic::Terms;
use crate::change::{Applied, Write};
use crate::export::Export;
use crate::refuse;
use crate::store::facts::Facts as _;
use crate::stream::Sink;
use crate::summary::Summary;
use crate::traverse::{Part, Traversal};

/// A database file, open.
pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
    waiting: Arc<Waiting>,
    relay: Ulid,
    /// Held as long as the database is open: one process at a time has it.
    _lock: std::fs::File,
}

impl Sqlite {
    /// What page tokens are sealed with: the id of the relay is random, is made with the database, and goes to events only.
    pub(super) fn seal(&self) -> Seal {
        Seal::new(&self.relay.to_bytes())
    }
}

/// Reads of at most so many things are made where they are asked for: a point read is two or three index lookups in
/// cached pages (about 10 µs), less than handing it to another thread costs. Larger ones go to a thread that may block.
const READ_HERE: usize = 20;

impl ThingStore for Sqlite {
    fn write(&self, write: Write) -> Answer<'_, Vec<Result<Applied, Refusal>>> {
        async move {
            if self.waiting.backlog().is_full() {
                write.sequence.end();
                return Err(refuse::outbox_full());
            }
            let sequence = write.sequence.clone();
            self.writer.submit_in(sequence, move |transaction| transaction.write(write)).await
        }
        .boxed()
    }

    fn imported(&self, caller: &Caller, import_id: Arc<str>) -> Answer<'_, u64> {
        let caller = caller.clone();
        let imported = self.writer.submit(move |transaction| {
            let now = transaction.clock().now();
            transaction.tables(&caller.tenant).imported(&caller.principal, &import_id, now)
        });
        imported.boxed()
    }

    fn write_atomic(&self, write: Write, terms: Terms) -> Answer<'_, Vec<WriteResult>> {
        async move {
            if self.waiting.backlog().is_full() {
                return Err(refuse::outbox_full());
            }
            self.writer.submit(move |transaction| transaction.write_atomic(write, &terms)).await
        }
        .boxed()
    }

    fn resolve(&self, caller: &Caller, reference: Reference, kind: EntityKind) -> Answer<'_, Option<Resolved>> {
        let caller = caller.clone();
        async move {
            let resolved = self.writer.submit(move |transaction| {
                // Drawn here, so that the clock of ULIDs stands at the present even if the time of day goes back.
                transaction.clock().ulid();
                transaction.tables(&caller.tenant).resolve(&caller, &reference, kind)
            });
            resolved.await
        }
        .boxed()
    }

    fn read<'a>(&'a self, caller: &'a Caller, wanted: &'a Wanted) -> Answer<'a, Vec<Read>> {
        if wanted.names.len() <= READ_HERE {
            let read =
                self.readers.here(|connection| Tables::new(connection, &caller.tenant).read_together(caller, wanted));
            return std::future::ready(read).boxed();
        }
        let (caller, wanted) = (caller.clone(), wanted.clone());
        let read = move |connection: &_| Tables::new(connection, &caller.tenant).read_together(&caller, &wanted);
        self.readers.aside(read).boxed()
    }

    fn list(&self, caller: &Caller, query: ThingQuery) -> Answer<'_, ThingPage> {
        let caller = caller.clone();
        let list = move |connection: &_| Tables::new(connection, &caller.tenant).list(&caller, &query);
        self.readers.aside(list).boxed()
    }

    fn count(&self, caller: &Caller, filter: ThingFilter) -> Answer<'_, u64> {
        let caller = caller.clone();
        let count = move |connection: &_| Tables::new(connection, &caller.tenant).count(&caller, &filter);
        self.readers.aside(count).boxed()
    }

    fn describe(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<(Style, Timestamp, Contents)>> {
        let caller = caller.clone();
        let describe = move |connection: &_| Tables::new(connection, &caller.tenant).describe(&caller, &ns);
        self.readers.aside(describe).boxed()
    }

    fn namespaces(&self, caller: &Caller, query: NamespaceQuery) -> Answer<'_, NamespacePage> {
        let caller = caller.clone();
        let list = move |connection: &_| Tables::new(connection, &caller.tenant).namespaces(&caller, &query);
        self.readers.aside(list).boxed()
    }

    fn export<'a>(&'a self, caller: &'a Caller, export: Export, sink: Sink<crate::export::Part>) -> Answer<'a, ()> {
        let caller = caller.clone();
        let read = move |connection: &_| Tables::new(connection, &caller.tenant).export(&caller, &export, &sink);
        self.readers.streamed(&self.readers.exports, read).boxed()
    }
}

impl RelationshipStore for Sqlite {
    fn relationship<'a>(
        &'a self,
        caller: &'a Caller,
        reference: &'a Reference,
    ) -> Answer<'a, Option<(Relationship, Style)>> {
        let read = |connection: &_| Tables::new(connection, &caller.tenant).visible_relationship(caller, reference);
        std::future::ready(self.readers.here(read)).boxed()
    }

    fn relationships(
        &self,
        caller: &Caller,
        query: RelationshipQuery,
    ) -> Answer<'_, Option<(RelationshipPage, Vec<Summary>)>> {
        let caller = caller.clone();
        let list = move |connection: &_| Tables::new(connection, &caller.tenant).relationships(&caller, &query);
        self.readers.aside(list).boxed()
    }

    fn traverse<'a>(&'a self, caller: &'a Caller, traversal: Traversal, sink: Sink<Part>) -> Answer<'a, ()> {
        let caller = caller.clone();
        let walk = move |connection: &_| Tables::new(connection, &caller.tenant).traverse(&caller, &traversal, &sink);
        self.readers.streamed(&self.readers.walks, walk).boxed()
    }
}

impl Outbox for Sqlite {
    /// One process at a time has the file.
    fn vacant(&self) -> Answer<'_, ()> {
        std::future::ready(Ok(())).boxed()
    }

    fn release(&self, _: Lease) -> Answer<'_, ()> {
        std::future::ready(Ok(())).boxed()
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime, the closure of any")]
    fn lease(&self) -> Answer<'_, Lease> {
        self.writer.submit(|transaction| transaction.lease()).boxed()
    }

    fn take(&self, lease: Lease, acknowledged: Option<u64>) -> Answer<'_, Taken> {
        self.writer.submit(move |transaction| transaction.take(lease, acknowledged)).boxed()
    }

    fn wait(&self) -> BoxFuture<'_, ()> {
        self.waiting.wait().boxed()
    }

    fn backlog(&self) -> Backlog {
        self.waiting.backlog()
    }

    fn settle(&self) -> Answer<'_, ()> {
        async move {
            let last = self.writer.submit(|transaction| {
                // As in `resolve`.
                transaction.clock().ulid();
                Ok(transaction.ledger.next_sequence - 1)
            });
            self.waiting.acknowledged(last.await?).await;
            Ok(())
        }
        .boxed()
    }
}
