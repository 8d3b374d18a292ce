//! Owns what readers see of the archive in one moment: the files of each table, and where in the journal they go on.
//! Never changes: a change is another view.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use domain::TenantId;
use iceberg::spec::DataFile;

use super::{
    Error,
    commit::{Loaded, entries_of},
    store::Store,
    table::Table,
    wanted::ArchivedFile,
};

/// Both tables in one moment. Everything before a table's position is in its files, everything from there on in the
/// journal, as long as the view is held.
#[derive(Debug)]
pub(crate) struct View {
    tables: [Arc<TableView>; 2],
}

/// One table in one moment.
#[derive(Debug)]
pub(crate) struct TableView {
    pub(crate) loaded: Loaded,
    pub(crate) files: Vec<Arc<ArchivedFile>>,
}

/// The present view, and the older ones that somebody still reads.
#[derive(Debug)]
pub(crate) struct Views {
    present: RwLock<Arc<View>>,
    older: Mutex<Vec<Weak<View>>>,
}

impl View {
    /// A table of it.
    pub(crate) fn table(&self, table: Table) -> &TableView {
        &self.tables[table as usize]
    }

    /// Whether no file has, or may have, an event of another tenant.
    pub(crate) fn is_of(&self, tenant: &TenantId) -> bool {
        let mut files = self.tables.iter().flat_map(|table| &table.files);
        files.all(|file| file.tenant() == Some(tenant.as_str()))
    }

    /// Up to which offset of the journal both tables have everything.
    pub(crate) fn position(&self) -> u64 {
        self.tables.iter().map(|table| table.position()).min().unwrap_or(0)
    }
}

impl TableView {
    /// Reads what the table's metadata says of its files.
    pub(crate) fn read(store: &Store, loaded: Loaded) -> Result<Self, Error> {
        let mut files = Vec::new();
        for manifest in loaded.manifests(store)? {
            for entry in entries_of(store, &manifest)? {
                if entry.is_alive() {
                    files.push(archived(&entry.data_file)?);
                }
            }
        }
        Ok(Self { loaded, files })
    }

    /// Up to which offset of the journal the table has everything.
    pub(crate) fn position(&self) -> u64 {
        self.loaded.position()
    }

    /// The table after a change.
    pub(crate) fn changed(&self, loaded: Loaded, add: &[DataFile], remove: &BTreeSet<String>) -> Result<Self, Error> {
        let kept = self.files.iter().filter(|file| !remove.contains(&file.location));
        let mut files: Vec<_> = kept.cloned().collect();
        for file in add {
            files.push(archived(file)?);
        }
        Ok(Self { loaded, files })
    }
}

impl Views {
    pub(crate) fn new(tables: [TableView; 2]) -> Self {
        let view = View { tables: tables.map(Arc::new) };
        Self { present: RwLock::new(Arc::new(view)), older: Mutex::default() }
    }

    /// The present view.
    pub(crate) fn present(&self) -> Arc<View> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another state of a table in the place of the present one.
    pub(crate) fn publish(&self, table: TableView) {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        let mut tables = present.tables.clone();
        let place = table.loaded.table as usize;
        tables[place] = Arc::new(table);
        let older = std::mem::replace(&mut *present, Arc::new(View { tables }));
        self.older().push(Arc::downgrade(&older));
    }

    /// The lowest offset of the journal that a reader of the present or an older view may ask for.
    pub(crate) fn needed(&self) -> u64 {
        // Before the older ones, as when one is published: one that is replaced in between is counted as the present one.
        let present = self.present().position();
        let mut older = self.older();
        older.retain(|view| view.strong_count() > 0);
        let held = older.iter().filter_map(Weak::upgrade).map(|view| view.position()).min();
        held.map_or(present, |held| held.min(present))
    }

    /// Whether a file is in the present view, or in an older one that somebody reads.
    pub(crate) fn has(&self, location: &str) -> bool {
        let mut views: Vec<_> = self.older().iter().filter_map(Weak::upgrade).collect();
        views.push(self.present());
        let mut files = views.iter().flat_map(|view| &view.tables).flat_map(|table| &table.files);
        files.any(|file| file.location == location)
    }

    fn older(&self) -> std::sync::MutexGuard<'_, Vec<Weak<View>>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn archived(file: &DataFile) -> Result<Arc<ArchivedFile>, Error> {
    let archived = ArchivedFile::of(file).ok_or_else(|| Error::Foreign { location: file.file_path().into() })?;
    Ok(Arc::new(archived))
}
