//! Owns the version of the tables. Never goes back: those of a later version are refused.

use anyhow::{Context as _, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

/// In order; the table `migrations` has the numbers of those that were made.
const MIGRATIONS: [&str; 6] = [
    include_str!("../../../../../migrations/things/postgres/0001_things.sql"),
    include_str!("../../../../../migrations/things/postgres/0002_requests.sql"),
    include_str!("../../../../../migrations/things/postgres/0003_updated.sql"),
    include_str!("../../../../../migrations/things/postgres/0004_updated.sql"),
    include_str!("../../../../../migrations/things/postgres/0005_imports.sql"),
    include_str!("../../../../../migrations/things/postgres/0006_schemas.sql"),
];
/// Whoever migrates has this lock.
const LOCK: i64 = 0x616e_6e61_6c74;

/// Brings the tables to this version, and says how many migrations that took. The caller of the database must own its tables.
pub(in crate::store) async fn migrate(options: &PgConnectOptions) -> anyhow::Result<usize> {
    let mut connection = options.connect().await.context("the database cannot be reached")?;
    connection.execute(sqlx::query("select pg_advisory_lock($1)::text").bind(LOCK)).await?;
    connection
        .execute(
            "create table if not exists migrations (
                number integer primary key,
                made_at timestamptz not null default now()
            )",
        )
        .await
        .context("the database's user cannot make tables")?;
    let version = version(&mut connection).await?;
    let missing = MIGRATIONS.iter().enumerate().skip(version);
    for (number, migration) in missing {
        let mut transaction = connection.begin().await?;
        transaction.execute(*migration).await.with_context(|| format!("migration {}", number + 1))?;
        let sql = "insert into migrations (number) values ($1)";
        transaction.execute(sqlx::query(sql).bind(number as i32 + 1)).await?;
        transaction.commit().await?;
    }
    connection.execute("grant select on migrations to annals_things, annals_relay").await?;
    connection.close().await?;
    Ok(MIGRATIONS.len() - version)
}

/// Refuses a database whose tables are not of this version.
pub(super) async fn check(connection: &mut PgConnection) -> anyhow::Result<()> {
    let made: bool =
        sqlx::query_scalar("select to_regclass('migrations') is not null").fetch_one(&mut *connection).await?;
    let version = if made { version(connection).await? } else { 0 };
    if version < MIGRATIONS.len() {
        bail!("its tables have version {version}, this program needs {}: run `annals migrate`", MIGRATIONS.len());
    }
    Ok(())
}

async fn version(connection: &mut PgConnection) -> anyhow::Result<usize> {
    let sql = "select coalesce(max(number), 0) from migrations";
    let version = sqlx::query_scalar::<_, i32>(sql).fetch_one(connection).await? as usize;
    if version > MIGRATIONS.len() {
        bail!("its tables have version {version}, this program knows {}: run a newer one", MIGRATIONS.len());
    }
    Ok(version)
}
