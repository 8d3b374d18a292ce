//! Owns the SQL catalog in PostgreSQL. Never reads or writes a metadata file.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::Mutex, time::timeout};

use super::{CATALOG, NAMESPACE, SQL_TABLES, Swap};
use crate::archive::Error;

/// The longest that an answer is waited for. The server gives up before: [`BOUNDS`].
const PATIENCE: Duration = Duration::from_secs(15);
/// A transaction waits no longer for locks and statements.
const BOUNDS: &str = "set local lock_timeout = '5s'; set local statement_timeout = '10s'; \
                      set local idle_in_transaction_session_timeout = '10s'";
/// Its commit is answered when it is durable, whatever the database's default is.
const DURABLE: &str = "set local synchronous_commit = on";

/// The catalog in a database.
pub(crate) struct Postgres {
    options: PgConnectOptions,
    /// The connection, after a call that left it whole.
    connection: Mutex<Option<PgConnection>>,
}

impl Postgres {
    /// Connects, and makes the catalog's tables if they are not there.
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, Error> {
        // Without prepared statements, which some poolers do not know.
        let options =
            options.clone().statement_cache_capacity(0).application_name("annals").disable_statement_logging();
        let catalog = Self { options, connection: Mutex::new(None) };
        // Of two that make a table, one is refused and then finds it.
        if catalog.make_tables().await.is_err() {
            catalog.make_tables().await?;
        }
        Ok(catalog)
    }

    /// The location of a table's current metadata; nothing if there is no such table.
    pub(super) async fn current(&self, table: &str) -> Result<Option<String>, Error> {
        let kept = self.connection.lock().await.take();
        if let Some(connection) = kept
            && let Ok(current) = self.read(connection, table).await
        {
            return Ok(current);
        }
        // A connection that was kept may have been closed by the server meanwhile; a new one has not.
        let connection = self.connect().await?;
        self.read(connection, table).await
    }

    /// Makes `next` the current metadata if `previous` still is. Without `previous`, if there is no such table. An error
    /// means that it is not done, and never will be.
    pub(super) async fn swap(&self, table: &str, previous: Option<&str>, next: &str) -> Result<Swap, Error> {
        let mut connection = self.take().await?;
        let update = async {
            connection.execute("begin").await?;
            connection.execute(BOUNDS).await?;
            connection.execute(DURABLE).await?;
            let query = match previous {
                None => sqlx::query(
                    "insert into iceberg_tables (catalog_name, table_namespace, table_name, metadata_location)
                     values ($1, $2, $3, $4)
                     on conflict do nothing",
                ),
                Some(_) => sqlx::query(
                    "update iceberg_tables
                     set metadata_location = $4, previous_metadata_location = $5
                     where catalog_name = $1 and table_namespace = $2 and table_name = $3 and metadata_location = $5",
                ),
            };
            let query = query.bind(CATALOG).bind(NAMESPACE).bind(table).bind(next);
            let query = if previous.is_some() { query.bind(previous) } else { query };
            Ok(query.execute(&mut connection).await?.rows_affected())
        };
        // Until the commit is sent, closing the connection undoes it.
        let changed = self.bounded(update).await?;
        let end = if changed == 1 { "commit" } else { "rollback" };
        match self.bounded(async { connection.execute(end).await }).await {
            Ok(_) => {
                self.keep(connection).await;
                Ok(if changed == 1 { Swap::Done } else { Swap::Lost })
            }
            Err(_) if changed == 0 => Ok(Swap::Lost),
            Err(error) => Ok(Swap::Unknown(error)),
        }
    }

    async fn make_tables(&self) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        let make = async {
            // Whoever may not make tables may use those that are there.
            let is_made: bool = sqlx::query_scalar(
                "select to_regclass('iceberg_tables') is not null
                 and to_regclass('iceberg_namespace_properties') is not null",
            )
            .fetch_one(&mut connection)
            .await?;
            if !is_made {
                connection.execute(SQL_TABLES).await?;
            }
            // A namespace exists for other engines by having a property.
            sqlx::query(
                "insert into iceberg_namespace_properties
                 values ($1, $2, 'exists', 'true')
                 on conflict do nothing",
            )
            .bind(CATALOG)
            .bind(NAMESPACE)
            .execute(&mut connection)
            .await?;
            Ok(())
        };
        self.bounded(make).await?;
        self.keep(connection).await;
        Ok(())
    }

    async fn read(&self, mut connection: PgConnection, table: &str) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar::<_, Option<String>>(
            "select metadata_location
             from iceberg_tables
             where catalog_name = $1 and table_namespace = $2 and table_name = $3",
        );
        let query = query.bind(CATALOG).bind(NAMESPACE).bind(table);
        let found = self.bounded(async { query.fetch_optional(&mut connection).await }).await?;
        self.keep(connection).await;
        Ok(found.flatten())
    }

    async fn take(&self) -> Result<PgConnection, Error> {
        let kept = self.connection.lock().await.take();
        match kept {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        self.bounded(async { PgConnection::connect_with(&self.options).await }).await
    }

    async fn keep(&self, connection: PgConnection) {
        *self.connection.lock().await = Some(connection);
    }

    /// The result of work that the server answers, or the error that it did not.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        let catalog = || {
            let database = self.options.get_database().unwrap_or_default();
            format!("postgres://{}:{}/{database}", self.options.get_host(), self.options.get_port())
        };
        match timeout(PATIENCE, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(sqlx::Error::Database(said))) => Err(Error::CatalogRefused {
                catalog: catalog(),
                said: format!("{} ({})", said.message(), said.code().unwrap_or_default()),
            }),
            Ok(Err(error)) => Err(Error::CatalogAway { catalog: catalog(), source: Box::new(error) }),
            Err(elapsed) => Err(Error::CatalogAway { catalog: catalog(), source: Box::new(elapsed) }),
        }
    }
}
