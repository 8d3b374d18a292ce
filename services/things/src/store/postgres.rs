//! The store of many processes: PostgreSQL, version 16 or later, with row level security on every table.
//!
//! What a tenant asks for is done in a transaction of that tenant (`tenant`), a group of writes in one (`lanes`, `write`), and of reads
//! (`reads`).
//! Owns the only use of sqlx here. Never decides what a change does.

mod ends;
mod export;
mod failure;
mod imports;
mod lanes;
mod links;
mod lists;
mod load;
mod migrate;
mod names;
mod namespaces;
mod outbox;
mod picture;
mod reads;
mod requests;
mod rows;
mod save;
mod schemas;
#[cfg(test)]
pub(super) mod tampering;
mod tenant;
mod walk;
mod write;

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::Context as _;
use domain::{Clock, EntityKind, Key, Name, Namespace, Reference, Relationship, Style, Timestamp};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::convert::WriteResult;
use serve::health::Readiness;
use serve::page::Seal;
use serve::{Caller, Refusal, Tasks};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Semaphore;
use ulid::Ulid;

use self::failure::Failure;
use self::lanes::Lanes;
use self::outbox::Waiting;
use self::picture::Picture;
use self::reads::Reads;
use self::tenant::{Pool, Purpose, TenantTx};
use super::facts::Facts as _;
use super::{
    Answer, Backlog, Contents, Lease, NamespacePage, NamespaceQuery, Outbox, Read, RelationshipPage, RelationshipQuery,
    RelationshipStore, Resolved, Taken, ThingFilter, ThingPage, ThingQuery, ThingStore, Wanted,
};
use crate::atomic::Terms;
use crate::change::{Applied, Write};
use crate::export::Export;
use crate::naming::{self, Target};
use crate::refuse;
use crate::stream::{Sink, Turns};
use crate::summary::Summary;
use crate::traverse::{Part, Traversal};

/// Reads that look at all of a namespace at a time: so many of the connections are never theirs that others wait for none.
const LONG_READS: usize = 4;

/// A database.
pub(super) struct Postgres {
    pool: Pool,
    reads: Arc<Reads>,
    lanes: Arc<Lanes>,
    waiting: Arc<Waiting>,
    clock: Clock,
    relay: Ulid,
    /// Turns of reads that look at all of a namespace.
    long: Semaphore,
    exports: Turns,
    walks: Turns,
}

/// Brings the tables of a database to this version, and says how many migrations that took.
pub(super) async fn migrate(url: &str) -> anyhow::Result<usize> {
    migrate::migrate(&options(url)?).await
}

/// Opens a database whose tables are of this version.
pub(super) async fn open(url: &str, clock: Clock, readiness: Readiness, tasks: &Tasks) -> anyhow::Result<Postgres> {
    let pool = Pool::new(options(url)?);
    let mut tx = pool.check().await.context("the database cannot be reached")?;
    migrate::check(&mut tx).await?;
    drop(tx);
    let refused = |failure| anyhow::anyhow!("{}", Refusal::from(failure));
    let relay = outbox::relay(&pool).await.map_err(refused)?;
    let waiting = Arc::new(Waiting::default());
    waiting.found(outbox::count(&pool).await.map_err(refused)?);
    let lanes = Lanes::start(pool.clone(), clock.clone(), Arc::clone(&waiting), readiness, tasks);
    Ok(Postgres {
        reads: Reads::new(pool.clone(), tasks),
        pool,
        lanes,
        waiting,
        clock,
        relay,
        long: Semaphore::new(LONG_READS),
        exports: Turns::of_exports(),
        walks: Turns::of_walks(),
    })
}

/// The scheme alone is ours; everything else is as libpq has it.
fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    PgConnectOptions::from_str(url).context("it is no address of PostgreSQL")
}

impl Postgres {
    /// What page tokens are sealed with: the id of the relay is random, is made with the database, and goes to events only.
    pub(super) fn seal(&self) -> Seal {
        Seal::new(&self.relay.to_bytes())
    }

    async fn resolve_name(
        &self,
        caller: &Caller,
        reference: &Reference,
        kind: EntityKind,
    ) -> Result<Option<Resolved>, Failure> {
        // Those of this process that were asked for before; who is in another holds the name until it has committed.
        self.lanes.turn(&caller.tenant).await?;
        let mut tx = self.pool.tenant(&caller.tenant, Purpose::Write).await?;
        let mut picture = Picture::default();
        let now = self.clock.now();
        picture.load_namespaces(&mut tx, naming::candidates(reference)).await?;
        let mut target = picture.place(reference, "key")?.for_read();
        if target.is_none() {
            // Whoever makes a namespace's first name registers it with that; behind them it is looked again.
            write::alone_in_place(&mut tx, reference).await?;
            picture = Picture::default();
            picture.load_namespaces(&mut tx, naming::candidates(reference)).await?;
            target = picture.place(reference, "key")?.for_read();
        }
        if let Some(Target { key, .. }) = target {
            // Undone with the transaction.
            picture.lock_names(&mut tx, BTreeSet::from([(kind, key.clone())])).await?;
            let depends_on = picture.load_what_is_there(&mut tx, kind, &key).await?;
            picture.load_names(&mut tx, depends_on.into_iter().map(|name| (EntityKind::Thing, name.into()))).await?;
        }
        // While the name is held: whoever writes it next draws its ULID at the database's time or later.
        outbox::pass(tx.connection(), &self.clock, now).await?;
        picture.resolve(caller, reference, kind)
    }
}

impl Picture {
    /// The state of a name, and the things without which nobody sees it.
    async fn load_what_is_there(
        &mut self,
        tx: &mut TenantTx,
        kind: EntityKind,
        key: &Key,
    ) -> Result<Vec<Name>, Failure> {
        match kind {
            EntityKind::Thing => {
                self.load_things(tx, [key.clone()], false).await?;
                Ok((!key.variant.is_canonical()).then(|| key.name()).into_iter().collect())
            }
            EntityKind::Relationship => {
                self.load_relationships(tx, [key.name()]).await?;
                match self.relationship(&key.name())? {
                    Some(found) => Ok(vec![found.relationship.body.from, found.relationship.body.to]),
                    None => self.last_ends(&key.name()),
                }
            }
        }
    }
}

impl ThingStore for Postgres {
    fn write(&self, write: Write) -> Answer<'_, Vec<Result<Applied, Refusal>>> {
        async move {
            if self.waiting.backlog().is_full() {
                write.sequence.end();
                return Err(refuse::outbox_full());
            }
            self.lanes.write(write).await
        }
        .boxed()
    }

    fn imported(&self, caller: &Caller, import_id: Arc<str>) -> Answer<'_, u64> {
        let caller = caller.clone();
        async move {
            // Those of this process that were asked for before.
            self.lanes.turn(&caller.tenant).await?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(imports::imported(&mut tx, &caller.principal, &import_id, self.clock.now()).await?)
        }
        .boxed()
    }

    fn write_atomic(&self, write: Write, terms: Terms) -> Answer<'_, Vec<WriteResult>> {
        async move {
            if self.waiting.backlog().is_full() {
                return Err(refuse::outbox_full());
            }
            self.lanes.write_atomic(write, terms).await
        }
        .boxed()
    }

    fn resolve(&self, caller: &Caller, reference: Reference, kind: EntityKind) -> Answer<'_, Option<Resolved>> {
        let caller = caller.clone();
        async move { Ok(self.resolve_name(&caller, &reference, kind).await?) }.boxed()
    }

    fn read<'a>(&'a self, caller: &'a Caller, wanted: &'a Wanted) -> Answer<'a, Vec<Read>> {
        self.reads.read(caller, wanted).boxed()
    }

    fn list(&self, caller: &Caller, query: ThingQuery) -> Answer<'_, ThingPage> {
        let caller = caller.clone();
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(lists::things(&mut tx, &caller, &query).await?)
        }
        .boxed()
    }

    fn count(&self, caller: &Caller, filter: ThingFilter) -> Answer<'_, u64> {
        let caller = caller.clone();
        async move {
            let _turn = self.long.acquire().await.map_err(|_| refuse::store_unavailable())?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(lists::count(&mut tx, &caller, &filter).await?)
        }
        .boxed()
    }

    fn describe(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<(Style, Timestamp, Contents)>> {
        let caller = caller.clone();
        async move {
            let _turn = self.long.acquire().await.map_err(|_| refuse::store_unavailable())?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(namespaces::describe(&mut tx, &caller, &ns).await?)
        }
        .boxed()
    }

    fn namespaces(&self, caller: &Caller, query: NamespaceQuery) -> Answer<'_, NamespacePage> {
        let caller = caller.clone();
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(namespaces::list(&mut tx, &caller, &query).await?)
        }
        .boxed()
    }

    fn export<'a>(&'a self, caller: &'a Caller, export: Export, sink: Sink<crate::export::Part>) -> Answer<'a, ()> {
        async move {
            let _turn = self.exports.take().await?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(export::export(&mut tx, caller, &export, &sink).await?)
        }
        .boxed()
    }
}

impl RelationshipStore for Postgres {
    fn relationship<'a>(
        &'a self,
        caller: &'a Caller,
        reference: &'a Reference,
    ) -> Answer<'a, Option<(Relationship, Style)>> {
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            let mut picture = Picture::default();
            picture.load_namespaces(&mut tx, naming::candidates(reference)).await?;
            if let Some(Target { key, .. }) = picture.place(reference, "key").map_err(Refusal::from)?.for_read() {
                picture.load_relationships(&mut tx, [key.name()]).await?;
            }
            Ok(picture.visible_relationship(caller, reference)?)
        }
        .boxed()
    }

    fn relationships(
        &self,
        caller: &Caller,
        query: RelationshipQuery,
    ) -> Answer<'_, Option<(RelationshipPage, Vec<Summary>)>> {
        let caller = caller.clone();
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(ends::relationships(&mut tx, &caller, &query).await?)
        }
        .boxed()
    }

    fn traverse<'a>(&'a self, caller: &'a Caller, traversal: Traversal, sink: Sink<Part>) -> Answer<'a, ()> {
        async move {
            let _turn = self.walks.take().await?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(walk::traverse(&mut tx, caller, &traversal, &sink).await?)
        }
        .boxed()
    }
}

impl Outbox for Postgres {
    fn vacant(&self) -> Answer<'_, ()> {
        async move { Ok(outbox::vacant(&self.pool, &self.waiting).await?) }.boxed()
    }

    fn release(&self, lease: Lease) -> Answer<'_, ()> {
        async move { Ok(outbox::release(&self.pool, lease).await?) }.boxed()
    }

    fn lease(&self) -> Answer<'_, Lease> {
        async move { Ok(outbox::lease(&self.pool).await?) }.boxed()
    }

    fn take(&self, lease: Lease, acknowledged: Option<u64>) -> Answer<'_, Taken> {
        async move { Ok(outbox::take(&self.pool, &self.waiting, lease, acknowledged).await?) }.boxed()
    }

    fn wait(&self) -> BoxFuture<'_, ()> {
        self.waiting.wait().boxed()
    }

    fn backlog(&self) -> Backlog {
        self.waiting.backlog()
    }

    fn settle(&self) -> Answer<'_, ()> {
        async move {
            let last = self.lanes.settle().await?;
            Ok(outbox::acknowledged(&self.pool, &self.waiting, last).await?)
        }
        .boxed()
    }
}
