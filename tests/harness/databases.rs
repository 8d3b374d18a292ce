//! Owns the databases of PostgreSQL that clusters keep things in: one server of each version a process, which ends with it.

use std::{
    process::Stdio,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::{backends::python, catalogs::CatalogServer, program::command};

type Server = LazyLock<Mutex<CatalogServer>>;

static SERVERS: [(u32, Server); 2] = [(16, LazyLock::new(|| start(16))), (18, LazyLock::new(|| start(18)))];

fn start(version: u32) -> Mutex<CatalogServer> {
    Mutex::new(CatalogServer::database(&python(), version))
}

/// The address of a database that nobody has used, on PostgreSQL of this version. Blocks.
pub fn fresh(version: u32) -> String {
    let (_, server) = SERVERS.iter().find(|(of, _)| *of == version).expect("there is a server of that version");
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    server.forget();
    server.told("url").expect("a server tells its address").to_owned()
}

/// Makes the tables of a database, by `annals migrate`, and gives its address. Blocks.
pub fn migrated(url: String) -> String {
    let made = command("annals").arg("migrate").env("ANNALS_THINGS_STORE", &url).stdout(Stdio::null()).status();
    assert!(made.expect("annals starts").success(), "annals migrate fails");
    url
}
