//! Owns the databases of PostgreSQL that clusters keep things in.

use std::process::Stdio;

use crate::{backends::python, catalogs, program::command};

/// The address of a database that nobody has used, on PostgreSQL of this version. Blocks.
pub fn fresh(version: u32) -> String {
    catalogs::fresh(&python(), version)
}

/// Makes the tables of a database, by `annals migrate`, and gives its address. Blocks.
pub fn migrated(url: String) -> String {
    let made = command("annals").arg("migrate").env("ANNALS_THINGS_STORE", &url).stdout(Stdio::null()).status();
    assert!(made.expect("annals starts").success(), "annals migrate fails");
    url
}
