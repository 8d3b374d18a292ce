//! Owns the files of one snapshot that is being written, its manifests and their list, and what its summary says.
//! Never touches the catalog or a data file.

use std::{collections::HashMap, sync::Arc};

use iceberg::{
    io::{MemoryStorage, OutputFile, Storage as _},
    spec::{
        DataFile, ManifestEntry, ManifestFile, ManifestListWriter, ManifestWriter, ManifestWriterBuilder, Snapshot,
        Summary,
    },
};

use super::{COMMIT_ID, Change, Committer, Loaded, POSITION, Try, entries_of};
use crate::archive::Error;

/// A manifest below this many bytes is merged with others.
const SMALL_MANIFEST: i64 = 4 << 20;
/// So many small manifests may stand beside each other.
const SMALL_MANIFESTS: usize = 8;

/// One snapshot that is being written.
pub(super) struct Writing<'a, 'b> {
    committer: &'a Committer<'a>,
    loaded: &'a Loaded,
    snapshot_id: i64,
    change: &'a Change,
    this: &'b mut Try,
    /// The files that go.
    removed: Vec<DataFile>,
}

impl<'a, 'b> Writing<'a, 'b> {
    pub(super) fn new(committer: &'a Committer<'a>, loaded: &'a Loaded, change: &'a Change, this: &'b mut Try) -> Self {
        // 63 of the id's random bits.
        let snapshot_id = (change.id.0 as u64 >> 1) as i64;
        Self { committer, loaded, snapshot_id, change, this, removed: Vec::new() }
    }

    /// The snapshot, made at `now`; everything that it leads to is written. A conflict if not every file that goes is there.
    pub(super) fn snapshot(mut self, now: i64) -> Result<Snapshot, Error> {
        let manifests = self.manifests()?;
        let metadata = Arc::clone(&self.loaded.metadata);
        let (snapshot_id, parent) = (self.snapshot_id, metadata.current_snapshot_id());
        let (number, id) = (self.this.number, self.change.id);
        let list = format!("{}/metadata/snap-{snapshot_id}-{number}-{id}.avro", metadata.location());
        let sequence_number = metadata.next_sequence_number();
        self.put(&list, |output| async move {
            let mut list = ManifestListWriter::v2(output.writer().await?, snapshot_id, parent, sequence_number);
            list.add_manifests(manifests.into_iter())?;
            list.close().await
        })?;
        Ok(Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(now)
            .with_manifest_list(list)
            .with_summary(self.summary())
            .with_schema_id(metadata.current_schema_id())
            .build())
    }

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
        let remove = &self.change.remove;
        let files = rewritten.iter().map(ManifestEntry::data_file);
        self.removed = files.filter(|file| remove.contains(file.file_path())).cloned().collect();
        if self.removed.len() < remove.len() {
            // Somebody else has removed them: the change was planned on a table that is no more.
            return Err(Error::Conflict { table: self.loaded.table.name() });
        }
        if !rewritten.is_empty() {
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

    /// The summary that other engines expect, and what is ours.
    fn summary(&self) -> Summary {
        let Self { loaded, change, removed, .. } = self;
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
}
