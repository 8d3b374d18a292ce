//! Why the journal did not take something, or could not be opened.

use std::{
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::RelayBatch;

/// Why a batch was not stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// Too much waits for the disk, or for the archive.
    #[error("the journal is full")]
    Full,
    /// Another journal feeds the archive now; what only this one has can be drained into that.
    #[error("{0}")]
    Superseded(Arc<str>),
    /// The disk refused; it may be over soon.
    #[error("the journal cannot be written: {0}")]
    Unavailable(Arc<str>),
    /// The relay's batch does not follow the last one.
    #[error("batch {number} of relay {relay} does not follow its last one, {last}", number = batch.number, relay = batch.relay)]
    Gap {
        /// What was sent.
        batch: RelayBatch,
        /// The last one that was taken.
        last: u64,
    },
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the journal in {path} is in use by another process")]
    Locked {
        /// The journal's directory.
        path: PathBuf,
    },
    /// What was acknowledged cannot be read: only a person can decide what to do.
    #[error(
        "{path} is damaged at byte {position}, and that is no torn tail: what was acknowledged stood there; restore the file"
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage begins.
        position: u64,
    },
    /// A file of another journal, or none of ours.
    #[error("{path} does not belong to this journal")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The journal does not go on where the archive ends.
    #[error(
        "the archive has events up to {archived} in table {table}, and the journal has {} to {}: \
         one of them is an old copy, or not whole",
        journal.start(), journal.end()
    )]
    Apart {
        /// The table.
        table: &'static str,
        /// Offset after the last event in it.
        archived: u64,
        /// First offset and end of the journal.
        journal: RangeInclusive<u64>,
    },
    /// Events of the journal that this one took over from are missing.
    #[error(
        "the journal in {path} took over from another one, and what only that one has is missing: run `annals archive \
         drain --from DIR` with the old journal's directory, or, if it is lost, `annals archive adopt --journal-lost`"
    )]
    AwaitsDrain {
        /// The journal's directory.
        path: PathBuf,
    },
    /// There is no archive that could be adopted.
    #[error("there is no archive in {path}: a server started there makes one")]
    NoArchive {
        /// The directory of events.
        path: PathBuf,
    },
    /// A journal that has events cannot go on where another one ended.
    #[error(
        "the journal in {path} has events of its own, and the archive belongs to another one: move this directory \
         away, adopt with an empty one, then drain this one from where it is if it fed the archive before"
    )]
    NotEmpty {
        /// The journal's directory.
        path: PathBuf,
    },
    /// The archive could not be opened.
    #[error("the archive")]
    Archive(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file system refused.
    #[error("{path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
