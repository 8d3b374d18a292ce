//! Owns the version of the tables. Never goes back: a file of a later version is refused.

use rusqlite::Connection;

/// In order; the file's `user_version` counts those that it has.
const MIGRATIONS: [&str; 6] = [
    include_str!("../../../../../migrations/things/sqlite/0001_things.sql"),
    include_str!("../../../../../migrations/things/sqlite/0002_requests.sql"),
    include_str!("../../../../../migrations/things/sqlite/0003_updated.sql"),
    include_str!("../../../../../migrations/things/sqlite/0004_updated.sql"),
    include_str!("../../../../../migrations/things/sqlite/0005_imports.sql"),
    include_str!("../../../../../migrations/things/sqlite/0006_schemas.sql"),
];

/// Brings the tables to this version.
pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    anyhow::ensure!(
        version <= MIGRATIONS.len(),
        "the tables have version {version}, this program knows {}: run a newer one",
        MIGRATIONS.len()
    );
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
