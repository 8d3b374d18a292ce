//! Owns which journal a directory holds, and that one process at a time has it.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use domain::{Clock, parse_ulid};
use ulid::Ulid;

use super::OpenError;
use crate::disk;

/// Which journal this is, and under which writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// Made with the directory.
    pub(crate) id: Ulid,
    /// Raised when a journal takes over from another.
    pub(crate) epoch: u64,
}

const FILE: &str = "identity";
const LOCK: &str = "lock";

impl Identity {
    /// What the directory says, or a new identity in a directory without segments.
    pub(super) fn open(dir: &Path, clock: &Clock, has_segments: bool) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        if !path.try_exists().map_err(OpenError::io(&path))? {
            if has_segments {
                return Err(OpenError::Damaged { path, position: 0 });
            }
            let identity = Self { id: clock.ulid(), epoch: 1 };
            disk::create_durably(&path, identity.to_text().as_bytes()).map_err(OpenError::io(&path))?;
            return Ok(identity);
        }
        let text = fs::read_to_string(&path).map_err(OpenError::io(&path))?;
        Self::from_text(&text).ok_or(OpenError::Damaged { path, position: 0 })
    }

    /// What begins every record of this journal: no client knows it, so no event can imitate a record.
    pub(super) fn mark(self) -> u64 {
        self.id.0 as u64
    }

    fn to_text(self) -> String {
        format!("annals journal 1\nid {}\nepoch {}\n", self.id, self.epoch)
    }

    fn from_text(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("annals journal 1\nid ")?;
        let (id, rest) = rest.split_once("\nepoch ")?;
        let epoch = rest.strip_suffix('\n')?.parse().ok()?;
        Some(Self { id: parse_ulid("id", id).ok()?, epoch })
    }
}

/// Takes the directory for this process until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(OpenError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}
