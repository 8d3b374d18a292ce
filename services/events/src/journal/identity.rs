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

/// What is known of what a journal took over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Everything: it took over from none, or all that the old one had is here.
    Whole,
    /// Nothing yet: the old one has events that are not here, and the log stays shut until they are.
    AwaitsDrain,
    /// The old one is lost, and with it which batches of the relays it had: each relay's first is taken as it comes.
    RelaysUnknown,
}

const FILE: &str = "identity";
pub(super) const LOCK: &str = "lock";

impl Identity {
    /// What the directory says, or a new identity in a directory without segments.
    pub(super) fn open(dir: &Path, clock: &Clock, has_segments: bool) -> Result<(Self, Standing), OpenError> {
        let path = dir.join(FILE);
        if !path.try_exists().map_err(OpenError::io(&path))? {
            if has_segments {
                return Err(OpenError::Damaged { path, position: 0 });
            }
            let identity = Self { id: clock.ulid(), epoch: 1 };
            identity.write(dir, Standing::Whole)?;
            return Ok((identity, Standing::Whole));
        }
        Self::read(dir)
    }

    /// What the directory says.
    pub(super) fn read(dir: &Path) -> Result<(Self, Standing), OpenError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).map_err(OpenError::io(&path))?;
        from_text(&text).ok_or(OpenError::Damaged { path, position: 0 })
    }

    /// Makes the directory say so, durably.
    pub(super) fn write(self, dir: &Path, standing: Standing) -> Result<(), OpenError> {
        let path = dir.join(FILE);
        disk::create_durably(&path, to_text(self, standing).as_bytes()).map_err(OpenError::io(&path))
    }

    /// What begins every record of this journal: no client knows it, so no event can imitate a record.
    pub(super) fn mark(self) -> u64 {
        self.id.0 as u64
    }
}

const AWAITS_DRAIN: &str = "awaits drain";
const RELAYS_UNKNOWN: &str = "relays unknown";

fn to_text(identity: Identity, standing: Standing) -> String {
    let Identity { id, epoch } = identity;
    let standing = match standing {
        Standing::Whole => String::new(),
        Standing::AwaitsDrain => format!("{AWAITS_DRAIN}\n"),
        Standing::RelaysUnknown => format!("{RELAYS_UNKNOWN}\n"),
    };
    format!("annals journal 1\nid {id}\nepoch {epoch}\n{standing}")
}

fn from_text(text: &str) -> Option<(Identity, Standing)> {
    let rest = text.strip_prefix("annals journal 1\nid ")?.strip_suffix('\n')?;
    let (id, rest) = rest.split_once("\nepoch ")?;
    let (epoch, standing) = rest.split_once('\n').unwrap_or((rest, ""));
    let standing = match standing {
        "" => Standing::Whole,
        AWAITS_DRAIN => Standing::AwaitsDrain,
        RELAYS_UNKNOWN => Standing::RelaysUnknown,
        _ => return None,
    };
    Some((Identity { id: parse_ulid("id", id).ok()?, epoch: epoch.parse().ok()? }, standing))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_it_was_written_and_anything_else_is_none() {
        let identity = Identity { id: Ulid(7), epoch: 12 };
        for standing in [Standing::Whole, Standing::AwaitsDrain, Standing::RelaysUnknown] {
            let text = to_text(identity, standing);
            assert_eq!(from_text(&text), Some((identity, standing)));
            assert_eq!(from_text(&text[..text.len() - 1]), None);
            assert_eq!(from_text(&format!("{text}x\n")), None);
        }
    }
}
