//! Owns what a failure of the engine means to the caller. Never shows them its words.

use domain::Invalid;
use rusqlite::ErrorCode;
use serve::Refusal;

use crate::refuse::store_unavailable;
/// Why work on the database stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller is refused; the database is fine.
    Refused(Refusal),
    /// The engine failed.
    Engine(rusqlite::Error),
}

impl Failure {
    /// Whether the database cannot be read or written, for a cause that may pass.
    pub(super) fn is_outside(&self) -> bool {
        matches!(self, Self::Engine(error) if passes(error))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Engine(error) if passes(&error) => {
                tracing::error!(%error, "the database cannot be read or written");
                store_unavailable()
            }
            Failure::Engine(error) => Self::internal(error),
        }
    }
}

/// Whether the cause lies outside (disk, memory, locks), so that it may pass.
fn passes(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}
