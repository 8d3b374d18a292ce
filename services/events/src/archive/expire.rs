//! Owns letting go of what no reader needs: old snapshots, then files that nothing refers to. Never removes a file that
//! the catalog's metadata leads to, that a reader of ours holds, or that is about to be committed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::PoisonError,
};

use iceberg::spec::{ManifestEntry, Operation};

use super::{
    Archive, Error,
    commit::{Change, Loaded, entries_of, manifests_of},
    store::{Listed, MOST_DELETED, Store},
    table::Table,
};

/// What has gone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Expired {
    /// Snapshots.
    pub(crate) snapshots: u64,
    /// Files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Archive {
    /// Expires snapshots made before `horizon`, in milliseconds since 1970, but for the current one and that which says how
    /// far the table is; then removes files
    /// written before it that nothing refers to. Blocks.
    pub(crate) fn expire(&self, table: Table, horizon: i64) -> Result<Expired, Error> {
        let loaded = self.view().table(table).loaded.clone();
        let metadata = &loaded.metadata;
        let kept = [metadata.current_snapshot_id(), loaded.placed()];
        let old: Vec<i64> = metadata
            .snapshots()
            .filter(|snapshot| snapshot.timestamp_ms() < horizon && !kept.contains(&Some(snapshot.snapshot_id())))
            .map(|snapshot| snapshot.snapshot_id())
            .collect();
        let mut expired = Expired { snapshots: old.len() as u64, ..Expired::default() };
        if !old.is_empty() {
            let change = Change {
                id: self.clock.ulid(),
                operation: Operation::Delete,
                add: Vec::new(),
                remove: BTreeSet::new(),
                positions: None,
                expire: old,
                properties: HashMap::new(),
            };
            self.commit(table, &change)?;
        }
        let _nobody_writes = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        let location = metadata.location().to_owned();
        let listed = self.store.list(&location)?;
        let referred = referred(&self.store, &self.load(table)?)?;
        let is_unneeded = |file: &Listed| {
            let is_needed = referred.contains(&file.location) || self.views.has(&file.location);
            !is_needed && file.modified < horizon
        };
        let unneeded: Vec<_> = listed.into_iter().filter(is_unneeded).collect();
        for files in unneeded.chunks(MOST_DELETED) {
            self.check_stopping()?;
            self.store.delete_all(files.iter().map(|file| &*file.location))?;
            expired.files += files.len() as u64;
            expired.bytes += files.iter().map(|file| file.size).sum::<u64>();
        }
        if expired != Expired::default() {
            let Expired { snapshots, files, bytes } = expired;
            metrics::counter!("annals_archive_expired_bytes_total").increment(bytes);
            tracing::info!(table = table.name(), snapshots, files, bytes, "what nobody needs is removed");
        }
        Ok(expired)
    }

    /// Removes metadata files that were written by a commit which a crash kept from the catalog: they have the number of
    /// the next one, and some engines take the highest number for the current metadata.
    /// Not where another process may still be at that commit: a server finishes what a killed client has asked for.
    pub(crate) fn remove_uncommitted(&self, table: Table) -> Result<(), Error> {
        if self.catalog().is_shared() {
            return Ok(());
        }
        let loaded = self.load(table)?;
        let log = loaded.metadata.metadata_log().iter().map(|entry| entry.metadata_file.as_str());
        let known: HashSet<&str> = log.chain([loaded.location.as_str()]).collect();
        for file in self.store.list(&format!("{}/metadata", loaded.metadata.location()))? {
            let is_metadata = file.location.ends_with(".metadata.json");
            if is_metadata && !known.contains(file.location.as_str()) && file.location > loaded.location {
                self.store.delete(&file.location)?;
            }
        }
        Ok(())
    }
}

/// Every file that a table's metadata leads to, from each of its snapshots.
pub(crate) fn referred(store: &Store, loaded: &Loaded) -> Result<HashSet<String>, Error> {
    let log = loaded.metadata.metadata_log().iter().map(|entry| entry.metadata_file.clone());
    let mut referred: HashSet<String> = log.chain([loaded.location.clone()]).collect();
    for snapshot in loaded.metadata.snapshots() {
        referred.insert(snapshot.manifest_list().to_owned());
        for manifest in manifests_of(store, snapshot)? {
            if referred.insert(manifest.manifest_path.clone()) {
                let entries = entries_of(store, &manifest)?.into_iter().filter(ManifestEntry::is_alive);
                referred.extend(entries.map(|entry| entry.data_file.file_path().to_owned()));
            }
        }
    }
    Ok(referred)
}
