//! Owns the PostgreSQL servers of the cases: one of each version, which ends with the process. Each case has a database.

#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/backends.rs"]
mod backends;
#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/catalogs.rs"]
mod catalogs;

use std::sync::{LazyLock, Mutex, PoisonError};

// What the harness's file is written with.
use serde_json as _;

use self::catalogs::CatalogServer;

type Server = LazyLock<Mutex<CatalogServer>>;

static SERVERS: [(u32, Server); 2] = [(16, LazyLock::new(|| start(16))), (18, LazyLock::new(|| start(18)))];

fn start(version: u32) -> Mutex<CatalogServer> {
    Mutex::new(CatalogServer::database(&backends::python(), version))
}

/// The address of a database that nobody has used. Blocks.
pub(super) fn fresh(version: u32) -> String {
    let (_, server) = SERVERS.iter().find(|(of, _)| *of == version).expect("there is a server of that version");
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    server.forget();
    server.told("url").expect("a server tells its address").to_owned()
}
