//! Owns making one change of a table one snapshot of it: these files out, those in, these properties set.
//! Never decides what to change, and never touches a data file.
//!
//! A change is one compare-and-set in the catalog, so readers see all of it or nothing. It has an id that its snapshot
//! carries: whoever does not know whether a commit was done asks for it again. What a try has written is removed when the
//! catalog has said that the try is not and never will be done, or when the table shows it; else it stays, and expiry
//! removes it after its time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use domain::Clock;
use iceberg::{
    io::{MemoryStorage, OutputFile, Storage as _},
    spec::{
        DataFile, FormatVersion, MAIN_BRANCH, Manifest, ManifestEntry, ManifestFile, ManifestList, ManifestListWriter,
        ManifestStatus, ManifestWriter, ManifestWriterBuilder, Operation, Snapshot, Summary, TableMetadata,
        TableMetadataBuilder,
    },
};
use ulid::Ulid;

use super::{
    Error,
    catalog::{Catalog, Current, Next, Outcome},
    store::Store,
    table::{JOURNAL_EPOCH, JOURNAL_ID, Table},
};
use crate::journal::Identity;

/// The summary's entry that identifies the change which made a snapshot.
const COMMIT_ID: &str = "annals.commit-id";
/// The summary's entry that says up to which offset of the journal the table has everything.
pub(crate) const POSITION: &str = "annals.journal-offset";
/// A manifest below this many bytes is merged with others.
const SMALL_MANIFEST: i64 = 4 << 20;
/// So many small manifests may stand beside each other.
const SMALL_MANIFESTS: usize = 8;
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
    fn new(table: Table, current: Current) -> Self {
        Self { table, metadata: Arc::new(current.metadata), location: current.location }
    }

    /// Up to which offset of the journal the table has everything.
    pub(crate) fn position(&self) -> u64 {
        let snapshot = self.metadata.current_snapshot();
        let position = snapshot.and_then(|snapshot| snapshot.summary().additional_properties.get(POSITION));
        position.and_then(|position| position.parse().ok()).unwrap_or(0)
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
        let loaded = Loaded::new(table, current);
        self.check_owner(&loaded)?;
        Ok(loaded)
    }

    /// The table as it is now, whoever feeds it; nothing if there is none.
    pub(crate) fn find(&self, table: Table) -> Result<Option<Loaded>, Error> {
        let current = self.catalog.load(self.store, table.name())?;
        Ok(current.map(|current| Loaded::new(table, current)))
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
                    let done = Loaded::new(table, *current);
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
        let builder = builder.set_properties(change.properties.clone())?;
        if change.is_without_snapshot() {
            return built(builder);
        }
        // 63 of the id's random bits.
        let snapshot_id = (change.id.0 as u64 >> 1) as i64;
        let mut writing = Writing { committer: self, loaded, snapshot_id, change, this };
        let manifests = writing.manifests()?;
        let number = writing.this.number;
        let list = format!("{}/metadata/snap-{snapshot_id}-{number}-{}.avro", previous.location(), change.id);
        let sequence_number = previous.next_sequence_number();
        let parent = previous.current_snapshot_id();
        writing.put(&list, |output| async move {
            let mut list = ManifestListWriter::v2(output.writer().await?, snapshot_id, parent, sequence_number);
            list.add_manifests(manifests.into_iter())?;
            list.close().await
        })?;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(now)
            .with_manifest_list(list)
            .with_summary(summary(loaded, change, &writing.removed()?))
            .with_schema_id(previous.current_schema_id())
            .build();
        built(builder.set_branch_snapshot(snapshot, MAIN_BRANCH)?)
    }
}

/// One snapshot that is being written.
struct Writing<'a, 'b> {
    committer: &'a Committer<'a>,
    loaded: &'a Loaded,
    snapshot_id: i64,
    change: &'a Change,
    this: &'b mut Try,
}

impl Writing<'_, '_> {
    /// The manifests of the snapshot: those of before, but for what goes and what is merged, and a new one.
    fn manifests(&mut self) -> Result<Vec<ManifestFile>, Error> {
        let store = self.committer.store;
        let before = self.loaded.manifests(store)?;
        let small = before.iter().filter(|manifest| manifest.manifest_length < SMALL_MANIFEST).count();
        let merges = small >= SMALL_MANIFESTS;
        let (mut manifests, mut rewritten) = (Vec::new(), Vec::new());
        for manifest in before {
            let is_merged = merges && manifest.manifest_length < SMALL_MANIFEST;
            if !is_merged && self.change.remove.is_empty() {
                manifests.push(manifest);
                continue;
            }
            let entries = entries_of(store, &manifest)?;
            let is_hit = entries.iter().any(|entry| entry.is_alive() && self.change.remove.contains(entry.file_path()));
            if is_merged || is_hit {
                rewritten.extend(entries.into_iter().filter(ManifestEntry::is_alive));
            } else {
                manifests.push(manifest);
            }
        }
        if !rewritten.is_empty() {
            let remove = &self.change.remove;
            manifests.push(self.write_manifest("kept", |writer| {
                for entry in rewritten {
                    let (sequence, file_sequence) = (entry.sequence_number.unwrap_or(0), entry.file_sequence_number);
                    let file = entry.data_file;
                    if remove.contains(file.file_path()) {
                        writer.add_delete_file(file, sequence, file_sequence)?;
                    } else {
                        writer.add_existing_file(file, entry.snapshot_id.unwrap_or(0), sequence, file_sequence)?;
                    }
                }
                Ok(())
            })?);
        }
        if !self.change.add.is_empty() {
            let add = self.change.add.clone();
            manifests.push(self.write_manifest("added", |writer| {
                // Its sequence number is inherited from the list.
                add.into_iter().try_for_each(|file| writer.add_file(file, -1))
            })?);
        }
        Ok(manifests)
    }

    fn write_manifest(
        &mut self,
        part: &str,
        fill: impl FnOnce(&mut ManifestWriter) -> Result<(), iceberg::Error>,
    ) -> Result<ManifestFile, Error> {
        let metadata = &self.loaded.metadata;
        // Each try has its own: one of which nobody knows whether it is done keeps what it was made of.
        let number = self.this.number;
        let location = format!("{}/metadata/{}-{number}-{part}.avro", metadata.location(), self.change.id);
        let (schema, spec) = (metadata.current_schema().clone(), metadata.default_partition_spec().as_ref().clone());
        let snapshot_id = self.snapshot_id;
        self.put(&location, |output| async move {
            let mut writer = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec).build_v2_data();
            fill(&mut writer)?;
            writer.write_manifest_file().await
        })
    }

    /// Writes a file as Iceberg's writers do, through memory: they know no durable ones.
    fn put<T, F>(&mut self, location: &str, write: impl FnOnce(OutputFile) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, iceberg::Error>>,
    {
        let memory = MemoryStorage::new();
        let store = self.committer.store;
        let output = OutputFile::new(Arc::new(memory.clone()), location.to_owned());
        let written = store.wait(write(output))?;
        store.put(location, &store.wait(memory.read(location))?)?;
        self.this.written.push(location.to_owned());
        Ok(written)
    }

    /// The files that go.
    fn removed(&self) -> Result<Vec<DataFile>, Error> {
        let mut removed = Vec::new();
        if self.change.remove.is_empty() {
            return Ok(removed);
        }
        for manifest in self.loaded.manifests(self.committer.store)? {
            let entries = entries_of(self.committer.store, &manifest)?.into_iter();
            let gone = |entry: &ManifestEntry| {
                entry.status != ManifestStatus::Deleted && self.change.remove.contains(entry.file_path())
            };
            removed.extend(entries.filter(gone).map(|entry| entry.data_file));
        }
        if removed.len() < self.change.remove.len() {
            // Somebody else has removed them: the change was planned on a table that is no more.
            return Err(Error::Conflict { table: self.loaded.table.name() });
        }
        Ok(removed)
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

/// The summary that other engines expect, and what is ours.
fn summary(loaded: &Loaded, change: &Change, removed: &[DataFile]) -> Summary {
    let position = change.positions.map_or(loaded.position(), |(_, position)| position);
    let before = loaded.metadata.current_snapshot().map(|snapshot| &snapshot.summary().additional_properties);
    let before = |entry: &str| before.and_then(|entries| entries.get(entry)?.parse::<u64>().ok()).unwrap_or(0);
    let rows = |files: &[DataFile]| files.iter().map(DataFile::record_count).sum::<u64>();
    let bytes = |files: &[DataFile]| files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
    let mut entries =
        HashMap::from([(COMMIT_ID.to_owned(), change.id.to_string()), (POSITION.to_owned(), position.to_string())]);
    for (what, added, gone) in [
        ("data-files", change.add.len() as u64, removed.len() as u64),
        ("records", rows(&change.add), rows(removed)),
        ("files-size", bytes(&change.add), bytes(removed)),
    ] {
        let (add, remove) = if what == "files-size" { ("added", "removed") } else { ("added", "deleted") };
        entries.insert(format!("{add}-{what}"), added.to_string());
        entries.insert(format!("{remove}-{what}"), gone.to_string());
        let total = (before(&format!("total-{what}")) + added).saturating_sub(gone);
        entries.insert(format!("total-{what}"), total.to_string());
    }
    for none in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
        entries.insert(none.to_owned(), "0".to_owned());
    }
    Summary { operation: change.operation.clone(), additional_properties: entries }
}
