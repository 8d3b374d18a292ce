//! Owns what a failure of the database means to the caller. Never shows them its words.

use domain::Invalid;
use proto::common::v1::Reason;
use serve::Refusal;

use crate::refuse::{STORE_RETRY, store_unavailable};

/// Why work on the database stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// The caller is refused; the database is fine.
    Refused(Refusal),
    /// Another transaction was in the way: the same work can be done again at once.
    Conflict,
    /// The database failed.
    Database(sqlx::Error),
    /// Whether a commit took effect is not known.
    InDoubt,
}

impl Failure {
    /// Of a commit.
    pub(super) fn commit(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(said) if !is_away(said.code().as_deref().unwrap_or_default()) => {
                Self::from_database(said.code().as_deref()).unwrap_or_else(|| {
                    tracing::error!(%error, "a commit was refused");
                    Self::Refused(store_unavailable())
                })
            }
            _ => {
                tracing::error!(%error, "a commit was not answered");
                Self::InDoubt
            }
        }
    }

    fn from_database(code: Option<&str>) -> Option<Self> {
        // Serialisation failure, deadlock.
        matches!(code, Some("40001" | "40P01")).then_some(Self::Conflict)
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

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        Self::from_database(code.as_deref()).unwrap_or(Self::Database(error))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Conflict => Self::new(Reason::StoreUnavailable, "others write the same names; nothing was kept")
                .retry_after(STORE_RETRY),
            Failure::Database(error) if passes(&error) => {
                tracing::error!(%error, "the database cannot be read or written");
                store_unavailable()
            }
            Failure::Database(error) => Self::internal(error),
            Failure::InDoubt => {
                Self::new(Reason::StoreUnavailable, "the store did not say whether the write was kept; read it")
                    .retry_after(STORE_RETRY)
            }
        }
    }
}

/// Whether the cause lies outside, so that it may pass.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(said) => is_away(said.code().as_deref().unwrap_or_default()),
        _ => false,
    }
}

/// Of a server that is away, full, read-only or busy (PostgreSQL, appendix A).
fn is_away(code: &str) -> bool {
    let class = &code[..2.min(code.len())];
    // Connection, resources, operator, I/O; read-only, a lock that is not to be had, a statement that took too long.
    matches!(class, "08" | "53" | "57" | "58") || matches!(code, "25006" | "25P02" | "25P03" | "55P03")
}
