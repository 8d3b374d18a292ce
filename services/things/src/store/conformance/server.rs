//! Owns the databases of the cases: each case has one, on a server of the process.

#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/backends.rs"]
mod backends;
#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/catalogs.rs"]
mod catalogs;

// What the harness's file is written with.
use serde_json as _;

/// The address of a database that nobody has used, on PostgreSQL of this version. Blocks.
pub(crate) fn fresh(version: u32) -> String {
    catalogs::fresh(&backends::python(), version)
}
