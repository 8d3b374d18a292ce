//! Owns the SQL catalog in a file of SQLite. Never reads or writes a metadata file.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{CATALOG, NAMESPACE, SQL_TABLES, Swap};
use crate::{archive::Error, disk};

/// The catalog in a file.
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the catalog in a file, made if it is not there. A swap that was answered is durable.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        // Of a process that was killed in the middle of a commit, SQLite takes what was written and not synced: the journal
        // must not be cut for that before it is durable.
        connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))?;
        connection.execute_batch(SQL_TABLES)?;
        // A namespace exists for other engines by having a property.
        connection.execute(
            "insert or ignore into iceberg_namespace_properties values (?1, ?2, 'exists', 'true')",
            params![CATALOG, NAMESPACE],
        )?;
        // SQLite syncs what is in its files, and not their names.
        let directory = path.parent().unwrap_or(path);
        disk::sync_dir(directory).map_err(Error::io(directory))?;
        Ok(Self { connection })
    }

    /// The location of a table's current metadata; nothing if there is no such table.
    pub(super) fn current(&self, table: &str) -> Result<Option<String>, Error> {
        let found = self.connection.query_row(
            "select metadata_location
             from iceberg_tables
             where catalog_name = ?1 and table_namespace = ?2 and table_name = ?3",
            params![CATALOG, NAMESPACE, table],
            |row| row.get(0),
        );
        Ok(found.optional()?)
    }

    /// Makes `next` the current metadata if `previous` still is. Without `previous`, if there is no such table.
    pub(super) fn swap(&self, table: &str, previous: Option<&str>, next: &str) -> Swap {
        let changed = match previous {
            None => self.connection.execute(
                "insert or ignore into iceberg_tables values (?1, ?2, ?3, ?4, null, 'TABLE')",
                params![CATALOG, NAMESPACE, table, next],
            ),
            Some(previous) => self.connection.execute(
                "update iceberg_tables
                 set metadata_location = ?4, previous_metadata_location = ?5
                 where catalog_name = ?1 and table_namespace = ?2 and table_name = ?3 and metadata_location = ?5",
                params![CATALOG, NAMESPACE, table, next, previous],
            ),
        };
        match changed {
            Ok(1) => Swap::Done,
            Ok(_) => Swap::Lost,
            // A commit whose sync failed may be in the file all the same after the next start.
            Err(error) => Swap::Unknown(error.into()),
        }
    }
}
