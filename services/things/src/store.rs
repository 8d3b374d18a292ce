//! The seam to the database: what every backend must do, in words. `conformance` executes it.
//!
//! Owns the contracts and the choice of a backend by URL. Never decides what a write does: backends gather facts,
//! hand them to the plans of the verbs (`put`, `patch`, `delete`, `relationships`, `namespaces`, `schemas`) and store the result.

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod differential;
mod encoding;
mod facts;
mod filling;
mod filter;
#[cfg(test)]
mod isolation;
mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use domain::{
    Clock, EntityKind, Key, Name, Namespace, Reference, Relationship, Style, Thing, Timestamp, TypeName, Visibility,
};
use futures::future::BoxFuture;
use proto::convert::WriteResult;
use serve::health::Readiness;
use serve::page::Seal;
use serve::{Caller, Refusal, Tasks};
use ulid::Ulid;

use crate::atomic::Terms;
use crate::change::{Applied, Write};
use crate::export::{self, Export};
use crate::schema::{Registered, Schema};
use crate::schemas::Broken;
use crate::stream::Sink;
use crate::summary::Summary;
use crate::traverse::{Part, Traversal};
pub(crate) use filter::{After, NamespaceQuery, Order, RelationshipScan, Scope, ThingFilter, ThingQuery};

/// The future of a call to the store. It may be dropped; a write that was taken is then still carried out.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Refusal>>;

/// Things and namespaces, of every tenant. What a call says about a tenant is about the caller's.
///
/// Where the database cannot be read or written (disk full, I/O error) each call is refused with `STORE_UNAVAILABLE`,
/// keeps nothing, and works again when that has passed.
pub(crate) trait ThingStore: Send + Sync {
    /// Carries out changes in one transaction, durable when it answers. Each change is answered for itself. Writes are
    /// serial: each sees all of those before it and nothing of those after it. One whose sequence has ended is refused, and
    /// one that is refused as a whole ends its own. Where it is part of an import, that is noted with it; `IMPORT_OUT_OF_ORDER` if it
    /// does not begin at what was committed of the import.
    /// `OVERLOADED` while the outbox is full.
    fn write(&self, write: Write) -> Answer<'_, Vec<Result<Applied, Refusal>>>;

    /// How many rows of an import of the caller are committed; none of one that is not known, or to which nothing came for 24 hours.
    fn imported(&self, caller: &Caller, import_id: Arc<str>) -> Answer<'_, u64>;

    /// Carries out changes in one transaction, durable when it answers, all or none: the first one that is refused refuses
    /// them all, and the refusal says which it was. What is asked for once and was carried out is answered as it was then.
    /// Serial with other writes; `OVERLOADED` while the outbox is full.
    fn write_atomic(&self, write: Write, terms: Terms) -> Answer<'_, Vec<WriteResult>>;

    /// What a name stands for, its newest mutation, and whether the caller may see that it exists. Waits for every
    /// write that was asked for before, and no write after it draws a ULID at or below the present time of the clock.
    fn resolve(&self, caller: &Caller, reference: Reference, kind: EntityKind) -> Answer<'_, Option<Resolved>>;

    /// The visible ones of some things, at one moment, in order.
    fn read<'a>(&'a self, caller: &'a Caller, wanted: &'a Wanted) -> Answer<'a, Vec<Read>>;

    /// A page of the things that the caller may see listed and that pass the filter, in the order that is asked for.
    fn list(&self, caller: &Caller, query: ThingQuery) -> Answer<'_, ThingPage>;

    /// How many things the caller may see listed that pass the filter, at one moment.
    fn count(&self, caller: &Caller, filter: ThingFilter) -> Answer<'_, u64>;

    /// How and since when a namespace is registered, and what it has, at one moment; `None` if it is not.
    fn describe(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<(Style, Timestamp, Contents)>>;

    /// A page of the namespaces that the caller may read, by name as bytes.
    fn namespaces(&self, caller: &Caller, query: NamespaceQuery) -> Answer<'_, NamespacePage>;

    /// Gives, at one moment, the namespaces that the caller may read, and the things and relationships that they may see listed.
    /// `OVERLOADED` while too many such answers are under way.
    fn export<'a>(&'a self, caller: &'a Caller, export: Export, sink: Sink<export::Part>) -> Answer<'a, ()>;
}

/// Schemas of types, of every tenant. They are written through [`ThingStore::write`]: after that no thing breaks one, whoever
/// writes at the same time.
pub(crate) trait SchemaStore: Send + Sync {
    /// The schema of a type.
    fn schema(&self, caller: &Caller, ns: Namespace, thing_type: TypeName) -> Answer<'_, Option<Registered>>;

    /// Those of a namespace, by type as bytes; `None` if it is not registered.
    fn schemas(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<Vec<Registered>>>;

    /// The first things of a type, by name as bytes, that would break a schema, at a moment after the call; and from which
    /// ULID on mutations may be later than that moment. Looks at all things of the namespace.
    fn check(
        &self,
        caller: &Caller,
        ns: Namespace,
        thing_type: TypeName,
        schema: Arc<Schema>,
    ) -> Answer<'_, (Vec<Broken>, Ulid)>;
}

/// Relationships, of every tenant. They are written through [`ThingStore::write`].
pub(crate) trait RelationshipStore: Send + Sync {
    /// One relationship, if the caller may see itself and both its ends.
    fn relationship<'a>(
        &'a self,
        caller: &'a Caller,
        reference: &'a Reference,
    ) -> Answer<'a, Option<(Relationship, Style)>>;

    /// A page of the relationships at one thing that the caller may see listed, with both ends, by name as bytes, and what is at
    /// their other ends, if that is asked for. `None` if the caller may not see the thing.
    fn relationships(
        &self,
        caller: &Caller,
        query: RelationshipQuery,
    ) -> Answer<'_, Option<(RelationshipPage, Vec<Summary>)>>;

    /// Gives what a walk from a thing reaches, at one moment: through relationships and things that the caller may see listed.
    /// `NOT_FOUND` if they may not see the thing; `OVERLOADED` while too many such answers are under way.
    fn traverse<'a>(&'a self, caller: &'a Caller, traversal: Traversal, sink: Sink<Part>) -> Answer<'a, ()>;
}

/// Mutations on their way to events.
pub(crate) trait Outbox: Send + Sync {
    /// Returns once nobody has the lease, or whoever has it has not taken anything for seconds.
    fn vacant(&self) -> Answer<'_, ()>;

    /// Takes the relay's lease; whoever had it before can take and acknowledge no more.
    fn lease(&self) -> Answer<'_, Lease>;

    /// Deletes the batch `acknowledged`, if given, and gives the oldest one that is not acknowledged: the same rows
    /// under the same number, whatever happens in between. Batches are numbered 1 and up without gap.
    fn take(&self, lease: Lease, acknowledged: Option<u64>) -> Answer<'_, Taken>;

    /// Gives the lease back, if it is still this one, so that another need not wait for it.
    fn release(&self, lease: Lease) -> Answer<'_, ()>;

    /// Returns when there may be something to take that was not there before the last [`Outbox::take`]; now and then also
    /// where there is nothing, if whoever has a lease has to show that.
    fn wait(&self) -> BoxFuture<'_, ()>;

    /// What has been committed and not acknowledged.
    fn backlog(&self) -> Backlog;

    /// Returns once all that was committed before the call has been acknowledged. Waits for every write that was asked
    /// for before, and no write after it draws a ULID at or below the present time of the clock.
    fn settle(&self) -> Answer<'_, ()>;
}

/// The four of one backend, and what page tokens are sealed with: made with the database, so that it outlives a process.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) seal: Seal,
    pub(crate) things: Arc<dyn ThingStore>,
    pub(crate) relationships: Arc<dyn RelationshipStore>,
    pub(crate) schemas: Arc<dyn SchemaStore>,
    pub(crate) outbox: Arc<dyn Outbox>,
}

impl Store {
    fn of<B: ThingStore + RelationshipStore + SchemaStore + Outbox + 'static>(seal: Seal, backend: Arc<B>) -> Self {
        Self {
            seal,
            things: backend.clone(),
            relationships: backend.clone(),
            schemas: backend.clone(),
            outbox: backend,
        }
    }
}

/// Opens the backend that `url` names: `sqlite:FILE`, whose tables are created or migrated, or `postgres://…`, whose tables
/// [`migrate`] has made. Its threads and tasks belong to `tasks`.
/// Whether it can be written is told to `readiness`.
pub(crate) async fn open(url: &str, clock: Clock, readiness: Readiness, tasks: &Tasks) -> anyhow::Result<Store> {
    match url.split_once(':') {
        Some(("sqlite", file)) => {
            let backend = sqlite::open(Path::new(file), clock, readiness, tasks).await;
            let backend = Arc::new(backend.with_context(|| format!("{file} cannot be opened"))?);
            let seal = backend.seal();
            Ok(Store::of(seal, backend))
        }
        Some(("postgres" | "postgresql", _)) => {
            let backend = postgres::open(url, clock, readiness, tasks).await;
            let backend = Arc::new(backend.context("things_store: the database cannot be opened")?);
            let seal = backend.seal();
            Ok(Store::of(seal, backend))
        }
        _ => anyhow::bail!("things_store: {NO_STORE}"),
    }
}

/// Brings the tables that `url` names to this version, and says how many migrations that took. A file is also migrated when
/// it is opened.
pub(crate) async fn migrate(url: &str) -> anyhow::Result<usize> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => postgres::migrate(url).await,
        Some(("sqlite", _)) => anyhow::bail!("things_store: a file is migrated when it is opened"),
        _ => anyhow::bail!("things_store: {NO_STORE}"),
    }
}

/// Without the address, which may have a password in it.
const NO_STORE: &str = "must be sqlite:FILE or postgres://USER@HOST/DATABASE";

/// Which things to read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Their names, each with the field that is named where it breaks a rule.
    pub(crate) names: Vec<(Reference, String)>,
    /// Whether with embeddings.
    pub(crate) with_embedding: bool,
    /// How many bytes of visible things to read; the first is always read.
    pub(crate) room: usize,
}

/// What became of one wanted thing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Read {
    /// Here it is, with the style of its namespace.
    Found(Box<Thing>, Style),
    /// There is none that the caller may see.
    Missing,
    /// The room was used up before.
    Unread,
}

/// Which relationships to list.
#[derive(Clone, Debug)]
pub(crate) struct RelationshipQuery {
    pub(crate) thing: Reference,
    pub(crate) direction: Direction,
    pub(crate) relationship_type: Option<TypeName>,
    pub(crate) after: Option<Name>,
    pub(crate) limit: usize,
    pub(crate) room: usize,
    /// Rows to look at; at least one.
    pub(crate) scan: usize,
    /// Whether what is at the other ends is read too.
    pub(crate) with_others: bool,
}

impl RelationshipQuery {
    /// The things at the other ends of relationships at `thing`.
    fn others<'a>(&self, thing: &'a Name, page: &'a RelationshipPage) -> Vec<&'a Name> {
        let listed = if self.with_others { page.items.as_slice() } else { &[] };
        listed
            .iter()
            .map(|(found, _)| if found.body.from == *thing { &found.body.to } else { &found.body.from })
            .collect()
    }
}

/// Which end of a relationship a thing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Both,
    Outgoing,
    Incoming,
}

/// Some rows of a list: as many as fit, or fewer where enough rows have been looked at.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Page<T, P> {
    pub(crate) items: Vec<T>,
    /// After what the next page begins, visible or not; `None` where no visible row can follow.
    pub(crate) next: Option<P>,
}

/// Some things, each with the style of its namespace.
pub(crate) type ThingPage = Page<(Thing, Style), After>;
/// Some namespaces, each with its style and since when it is registered.
pub(crate) type NamespacePage = Page<(Namespace, Style, Timestamp), Namespace>;
/// Some relationships, each with the style of its namespace.
pub(crate) type RelationshipPage = Page<(Relationship, Style), Name>;

/// A resolved name that the caller may know of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolved {
    pub(crate) key: Key,
    pub(crate) style: Style,
    pub(crate) exists: bool,
    /// Of the present state, or of a deleted name's last one.
    pub(crate) visibility: Visibility,
    pub(crate) last: Ulid,
}

/// What a namespace has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Contents {
    /// Each variant too.
    pub(crate) things: u64,
    /// Where the caller reads every namespace: an end may be hidden from others. To these the times are of things alone.
    pub(crate) relationships: Option<u64>,
    /// When the oldest of them was created.
    pub(crate) first: Option<Timestamp>,
    /// The newest mutation of a name of it, a deletion too.
    pub(crate) last: Option<Ulid>,
}

/// The right to relay, until somebody else takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    /// Made with the database.
    pub(crate) relay: Ulid,
    pub(crate) epoch: i64,
}

/// What a relay is given to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Send these.
    Batch(Batch),
    /// There is nothing to send.
    Nothing,
    /// Somebody else has taken the lease.
    LeaseLost,
}

/// Mutations that are sent together, at most [`Batch::MAX_EVENTS`] and [`Batch::MAX_BYTES`], or one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    /// Each an encoded `annals.events.v1.Event`.
    pub(crate) payloads: Vec<Bytes>,
}

impl Batch {
    /// The most that events takes in one batch.
    pub(crate) const MAX_EVENTS: usize = 10_000;
    /// A quarter of what events takes from a peer: one more event of the largest kind still fits.
    pub(crate) const MAX_BYTES: usize = 8 << 20;
}

/// What waits for events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Backlog {
    /// The most rows that may wait; then writes are refused.
    pub(crate) const MAX_ROWS: u64 = 1_000_000;
    /// The most bytes that may wait; then writes are refused.
    pub(crate) const MAX_BYTES: u64 = 2 << 30;

    /// Whether writes are refused. A group of writes that began before goes through, so the bound is soft by one.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= Self::MAX_ROWS || self.bytes >= Self::MAX_BYTES
    }
}
