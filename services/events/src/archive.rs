//! The long-term event store: two Iceberg tables of Parquet files that any engine can read.
//!
//! Owns the files, their catalog and what readers see of them. Never decides who may see an event, and never
//! acknowledges one: that is the journal's. Every call blocks.

mod aggregate;
mod catalog;
mod claim;
mod columns;
mod commit;
mod compact;
mod engine;
mod error;
mod expire;
mod file;
mod names;
mod reader;
mod scan;
mod snapshot;
mod sorted;
mod store;
mod table;
mod takeover;
mod verify;
mod view;
mod wanted;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::Clock;
use iceberg::spec::Operation;
use tokio::runtime::Handle;
use ulid::Ulid;

pub use self::catalog::Address;
pub(crate) use self::{
    aggregate::{Aggregate, Aggregated, Bucket, Condition, Measure, MeasureOrder},
    catalog::Choice,
    compact::{Compacted, REST},
    error::Error,
    expire::Expired,
    names::{Archived, Name, Names},
    reader::Cost,
    scan::{Found, Scan},
    snapshot::Recent,
    sorted::Incoming,
    store::{Access, Place},
    table::Table,
    takeover::Handover,
    verify::Status,
    view::View,
    wanted::Wanted,
};
use self::{
    catalog::Catalog,
    commit::{Change, Committer, Loaded},
    engine::Engine,
    file::FileWriter,
    reader::Footers,
    store::Store,
    table::Partition,
    view::{TableView, Views},
};
use crate::journal::Identity;

/// Rows that are written between two looks at whether to stop: some milliseconds.
const STEP_ROWS: usize = 1_024;
/// The same in bytes, about: a row may have some MiB.
const STEP_BYTES: usize = 2 << 20;
/// However large, so many are taken together.
const FEWEST_ROWS: usize = 8;

/// How many rows are taken at a time, of `rows` that have so many bytes.
fn step_rows(bytes: usize, rows: usize) -> usize {
    (STEP_BYTES / (bytes / rows.max(1)).max(1)).clamp(FEWEST_ROWS, STEP_ROWS)
}

/// The archive, open in this process.
pub(crate) struct Archive {
    store: Store,
    /// One change at a time.
    catalog: Mutex<Catalog>,
    identity: Identity,
    clock: Clock,
    footers: Arc<Footers>,
    engine: Engine,
    views: Views,
    /// Shared by who writes files that no commit refers to yet; nothing is removed meanwhile.
    writing: RwLock<()>,
    /// One merge at a time: two would take the same files.
    merging: Mutex<()>,
    is_stopping: AtomicBool,
}

/// Where an archive is kept.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) catalog: Choice,
}

/// The files and the catalog of the service in `dir`, made if they are not there: the catalog is the chosen one, or
/// `catalog.db`, the files are at their place.
fn open(
    dir: &Path,
    site: &Site,
    identity: Identity,
    clock: &Clock,
    runtime: Handle,
) -> Result<(Store, Catalog), Error> {
    let catalog = Catalog::open(&site.catalog, dir, &runtime)?;
    let place = catalog.furnish(&site.place, identity, clock, &runtime)?;
    Ok((Store::open(&place, dir, runtime)?, catalog))
}

impl Archive {
    /// Opens the archive of the service in `dir`, made if it is not there. Refused if another journal feeds it.
    pub(crate) fn open(
        dir: &Path,
        site: &Site,
        identity: Identity,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self, Error> {
        let (store, catalog) = open(dir, site, identity, &clock, runtime)?;
        let committer = Committer { store: &store, catalog: &catalog, identity, clock: &clock };
        Table::ALL.into_iter().try_for_each(|table| claim::check(&committer, table))?;
        let read = |table| TableView::read(&store, committer.load(table)?);
        let views = Views::new([read(Table::Events)?, read(Table::History)?]);
        let archive = Self {
            store,
            catalog: Mutex::new(catalog),
            identity,
            clock,
            footers: Arc::default(),
            engine: Engine::new().map_err(Error::io(dir))?,
            views,
            writing: RwLock::default(),
            merging: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        };
        Table::ALL.into_iter().try_for_each(|table| archive.remove_uncommitted(table))?;
        Ok(archive)
    }

    /// What a reader sees from now on, for as long as it holds it.
    pub(crate) fn view(&self) -> Arc<View> {
        self.views.present()
    }

    /// The lowest offset of the journal that readers may still ask for.
    pub(crate) fn needed(&self) -> u64 {
        self.views.needed()
    }

    /// What the groups of one aggregate may take from now on, in bytes.
    pub(crate) fn limit_memory(&mut self, bytes: usize) {
        self.engine.memory = bytes;
    }

    /// Makes what is being written end soon, unfinished: it is done again after the next start.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.store.stop();
    }

    fn check_stopping(&self) -> Result<(), Error> {
        if self.is_stopping.load(Ordering::Relaxed) { Err(Error::Stopping) } else { Ok(()) }
    }

    /// Reads rows.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan::new(&self.store, &self.footers)
    }

    /// Adds the events of the journal from where the table ends up to `position`, which are among the incoming. When it
    /// returns, they are durable and in the view; when it fails, the view says how far the table is.
    pub(crate) fn append(&self, table: Table, incoming: &Incoming, position: u64) -> Result<(), Error> {
        self.check_stopping()?;
        let appended = self.try_append(table, incoming, position);
        if appended.is_err() {
            self.refresh(table)?;
        }
        appended
    }

    fn try_append(&self, table: Table, incoming: &Incoming, position: u64) -> Result<(), Error> {
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let present = view.table(table);
        let mut add = Vec::new();
        for (partition, rows) in incoming.partitions(table, present.position())? {
            let location = new_location(&present.loaded, partition, self.clock.ulid());
            let mut file = FileWriter::create(&self.store, table, partition.clone(), location)?;
            for rows in rows {
                self.check_stopping()?;
                file.write(&rows?)?;
            }
            add.push(file.finish()?);
        }
        let change = Change {
            id: self.clock.ulid(),
            operation: Operation::Append,
            add,
            remove: BTreeSet::new(),
            positions: Some((present.position(), position)),
            expire: Vec::new(),
            properties: HashMap::new(),
        };
        self.commit(table, &change)
    }

    /// Makes a change of a table, and shows it to readers.
    fn commit(&self, table: Table, change: &Change) -> Result<(), Error> {
        self.check_stopping()?;
        let catalog = self.catalog();
        // Views are published with the catalog in hand only, so this one is the last.
        let view = self.view();
        let present = view.table(table);
        let loaded = self.committer(&catalog).commit(table, change)?;
        let snapshot = loaded.metadata.current_snapshot();
        let parent = snapshot.and_then(|snapshot| snapshot.parent_snapshot_id());
        let follows = [parent, snapshot.map(|snapshot| snapshot.snapshot_id())]
            .contains(&present.loaded.metadata.current_snapshot_id());
        self.views.publish(if follows {
            present.changed(loaded, &change.add, &change.remove)?
        } else {
            // Another engine has changed the table in the meantime.
            TableView::read(&self.store, loaded)?
        });
        Ok(())
    }

    /// The table as the catalog has it.
    fn load(&self, table: Table) -> Result<Loaded, Error> {
        self.committer(&self.catalog()).load(table)
    }

    /// Shows readers what the catalog says.
    fn refresh(&self, table: Table) -> Result<(), Error> {
        let catalog = self.catalog();
        let loaded = self.committer(&catalog).load(table)?;
        if loaded.location != self.view().table(table).loaded.location {
            self.views.publish(TableView::read(&self.store, loaded)?);
        }
        Ok(())
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committer<'a>(&'a self, catalog: &'a Catalog) -> Committer<'a> {
        Committer { store: &self.store, catalog, identity: self.identity, clock: &self.clock }
    }
}

/// Where a new file of a partition goes, whose newest rows came into the archive when `made` says.
fn new_location(loaded: &Loaded, partition: &Partition, made: Ulid) -> String {
    let metadata = &loaded.metadata;
    let spec = metadata.default_partition_spec();
    let partition = spec.partition_to_path(&partition.to_struct(), metadata.current_schema().clone());
    format!("{}/data/{partition}/{made}.parquet", metadata.location())
}
