//! Owns what a takeover makes of journals: an empty one that is to go on where another ended, and that other one, which
//! is read and never changed.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    ops::Range,
    path::{Path, PathBuf},
};

use domain::Clock;
use ulid::Ulid;

pub(crate) use super::identity::Standing;
use super::{Identity, OpenError, Reader, identity, recovery, relays, segment};
use crate::{
    disk,
    index::{Index, Location},
};

/// The journal of a directory, locked and not at work.
pub(crate) struct Vacant {
    dir: PathBuf,
    identity: Identity,
    standing: Standing,
    is_empty: bool,
    _lock: File,
}

/// A journal that another one took over from.
pub(crate) struct Old {
    dir: PathBuf,
    identity: Identity,
    index: Index,
    _lock: Option<File>,
}

impl Vacant {
    /// Locks the journal in `dir`, made if it is not there.
    pub(crate) fn open(dir: &Path, clock: &Clock) -> Result<Self, OpenError> {
        let window = dir.join("window");
        fs::create_dir_all(&window).map_err(OpenError::io(&window))?;
        let lock = identity::lock(dir)?;
        let firsts = segment::list(dir)?;
        let (identity, standing) = Identity::open(dir, clock, !firsts.is_empty())?;
        disk::sync_dir(dir).map_err(OpenError::io(dir))?;
        disk::sync_ancestors(dir).map_err(OpenError::io(dir))?;
        let mut index = Index::default();
        recovery::read(dir, identity, &firsts, &mut index)?;
        let is_empty = index.len() == 0 && index.relays().is_empty() && relays::read(dir)?.is_empty();
        Ok(Self { dir: dir.to_owned(), identity, standing, is_empty, _lock: lock })
    }

    /// Which journal it is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// What is known of what it took over.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether it has no event and knows no relay.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Changes what is known of what it took over.
    pub(crate) fn stand(&mut self, standing: Standing) -> Result<(), OpenError> {
        self.standing = standing;
        self.identity.write(&self.dir, standing)
    }

    /// Makes it begin at an offset, as a writer of this epoch. It must be empty.
    pub(crate) fn begin(&mut self, epoch: u64, first: u64, standing: Standing) -> Result<(), OpenError> {
        assert!(self.is_empty, "what is in a journal keeps its offsets");
        segment::create(&self.dir, self.identity, first, &[])?;
        self.identity.epoch = epoch;
        self.stand(standing)?;
        for other in segment::list(&self.dir)?.into_iter().filter(|other| *other != first) {
            let path = segment::path_of(&self.dir, other);
            fs::remove_file(&path).map_err(OpenError::io(&path))?;
        }
        disk::sync_dir(&self.dir).map_err(OpenError::io(&self.dir))
    }
}

impl Old {
    /// Reads the journal in `dir`, which no process may have. A torn tail, of which nothing was acknowledged, is left out.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        let lock = lock(dir)?;
        let (identity, _) = Identity::read(dir)?;
        let firsts = segment::firsts(dir)?;
        let mut index = Index::default();
        for batch in relays::read(dir)? {
            index.took(batch);
        }
        recovery::read(dir, identity, &firsts, &mut index)?;
        Ok(Self { dir: dir.to_owned(), identity, index, _lock: lock })
    }

    /// Which journal it is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// The offsets of its events.
    pub(crate) fn offsets(&self) -> Range<u64> {
        self.index.beginning()..self.index.end()
    }

    /// The last batch of every relay.
    pub(crate) fn relays(&self) -> &HashMap<Ulid, u64> {
        self.index.relays()
    }

    /// Where an event is.
    pub(crate) fn locate(&self, offset: u64) -> Location {
        self.index.locate(offset)
    }

    /// Reads its events.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(&self.dir)
    }
}

/// Takes the lock of a directory that may not be written; one that was never locked is free.
fn lock(dir: &Path) -> Result<Option<File>, OpenError> {
    let path = dir.join(identity::LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::io(&path)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}
