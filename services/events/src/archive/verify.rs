//! Owns checking that what the catalog's metadata leads to is there and whole. Never repairs.

use std::collections::HashMap;

use super::{Archive, Error, expire::referred, reader::FileReader, store::Reader, table::Table};

/// What is in a table.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Status {
    /// Data files of the current snapshot.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Their rows.
    pub(crate) rows: u64,
    /// Snapshots that are kept.
    pub(crate) snapshots: u64,
    /// Manifests of the current snapshot.
    pub(crate) manifests: u64,
    /// Offset of the journal up to which everything is in it.
    pub(crate) position: u64,
    /// Where its current metadata is: what other engines are given.
    pub(crate) metadata: String,
}

impl Archive {
    /// What is in a table. Blocks.
    pub(crate) fn status(&self, table: Table) -> Result<Status, Error> {
        let view = self.view();
        let present = view.table(table);
        Ok(Status {
            files: present.files.len() as u64,
            bytes: present.files.iter().map(|file| file.bytes).sum(),
            rows: present.files.iter().map(|file| file.rows).sum(),
            snapshots: present.loaded.metadata.snapshots().len() as u64,
            manifests: present.loaded.manifests(&self.store)?.len() as u64,
            position: present.position(),
            metadata: present.loaded.location.clone(),
        })
    }

    /// What is wrong with a table, a line each: files that are missing, have another size, or other rows than the
    /// metadata says. Blocks: it opens every file.
    pub(crate) fn verify(&self, table: Table) -> Result<Vec<String>, Error> {
        let view = self.view();
        let loaded = &view.table(table).loaded;
        let listed = self.store.list(loaded.metadata.location())?;
        let sizes: HashMap<_, _> = listed.into_iter().map(|file| (file.location, file.size)).collect();
        let mut wrong = Vec::new();
        let mut missing: Vec<_> =
            referred(&self.store, loaded)?.into_iter().filter(|file| !sizes.contains_key(file)).collect();
        missing.sort_unstable();
        wrong.extend(missing.into_iter().map(|file| format!("{file} is missing")));
        for file in &view.table(table).files {
            let Some(size) = sizes.get(&file.location) else { continue };
            if *size != file.bytes {
                wrong.push(format!("{} has {size} bytes instead of {}", file.location, file.bytes));
                continue;
            }
            let mut reader = FileReader::open(&self.store, &file.location, file.bytes, Reader::Upkeep)?;
            match self.store.wait(self.footers.of(&mut reader)) {
                Ok(footer) if footer.metadata().file_metadata().num_rows() as u64 == file.rows => {}
                Ok(footer) => {
                    let rows = footer.metadata().file_metadata().num_rows();
                    wrong.push(format!("{} has {rows} rows instead of {}", file.location, file.rows));
                }
                Err(error) => wrong.push(format!("{} cannot be read: {error}", file.location)),
            }
        }
        Ok(wrong)
    }
}
