//! Why the archive could not do something.

use std::{
    io,
    path::{Path, PathBuf},
};

use datafusion::error::DataFusionError;

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
    /// The catalog refused.
    #[error("the archive's catalog")]
    Catalog(#[from] rusqlite::Error),
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
        "JOURNAL_MISMATCH: the archive belongs to journal {expected}, and this is journal {found}: \
         give back the directory of that journal, or another --data-dir"
    )]
    Mismatch {
        /// Id and epoch that the catalog names.
        expected: String,
        /// Id and epoch of the journal here.
        found: String,
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
    /// A file that lies outside of the archive.
    #[error("{location} is not in the archive {base}: was its directory moved?")]
    Elsewhere {
        /// The file.
        location: String,
        /// The archive.
        base: String,
    },
}

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn store(location: &str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Store { location: location.to_owned(), source: Box::new(source) }
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
