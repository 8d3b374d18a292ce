//! Owns the only way to a connection: a transaction that is one tenant's, or the relay's. Never runs a statement of
//! theirs.

use std::time::Duration;

use domain::TenantId;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{ConnectOptions as _, PgConnection, Postgres, Transaction};

use super::failure::Failure;

/// The most connections of a process. A group of writes takes one, a read takes one: when eight groups, four long reads, four walks and two
/// exports have theirs, two are left.
const CONNECTIONS: u32 = 20;
/// How long a caller may wait for one.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A connection is opened anew after so long, so that what is behind an address may change.
const LIFETIME: Duration = Duration::from_mins(10);
/// Who serves.
const ROLE: &str = "annals_things";
/// How long a statement may wait for a lock, and take; and that a table is not read whole: a plan from when it was small must
/// not be kept.
const SETTINGS: &str = "set_config('lock_timeout', '5s', true), set_config('statement_timeout', '10s', true), \
    set_config('enable_seqscan', 'off', true)";

/// Connections to one database.
#[derive(Clone)]
pub(super) struct Pool(sqlx::PgPool);

/// A transaction of one tenant. What is not committed is undone when it is dropped.
pub(super) struct TenantTx {
    tenant: TenantId,
    transaction: Transaction<'static, Postgres>,
}

/// What a tenant's transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Looking some names up, at one moment.
    Look,
    /// Reading lists and what is around things, at one moment.
    Read,
    /// Writing: each statement sees what was committed before it.
    Write,
}

impl Pool {
    /// Connects when it is needed.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let options = options.application_name("annals-things").disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .max_lifetime(LIFETIME)
            // What ended meanwhile is seen at `begin`, which is made again.
            .test_before_acquire(false);
        Self(pool.connect_lazy_with(options))
    }

    /// A transaction of `tenant`.
    pub(super) async fn tenant(&self, tenant: &TenantId, purpose: Purpose) -> Result<TenantTx, Failure> {
        let mode = match purpose {
            Purpose::Look | Purpose::Read => "isolation level repeatable read read only",
            // Where the database is read-only, it says so.
            Purpose::Write => "isolation level read committed",
        };
        let plans = match purpose {
            // Some names have one good plan, which is made once; very many of a write do not.
            Purpose::Look => "force_generic_plan",
            Purpose::Read | Purpose::Write => "auto",
        };
        // A tenant's id has nothing in it that ends a text.
        let tenant_is = format!("set_config('annals.tenant', '{tenant}', true)");
        let role = ROLE;
        #[cfg(test)]
        let role = super::tampering::role(tenant, role);
        let begin = format!(
            "begin {mode}; select set_config('role', '{role}', true), {tenant_is}, \
            set_config('plan_cache_mode', '{plans}', true), {SETTINGS}"
        );
        Ok(TenantTx { tenant: tenant.clone(), transaction: self.begin(begin).await? })
    }

    /// A transaction that sees the outbox and nothing else.
    pub(super) async fn relay(&self) -> Result<Transaction<'static, Postgres>, Failure> {
        let mode = "isolation level read committed";
        self.begin(format!("begin {mode}; select set_config('role', 'annals_relay', true), {SETTINGS}")).await
    }

    /// Nothing has happened before it, so where the connection has ended it is made again on another.
    async fn begin(&self, statements: String) -> Result<Transaction<'static, Postgres>, Failure> {
        let mut left = CONNECTIONS;
        loop {
            match self.0.begin_with(statements.clone()).await {
                Err(error) if left > 0 && ended(&error) => left -= 1,
                begun => return Ok(begun?),
            }
        }
    }

    /// A connection whose rights are those of whoever connects.
    pub(super) async fn check(&self) -> Result<sqlx::pool::PoolConnection<Postgres>, sqlx::Error> {
        self.0.acquire().await
    }
}

impl TenantTx {
    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// A statement whose `$1` is the tenant.
    pub(super) fn query<'q>(&self, sql: &'q str) -> Query<'q, Postgres, PgArguments> {
        #[cfg(test)]
        let sql = super::tampering::tampered(&self.tenant, sql);
        sqlx::query(sql).bind(self.tenant.as_str().to_owned())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        self.transaction.commit().await.map_err(|error| Failure::commit(&error))
    }
}

/// Whether the connection was gone: the server closed it, or ended the session.
fn ended(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P05")),
        _ => false,
    }
}
