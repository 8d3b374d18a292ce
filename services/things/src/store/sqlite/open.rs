//! Owns how the database file is opened: its directory, lock, pragmas and first rows.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::Clock;
use rusqlite::{Connection, OpenFlags};
use serve::Tasks;
use serve::health::Readiness;
use ulid::Ulid;

use super::Sqlite;
use super::migrate::migrate;
use super::outbox::{self, Waiting};
use super::readers::Readers;
use super::writer::Writer;

/// Pages in the log before a commit also copies them into the file: 16 MiB, so that an import does so seldom.
const CHECKPOINT_PAGES: u32 = 4_096;
/// Memory for the writer's pages, in KiB: a whole group fits, so that none is written before its commit.
const WRITER_CACHE_KIB: i32 = 64 << 10;
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 64;
/// How long a reader may wait for a lock, which in WAL mode only recovery holds.
const READER_LOCK: Duration = Duration::from_millis(100);

/// Opens the database, creating it or bringing its tables to this version.
pub(in crate::store) async fn open(
    file: &Path,
    clock: Clock,
    readiness: Readiness,
    tasks: &Tasks,
) -> anyhow::Result<Sqlite> {
    let (path, opening) = (file.to_owned(), clock.clone());
    let prepared = tokio::task::spawn_blocking(move || {
        let (lock, connection, relay) = prepare(&path, &opening)?;
        anyhow::Ok((lock, connection, relay, Readers::open(path)?))
    });
    let (lock, connection, relay, readers) = prepared.await.context("opening was interrupted")??;
    let waiting = Arc::new(Waiting::default());
    let writer = Writer::start(file.to_owned(), connection, clock, Arc::clone(&waiting), readiness, tasks)?;
    Ok(Sqlite { writer, readers: Arc::new(readers), waiting, relay, _lock: lock })
}

fn prepare(file: &Path, clock: &Clock) -> anyhow::Result<(File, Connection, Ulid)> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let lock = lock(&file.with_extension("lock"))?;
    let mut connection = write_connection(file)?;
    migrate(&mut connection)?;
    let relay = outbox::found(&connection, clock)?;
    sync_names(directory)?;
    Ok((lock, connection, relay))
}

/// The engine syncs what it writes into files; that the names on the way to them are there, is for us to make sure of:
/// those in `directory`, its own in the data directory, and that one's. What may not be read was made by others.
fn sync_names(directory: &Path) -> io::Result<()> {
    for directory in directory.ancestors().take(3) {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        match File::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            directory => directory?.sync_all()?,
        }
    }
    Ok(())
}

/// One process at a time has the database: the writer's queue and clock are its alone.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("{} is locked by another process", path.display()),
        Err(TryLockError::Error(error)) => Err(error).context("the lock file cannot be locked"),
    }
}

/// The connection that writes.
pub(super) fn write_connection(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    ensure!(mode == "wal", "the database cannot be put into WAL mode, it stays in {mode}");
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // What a savepoint may have to undo.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn read_connection(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(READER_LOCK)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
