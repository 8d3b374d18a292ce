//! Owns the indexes of all tenants, one each, and how far events are in them. Never mixes two: nothing of one tenant,
//! not even how often it has a word, counts for another.
//!
//! What arrives goes into a tenant's tail, in memory, and is found at once. A checkpoint moves the tails to the disk. How
//! far all of it is there is in the file `position`, so that following goes on from it; whatever is applied twice has its
//! effect once. Everything here can be made again from events.

mod analyzer;
mod base;
mod expand;
mod plan;
mod statistics;
mod tail;
mod tenant;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use domain::{Cursor, Key, Namespace, TenantId, TypeName};
use proto::common::v1::Reason;
use serve::Refusal;

pub(crate) use analyzer::Analyzer;
use tenant::TenantIndex;

use crate::{document::Document, query::Clause};

/// Where it is written how far the indexes are.
const POSITION: &str = "position";

/// Why the index cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file.
    #[error("{}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The text index.
    #[error("the text index")]
    Text(#[from] tantivy::TantivyError),
    /// What follows events was not told where it is.
    #[error("a cursor of events {0}")]
    Cursor(String),
    /// Files that are not what was written.
    #[error("{} is damaged: {files:?}", path.display())]
    Damaged { path: PathBuf, files: Vec<PathBuf> },
}

impl Error {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the index does not work");
        Self::new(Reason::StoreUnavailable, "the index cannot be read or written")
    }
}

/// Which things.
pub(crate) struct Wanted<'a> {
    /// One of these matches at least.
    pub(crate) clauses: Vec<Clause>,
    pub(crate) filter: Filter,
    /// Namespaces of which everything is shown; of others what everybody may see in a list. `None` is all.
    pub(crate) may_read: Option<&'a (dyn Fn(&Namespace) -> bool + Sync)>,
    /// How many at most.
    pub(crate) limit: usize,
}

/// Conditions, each of which must hold that is given.
#[derive(Clone, Default, Debug)]
pub(crate) struct Filter {
    pub(crate) ns: Option<Namespace>,
    /// This one and those under it.
    pub(crate) ns_prefix: Option<Namespace>,
    /// One of these; empty is any.
    pub(crate) types: Vec<TypeName>,
    /// Made at or after this, in milliseconds.
    pub(crate) updated_from: Option<i64>,
    /// Made before this, in milliseconds.
    pub(crate) updated_until: Option<i64>,
}

/// A thing that matches, and how well.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) score: f32,
}

/// The state of a name that a mutation made; none is a deletion.
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) document: Option<Document>,
}

/// The indexes of all tenants.
pub(crate) struct Index {
    dir: PathBuf,
    tenants: RwLock<HashMap<TenantId, Arc<TenantIndex>>>,
    position: Mutex<Position>,
}

/// Up to where events are in the index; none is not even the first.
#[derive(Default)]
struct Position {
    in_memory: Option<Cursor>,
    on_disk: Option<Cursor>,
}

impl Index {
    /// The index in `dir`. One that is damaged is removed, said in the log, and made again from the beginning. Blocks.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let text = dir.join("text");
        fs::create_dir_all(&text).map_err(Error::io(&text))?;
        let mut cursor = read_position(&dir.join(POSITION))?;
        let mut tenants = HashMap::new();
        for entry in fs::read_dir(&text).map_err(Error::io(&text))? {
            let path = entry.map_err(Error::io(&text))?.path();
            let Some(tenant) = path.file_name().and_then(|name| name.to_str()?.parse::<TenantId>().ok()) else {
                continue;
            };
            match TenantIndex::open(&path) {
                Ok(index) => drop(tenants.insert(tenant, Arc::new(index))),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, tenant.id = %tenant, "an index is made again");
                    fs::remove_dir_all(&path).map_err(Error::io(&path))?;
                    cursor = None;
                }
            }
        }
        let position = Mutex::new(Position { in_memory: cursor, on_disk: cursor });
        Ok(Self { dir: dir.to_owned(), tenants: RwLock::new(tenants), position })
    }

    /// Up to where events are in the index.
    pub(crate) fn position(&self) -> Option<Cursor> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).in_memory
    }

    /// Everything before a cursor has been applied. Says up to where events are here then.
    pub(crate) fn arrive(&self, cursor: Option<Cursor>) -> u64 {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        position.in_memory = cursor.or(position.in_memory);
        position.in_memory.map_or(0, |cursor| cursor.offset)
    }

    /// Applies what the event before `position` says of a tenant's thing. Blocks where it is the tenant's first.
    pub(crate) fn apply(&self, tenant: &TenantId, change: Change, position: u64) -> Result<(), Error> {
        self.of_or_new(tenant)?.apply(change, position);
        Ok(())
    }

    /// Texts in memory: how many, and their bytes.
    pub(crate) fn in_memory(&self) -> (usize, usize) {
        let sizes = self.all().into_iter().map(|(_, index)| index.in_memory());
        sizes.fold((0, 0), |(documents, bytes), (more, more_bytes)| (documents + more, bytes + more_bytes))
    }

    /// Moves everything that has arrived to the disk. Blocks.
    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cursor) = position.in_memory.filter(|_| position.in_memory != position.on_disk) else { return Ok(()) };
        for (_, index) in self.all() {
            index.checkpoint(cursor.offset)?;
        }
        // Not synced: where it is lost, following begins earlier.
        let (path, new) = (self.dir.join(POSITION), self.dir.join("position.unfinished"));
        fs::write(&new, cursor.to_string()).map_err(Error::io(&new))?;
        fs::rename(&new, &path).map_err(Error::io(&path))?;
        position.on_disk = Some(cursor);
        Ok(())
    }

    /// Forgets everything: the events are another journal's. Blocks.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.clear();
        let position = self.dir.join(POSITION);
        if position.exists() {
            fs::remove_file(&position).map_err(Error::io(&position))?;
        }
        let text = self.dir.join("text");
        fs::remove_dir_all(&text).map_err(Error::io(&text))?;
        fs::create_dir_all(&text).map_err(Error::io(&text))?;
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Position::default();
        Ok(())
    }

    /// The things of a tenant that match, best first. Blocks.
    pub(crate) fn search(&self, tenant: &TenantId, wanted: &Wanted<'_>) -> Result<Vec<Found>, Error> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = tenants.get(tenant).cloned() else { return Ok(Vec::new()) };
        drop(tenants);
        index.search(wanted)
    }

    fn of_or_new(&self, tenant: &TenantId) -> Result<Arc<TenantIndex>, Error> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let new = Arc::new(TenantIndex::open(&self.dir.join("text").join(tenant.as_str()))?);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(tenants.entry(tenant.clone()).or_insert(new)))
    }

    fn all(&self) -> Vec<(TenantId, Arc<TenantIndex>)> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, index)| (tenant.clone(), Arc::clone(index))).collect()
    }
}

/// What is not there, or not a cursor, is the beginning.
fn read_position(path: &Path) -> Result<Option<Cursor>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

#[cfg(test)]
#[path = "index_test.rs"]
mod tests;
