//! Why the archive could not do something.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use datafusion::error::DataFusionError;
use proto::common::v1::Reason;
use serve::refusal::Refusal;

/// Why the archive could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file system refused.
    #[error("{path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The object store refused.
    #[error("{location}")]
    Store {
        /// The object.
        location: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// The bucket cannot be used as it is, or as we were told that it is.
    #[error("the archive {base} ({at}) cannot be used: {cause}; {look_at}")]
    Unusable {
        /// The archive.
        base: String,
        /// Where it was asked for.
        at: String,
        /// What the store said, in one line.
        cause: String,
        /// What helps.
        look_at: &'static str,
    },
    /// The catalog in a file cannot be read or written.
    #[error("the archive's catalog")]
    Catalog(#[from] rusqlite::Error),
    /// The catalog does not answer: it may later.
    #[error("the archive's catalog {catalog} does not answer: start it, or give another --archive-catalog")]
    CatalogAway {
        /// Where it is.
        catalog: String,
        /// What was met instead.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The catalog refused.
    #[error("the archive's catalog {catalog} refuses: {said}")]
    CatalogRefused {
        /// Where it is.
        catalog: String,
        /// What it said.
        said: String,
    },
    /// Metadata that cannot be read or made.
    #[error("the archive's metadata")]
    Metadata(#[from] Box<iceberg::Error>),
    /// A data file that cannot be read or written.
    #[error("a file of the archive")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Rows that cannot be made.
    #[error("rows of the archive")]
    Rows(#[from] arrow_schema::ArrowError),
    /// A plan needs more memory than one may have.
    #[error("a plan needs more memory than it may have: {0}")]
    TooLarge(String),
    /// So many plans run and wait that there is no place for one more.
    #[error("too many plans wait")]
    Busy,
    /// A plan that cannot be made or run.
    #[error("a plan")]
    Plan(#[source] Box<DataFusionError>),
    /// A plan that ended in a panic.
    #[error("a plan panicked: {0}")]
    Panicked(String),
    /// The table was changed in the meantime: read it again.
    #[error("table {table} was changed by another writer")]
    Conflict {
        /// The table.
        table: &'static str,
    },
    /// Another journal feeds this archive.
    #[error(
        "JOURNAL_MISMATCH: the archive belongs to journal {expected}, and this is journal {found}: give back the directory \
         of that journal, or another --data-dir; if this journal is to take over, run `annals archive adopt`"
    )]
    Mismatch {
        /// Id and epoch that the catalog names.
        expected: String,
        /// Id and epoch of the journal here.
        found: String,
    },
    /// Files of a table that the catalog does not know.
    #[error(
        "{location} belongs to an archive of journal {journal}, which the catalog here does not know: give back its \
         data directory, or begin at another place"
    )]
    Taken {
        /// A metadata file of that table.
        location: String,
        /// The journal that it names.
        journal: String,
    },
    /// A table that names no journal.
    #[error("{location} does not say which journal feeds it: it is no table of an archive of ours")]
    Ownerless {
        /// The table.
        location: String,
    },
    /// The server ends.
    #[error("the server is stopping")]
    Stopping,
    /// A merge that would have lost or doubled rows was not committed.
    #[error("{before} rows became {after} when files were merged: nothing was changed")]
    Miscounted {
        /// Rows of the files that were to be merged.
        before: u64,
        /// Rows of the merged files.
        after: u64,
    },
    /// A file of the table whose partition is not one of ours.
    #[error("{location} was written by another program into a partition that this archive does not have")]
    Foreign {
        /// The file.
        location: String,
    },
    /// A table that does not say how far it is.
    #[error(
        "{location} has only snapshots of another program, and does not say up to where the journal is in it: roll the table \
         back to a snapshot that has `annals.journal-offset` in its summary"
    )]
    Unplaced {
        /// The table's metadata.
        location: String,
    },
    /// More rows than can be put in order in memory.
    #[error(
        "another program has merged files of the history, whose names would have to be put in order again: more than {most} \
         mutations of this namespace are in them"
    )]
    Unordered {
        /// How many can be.
        most: usize,
    },
    /// A file that lies outside of the archive.
    #[error("{location} is not in the archive {base}: was its directory moved, or --archive-url changed?")]
    Elsewhere {
        /// The file.
        location: String,
        /// The archive.
        base: String,
    },
}

/// When a caller whose read the store did not answer may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn store(location: &str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Store { location: location.to_owned(), source: Box::new(source) }
    }

    /// Whether the same may succeed later: the store did not answer as it should, or somebody else was faster. A file
    /// that is not there does not come back.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Stopping)
            || store_error(self).is_some_and(|error| !matches!(error, object_store::Error::NotFound { .. }))
    }
}

/// What the store said, if that is why.
fn store_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a object_store::Error> {
    if let Some(boxed) = error.downcast_ref::<Box<object_store::Error>>() {
        return Some(boxed);
    }
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // What an `io::Error` was made of is not its source, but its source's child.
    let inner = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
    match inner {
        Some(inner) => store_error(inner),
        None => store_error(error.source()?),
    }
}

impl From<Error> for Refusal {
    /// What a caller is told.
    fn from(error: Error) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        if matches!(error, Error::Unordered { .. }) {
            return Self::new(Reason::QueryTooLarge, text);
        }
        if !error.is_passing() {
            return Self::internal(text);
        }
        tracing::warn!(error = text, "the archive cannot do this now");
        Self::new(Reason::StoreUnavailable, "the archive cannot do this now").retry_after(RETRY_AFTER)
    }
}

impl From<iceberg::Error> for Error {
    fn from(error: iceberg::Error) -> Self {
        Self::Metadata(Box::new(error))
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(what) => Self::TooLarge(what.clone()),
            _ => Self::Plan(Box::new(error)),
        }
    }
}
