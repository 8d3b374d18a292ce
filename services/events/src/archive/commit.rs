//! Owns making one change of a table one snapshot of it: these files out, those in, these properties set.
//! Never decides what to change, and never touches a data file.
//!
//! A change is one compare-and-set in the catalog, so readers see all of it or nothing. It has an id that its snapshot
//! carries: whoever does not know whether a commit was done asks for it again. What a try has written is removed when the
//! catalog has said that the try is not and never will be done, or when the table shows it; else it stays, and expiry
//! removes it after its time.

mod writing;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use domain::Clock;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, Manifest, ManifestEntry, ManifestFile, ManifestList, Operation, Snapshot,
    TableMetadata, TableMetadataBuilder,
};
use ulid::Ulid;

use self::writing::Writing;
use super::{
    Error,
    catalog::{Catalog, Current, Next, Outcome},
    store::Store,
    table::{JOURNAL_EPOCH, JOURNAL_ID, Table},
};
use crate::journal::Identity;

/// The summary's entry that identifies the change which made a snapshot.
const COMMIT_ID: &str = "annals.commit-id";
/// The summary's entry that says up to which offset of the journal the table has everything; a property of the table too,
/// for when another engine has let go of all snapshots that say it.
pub(crate) const POSITION: &str = "annals.journal-offset";
/// How often a commit that lost against another writer is tried on the table as it is then.
const TRIES: usize = 5;
/// How often a commit is tried of which the catalog does not say what has become.
pub(crate) const UNANSWERED_TRIES: usize = 2;

/// A change of a table.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Identifies it: done twice, it has taken effect once.
    pub(crate) id: Ulid,
    pub(crate) operation: Operation,
    pub(crate) add: Vec<DataFile>,
    /// Paths of the files that go. Each must be in the table.
    pub(crate) remove: BTreeSet<String>,
    /// Up to which offset of the journal the table must have everything before, and has it afterwards; without, as before.
    pub(crate) positions: Option<(u64, u64)>,
    /// Snapshots that go.
    pub(crate) expire: Vec<i64>,
    /// Properties that are set. With an owner among them, the table is taken from whoever has it.
    pub(crate) properties: HashMap<String, String>,
}

/// A table as its current metadata says.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) table: Table,
    pub(crate) metadata: Arc<TableMetadata>,
    /// Where that metadata is.
    pub(crate) location: String,
    position: u64,
}

/// One try to make a change.
struct Try {
    /// From 0.
    number: usize,
    /// The snapshot that it follows.
    parent: Option<i64>,
    /// Files that it is made of.
    written: Vec<String>,
}

/// What commits are made with.
pub(crate) struct Committer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) catalog: &'a Catalog,
    pub(crate) identity: Identity,
    pub(crate) clock: &'a Clock,
}

impl Loaded {
    fn new(table: Table, current: Current) -> Result<Self, Error> {
        let Current { metadata, location } = current;
        let position = match (metadata.current_snapshot(), placed(&metadata)) {
            (None, _) => 0,
            (Some(_), Some((position, _))) => position,
            (Some(_), None) => {
                let position = metadata.properties().get(POSITION).and_then(|position| position.parse().ok());
                position.ok_or_else(|| Error::Unplaced { location: location.clone() })?
            }
        };
        Ok(Self { table, metadata: Arc::new(metadata), location, position })
    }

    /// Up to which offset of the journal the table has everything.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The snapshot that says so, if one does.
    pub(crate) fn placed(&self) -> Option<i64> {
        placed(&self.metadata).map(|(_, snapshot)| snapshot)
    }

    /// Its manifests.
    pub(crate) fn manifests(&self, store: &Store) -> Result<Vec<ManifestFile>, Error> {
        let Some(snapshot) = self.metadata.current_snapshot() else { return Ok(Vec::new()) };
        manifests_of(store, snapshot)
    }
}

/// The manifests of a snapshot.
pub(crate) fn manifests_of(store: &Store, snapshot: &Snapshot) -> Result<Vec<ManifestFile>, Error> {
    let list = ManifestList::parse_with_version(&store.get(snapshot.manifest_list())?, FormatVersion::V2)?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The entries of a manifest, with what they inherit from it.
pub(crate) fn entries_of(store: &Store, manifest: &ManifestFile) -> Result<Vec<ManifestEntry>, Error> {
    let (entries, _) = Manifest::parse_avro(&store.get(&manifest.manifest_path)?)?.into_parts();
    let inherit = |entry: Arc<ManifestEntry>| {
        let mut entry = Arc::unwrap_or_clone(entry);
        entry.snapshot_id.get_or_insert(manifest.added_snapshot_id);
        entry.sequence_number.get_or_insert(manifest.sequence_number);
        entry.file_sequence_number.get_or_insert(manifest.sequence_number);
        entry
    };
    Ok(entries.into_iter().map(inherit).collect())
}

impl Committer<'_> {
    /// The table as it is now, made if it is not there; refused if another journal feeds it.
    pub(crate) fn load(&self, table: Table) -> Result<Loaded, Error> {
        let current = if let Some(current) = self.catalog.load(self.store, table.name())? {
            current
        } else {
            let metadata = table.create(self.store.base(), self.identity)?;
            let made = self.catalog.create(self.store, table.name(), &metadata);
            // Without an answer it may be there all the same.
            match self.catalog.load(self.store, table.name())? {
                Some(current) => current,
                None => return made.and(Err(Error::Conflict { table: table.name() })),
            }
        };
        let loaded = Loaded::new(table, current)?;
        self.check_owner(&loaded)?;
        Ok(loaded)
    }

    /// The table as it is now, whoever feeds it; nothing if there is none.
    pub(crate) fn find(&self, table: Table) -> Result<Option<Loaded>, Error> {
        let current = self.catalog.load(self.store, table.name())?;
        current.map(|current| Loaded::new(table, current)).transpose()
    }

    /// Makes a change, on the table as it is then. When it returns, readers and the next start see it.
    pub(crate) fn commit(&self, table: Table, change: &Change) -> Result<Loaded, Error> {
        let mut unanswered: Vec<Try> = Vec::new();
        for number in 0..TRIES {
            let loaded = if change.properties.contains_key(JOURNAL_ID) {
                self.find(table)?.ok_or(Error::Conflict { table: table.name() })?
            } else {
                self.load(table)?
            };
            self.settle(&mut unanswered, &loaded, change);
            if is_done(&loaded.metadata, change) {
                return Ok(loaded);
            }
            if change.positions.is_some_and(|(from, _)| from != loaded.position()) {
                return Err(Error::Conflict { table: table.name() });
            }
            let mut this = Try { number, parent: loaded.metadata.current_snapshot_id(), written: Vec::new() };
            match self.try_commit(&loaded, change, &mut this) {
                Ok(Outcome::Done(current)) => {
                    let done = Loaded::new(table, *current)?;
                    self.settle(&mut unanswered, &done, change);
                    return Ok(done);
                }
                Ok(Outcome::Lost) => self.remove(&this.written),
                Ok(Outcome::Unknown(error)) => {
                    metrics::counter!("annals_archive_unanswered_commits_total").increment(1);
                    unanswered.push(this);
                    if unanswered.len() == UNANSWERED_TRIES {
                        return Err(error);
                    }
                    tracing::warn!(
                        table = table.name(),
                        error = &error as &dyn std::error::Error,
                        "a commit is unanswered"
                    );
                }
                Err(error) => {
                    self.remove(&this.written);
                    return Err(error);
                }
            }
        }
        Err(Error::Conflict { table: table.name() })
    }

    fn check_owner(&self, loaded: &Loaded) -> Result<(), Error> {
        let properties = loaded.metadata.properties();
        let named = |property| properties.get(property).map_or("", String::as_str);
        let expected = (named(JOURNAL_ID), named(JOURNAL_EPOCH));
        let found = (self.identity.id.to_string(), self.identity.epoch.to_string());
        if expected == (found.0.as_str(), found.1.as_str()) {
            return Ok(());
        }
        let text = |(id, epoch): (&str, &str)| format!("{id} epoch {epoch}");
        Err(Error::Mismatch { expected: text(expected), found: text((&found.0, &found.1)) })
    }

    fn try_commit(&self, loaded: &Loaded, change: &Change, this: &mut Try) -> Result<Outcome, Error> {
        let next = self.next(loaded, change, this)?;
        self.store.sync()?;
        let previous = Current { metadata: loaded.metadata.as_ref().clone(), location: loaded.location.clone() };
        self.catalog.commit(self.store, loaded.table.name(), &previous, next)
    }

    /// Removes what was written for tries that the table shows not to be done, nor ever to be: it has gone on from the
    /// snapshot that they were made for, and another try was done, or none.
    fn settle(&self, unanswered: &mut Vec<Try>, loaded: &Loaded, change: &Change) {
        let done = snapshot_of(&loaded.metadata, change.id).map(Snapshot::manifest_list);
        unanswered.retain(|one| {
            let is_open = one.parent == loaded.metadata.current_snapshot_id();
            let is_done = one.written.iter().any(|file| Some(file.as_str()) == done);
            if !is_open && !is_done {
                self.remove(&one.written);
            }
            is_open
        });
    }

    /// Removes files that nothing refers to; what cannot be removed now is removed by expiry.
    fn remove(&self, written: &[String]) {
        for location in written {
            if let Err(error) = self.store.delete(location) {
                tracing::warn!(location, error = &error as &dyn std::error::Error, "a file stays until it expires");
            }
        }
    }

    /// The metadata after the change; adds to the try what it has written beside it.
    fn next(&self, loaded: &Loaded, change: &Change, this: &mut Try) -> Result<Next, Error> {
        let previous = Arc::clone(&loaded.metadata);
        let now = self.clock.now().millis().max(previous.last_updated_ms());
        let builder = TableMetadata::clone(&previous).into_builder(Some(loaded.location.clone()));
        let builder = builder.remove_snapshots(&change.expire);
        let mut properties = change.properties.clone();
        if let Some((_, position)) = change.positions {
            properties.insert(POSITION.to_owned(), position.to_string());
        }
        let builder = builder.set_properties(properties)?;
        if change.is_without_snapshot() {
            return built(builder);
        }
        let snapshot = Writing::new(self, loaded, change, this).snapshot(now)?;
        built(builder.set_branch_snapshot(snapshot, MAIN_BRANCH)?)
    }
}

impl Change {
    /// Whether it leaves the rows as they are, and up to where they are there. A change of owner makes a snapshot all the
    /// same: a REST catalog refuses the old owner's commits only because they follow another one.
    fn is_without_snapshot(&self) -> bool {
        let is_about_metadata = !self.expire.is_empty() || !self.properties.is_empty();
        let is_of_owner = self.properties.contains_key(JOURNAL_ID);
        is_about_metadata && !is_of_owner && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Whether a change has been made.
fn is_done(metadata: &TableMetadata, change: &Change) -> bool {
    if !change.expire.is_empty() {
        return change.expire.iter().all(|id| metadata.snapshot_by_id(*id).is_none());
    }
    if !change.properties.is_empty() {
        return change.properties.iter().all(|(name, value)| metadata.properties().get(name) == Some(value));
    }
    snapshot_of(metadata, change.id).is_some()
}

/// What the newest snapshot of ours says that the current one follows, and which that is: other engines, which may merge
/// files as well, say nothing.
fn placed(metadata: &TableMetadata) -> Option<(u64, i64)> {
    let before = |snapshot: &&Arc<Snapshot>| metadata.snapshot_by_id(snapshot.parent_snapshot_id()?);
    std::iter::successors(metadata.current_snapshot(), before).find_map(|snapshot| {
        let position = snapshot.summary().additional_properties.get(POSITION)?;
        Some((position.parse().ok()?, snapshot.snapshot_id()))
    })
}

/// The snapshot that a change has made.
fn snapshot_of(metadata: &TableMetadata, id: Ulid) -> Option<&Snapshot> {
    let id = id.to_string();
    let mut snapshots = metadata.snapshots().map(Arc::as_ref);
    snapshots.find(|snapshot| snapshot.summary().additional_properties.get(COMMIT_ID) == Some(&id))
}

fn built(builder: TableMetadataBuilder) -> Result<Next, Error> {
    let built = builder.build()?;
    Ok(Next { metadata: built.metadata, updates: built.changes })
}
