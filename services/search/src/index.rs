//! Owns one kind of index of all tenants, by words or by vectors: one of each tenant's, and how far events are in them.
//! Never mixes two: nothing of one tenant, not even how often it has a word, counts for another.
//!
//! What arrives goes into a tenant's tail, in memory, and is found at once. A checkpoint moves the tails to the disk. How
//! far all of it is there is in the file `position`, so that following goes on from it; whatever is applied twice has its
//! effect once. Everything here can be made again from events.

mod embed;
#[cfg(test)]
mod fed;
mod filter;
mod text;
mod vector;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{Cursor, Key, TenantId};
use proto::common::v1::Reason;
use serve::Refusal;

pub use embed::{Checked, check, vectors_of};
pub(crate) use embed::{Embedder, is_model};
pub(crate) use filter::{Filter, Sight};
pub(crate) use text::{Analyzer, Counted, Facet, Matching, Needs, TermScore, Texts};
pub(crate) use vector::{Model, Nearest, Vectors};

use crate::document::Document;

/// When a vector is worth another try.
const EMBEDDER_RETRY: Duration = Duration::from_secs(1);
/// Where it is written how far the indexes are.
const POSITION: &str = "position";
/// Where the tenants' own are, and where they are before they are removed.
const TENANTS: &str = "tenants";
const REMOVED: &str = "tenants.removed";

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
    /// The model that makes vectors.
    #[error("the embedder: {0}")]
    Embedder(String),
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
        if let Error::Embedder(why) = &error {
            tracing::debug!(why, "there is no vector");
            let message = format!("what makes vectors does not answer: {why}; searches by words do");
            return Self::new(Reason::EmbedderUnavailable, message).retry_after(EMBEDDER_RETRY);
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the index does not work");
        Self::new(Reason::StoreUnavailable, "the index cannot be read or written")
    }
}

/// A thing that matches, and how well.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) score: f32,
}

/// The state of a name that a mutation made; none is a deletion.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) document: Option<Document>,
}

/// Counts changes of all indexes of this process, so that no two states have one number.
static VERSIONS: AtomicU64 = AtomicU64::new(1);

/// A number that no index has had.
fn next_version() -> u64 {
    VERSIONS.fetch_add(1, Ordering::Relaxed)
}

/// A tenant's index of one kind. It can be read while it is written by one thread.
pub(crate) trait OfTenant: Send + Sync + Sized + 'static {
    /// What all tenants have in common.
    type Settings: Send + Sync + 'static;

    /// The index in `path`, which is made if it is not there. Blocks.
    fn open(path: &Path, settings: &Self::Settings) -> Result<Self, Error>;

    /// Takes changes, each with the position behind its event, in their order. What is on the disk already is left out.
    /// Blocks.
    fn apply(&self, changes: Vec<(Change, u64)>) -> Result<(), Error>;

    /// Moves what is in memory to the disk; it has everything up to `position`. Blocks.
    fn checkpoint(&self, position: u64) -> Result<(), Error>;

    /// Names in memory, and about how many bytes they take.
    fn in_memory(&self) -> (usize, usize);

    /// Another number after every change that a reader may see.
    fn version(&self) -> u64;
}

/// The indexes of all tenants.
pub(crate) struct Index<T: OfTenant> {
    dir: PathBuf,
    settings: T::Settings,
    tenants: RwLock<HashMap<TenantId, Arc<T>>>,
    position: Mutex<Position>,
}

/// Up to where events are in the index; none is not even the first.
#[derive(Default)]
struct Position {
    in_memory: Option<Cursor>,
    on_disk: Option<Cursor>,
}

impl<T: OfTenant> Index<T> {
    /// The index in `dir`. One that is damaged is removed, said in the log, and made again from the beginning. Blocks.
    pub(crate) fn open(dir: &Path, settings: T::Settings) -> Result<Self, Error> {
        let of_tenants = dir.join(TENANTS);
        fs::create_dir_all(&of_tenants).map_err(Error::io(&of_tenants))?;
        remove_all(&dir.join(REMOVED))?;
        let mut cursor = read_position(&dir.join(POSITION))?;
        let mut tenants = HashMap::new();
        for entry in fs::read_dir(&of_tenants).map_err(Error::io(&of_tenants))? {
            let path = entry.map_err(Error::io(&of_tenants))?.path();
            let Some(tenant) = path.file_name().and_then(|name| name.to_str()?.parse::<TenantId>().ok()) else {
                continue;
            };
            match T::open(&path, &settings) {
                Ok(index) => drop(tenants.insert(tenant, Arc::new(index))),
                // What cannot be read now, for want of files or rights, may be whole.
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, tenant.id = %tenant, "an index is made again");
                    // First, so that whoever starts next follows from the beginning too, whenever this one ends.
                    remove_position(dir)?;
                    cursor = None;
                    fs::remove_dir_all(&path).map_err(Error::io(&path))?;
                }
            }
        }
        let position = Mutex::new(Position { in_memory: cursor, on_disk: cursor });
        Ok(Self { dir: dir.to_owned(), settings, tenants: RwLock::new(tenants), position })
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

    /// Applies what events say of a tenant's things, each with the position behind its event. Blocks.
    pub(crate) fn apply(&self, tenant: &TenantId, changes: Vec<(Change, u64)>) -> Result<(), Error> {
        self.of_or_new(tenant)?.apply(changes)
    }

    /// Names in memory, and about how many bytes they take.
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
        // All of them at once: one that stayed would take what the other journal has for known.
        let (of_tenants, removed) = (self.dir.join(TENANTS), self.dir.join(REMOVED));
        remove_all(&removed)?;
        // It is not there where this was begun before and failed.
        fs::create_dir_all(&of_tenants).map_err(Error::io(&of_tenants))?;
        fs::rename(&of_tenants, &removed).map_err(Error::io(&of_tenants))?;
        remove_position(&self.dir)?;
        fs::create_dir_all(&of_tenants).map_err(Error::io(&of_tenants))?;
        remove_all(&removed)?;
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Position::default();
        Ok(())
    }

    /// A tenant's, if it has ever written.
    pub(crate) fn of(&self, tenant: &TenantId) -> Option<Arc<T>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn of_or_new(&self, tenant: &TenantId) -> Result<Arc<T>, Error> {
        if let Some(known) = self.of(tenant) {
            return Ok(known);
        }
        let new = Arc::new(T::open(&self.dir.join(TENANTS).join(tenant.as_str()), &self.settings)?);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(tenants.entry(tenant.clone()).or_insert(new)))
    }

    fn all(&self) -> Vec<(TenantId, Arc<T>)> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, index)| (tenant.clone(), Arc::clone(index))).collect()
    }
}

/// Nothing is known from then on, whatever happens to the machine.
fn remove_position(dir: &Path) -> Result<(), Error> {
    let position = dir.join(POSITION);
    match fs::remove_file(&position) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(&position)(error)),
        _ => {}
    }
    sync_dir(dir)
}

fn remove_all(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(dir)(error)),
        _ => Ok(()),
    }
}

/// The names in a directory outlive the power.
fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io(dir))
}

/// What is not there, or not a cursor, is the beginning.
fn read_position(path: &Path) -> Result<Option<Cursor>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// A namespace has no NUL, so no two keys have one name.
fn name_of(key: &Key) -> String {
    format!("{}\0{}", key.ns, key.entity_id())
}

/// For names of one tenant: of a hundred million, two have one hash in one case of 3,700.
fn hash_of(key: &Key) -> u64 {
    use sha2::{Digest as _, Sha256};

    let hash = Sha256::digest(name_of(key));
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes"))
}
