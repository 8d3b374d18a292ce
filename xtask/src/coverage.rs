//! Line coverage of the product by the tests that can be traced, measured by cargo-tarpaulin through ptrace.
//!
//! Through ptrace, because it sees the servers that a test starts and kills (an instrumented binary writes its
//! counts when it exits, which a killed one never does) and needs no LLVM tools.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::backends::{Backends, check_shell};
use crate::workspace::{Step, Workspace};

const TARPAULIN: &str = "0.37.5";
/// Below this share of lines, in percent, it fails.
const FLOOR: &str = "80";
/// Test targets that are left out: `tidy` reads sources, the servers of `faults` run under the sync shim, where they crash when
/// they are traced, and those of `e2e` are so slow under a tracer that its cases meet their deadlines. What these reach
/// besides comes on top of what is printed.
const NOT_TRACED: [&str; 3] = ["e2e", "faults", "tidy"];
/// Cases that tarpaulin loses: those that start programs of others (PostgreSQL, S3, a REST catalog), which are traced too and
/// crash of it; and one that does very much of the same. Nearly all that they reach, other cases reach as well.
const SKIPPED: [&str; 5] = ["onet::", "volume::", "a_rest_catalog", "postgres_is_a_catalog", "a_bucket_"];
/// Longest silence of one test binary, in seconds; a whole suite is silent to tarpaulin while it runs.
const TIMEOUT: &str = "1800";
/// As tarpaulin sets them, so that the servers we build for the tests to start share its build.
const RUSTFLAGS: &str = "-Cdebuginfo=2 -Cstrip=none --cfg=tarpaulin -Clink-dead-code";
/// Not the product. What is generated lies under the target directory, which tarpaulin leaves out by itself.
const NOT_PRODUCT: [&str; 7] =
    ["xtask/*", "benches/*", "tests/*", "*/tests.rs", "*/tests/*", "*_test.rs", "*/conformance*"];

/// Runs the tests of `packages`, or of all of them, and prints the coverage of the product's lines.
pub(crate) fn run(workspace: &Workspace, packages: &[String]) -> Result<()> {
    check_shell()?;
    Backends::install(workspace)?;
    let tarpaulin = install(workspace)?;
    let target = workspace.target.join("coverage");

    let mut step = workspace.step(tarpaulin).args(["tarpaulin", "--engine", "ptrace", "--follow-exec"]);
    step = step.args(["--skip-clean", "--ignore-config", "--timeout", TIMEOUT, "--fail-under", FLOOR]);
    step = step.args(["--out", "stdout", "--out", "lcov", "--output-dir"]).args([&target]);
    step = step.args(["--target-dir"]).args([&target]);
    for files in NOT_PRODUCT {
        step = step.args(["--exclude-files", files]);
    }
    if packages.is_empty() {
        let servers = workspace.cargo(["build", "--workspace", "--bins", "--target-dir"]);
        servers.args([&target]).env("RUSTFLAGS", RUSTFLAGS).run()?;
        step = step.args(["--workspace", "--exclude", "xtask", "--exclude", "benches", "--lib", "--bins"]);
        for test in workspace.tests().filter(|test| !NOT_TRACED.contains(test)) {
            step = step.args(["--test", test]);
        }
    }
    for package in packages {
        let sources = workspace.package(package)?.join("src/*");
        step = step.args(["--package", package, "--include-files"]).args([sources]);
    }
    step.args(["--"]).args(SKIPPED.iter().flat_map(|tests| ["--skip", tests])).run()
}

/// Builds the pinned cargo-tarpaulin under the target directory, unless it is there.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("tools").join(format!("cargo-tarpaulin-{TARPAULIN}"));
    let program = directory.join("bin/cargo-tarpaulin");
    if !program.exists() {
        let build = directory.join("build");
        Step::new("cargo")
            .args(["install", "cargo-tarpaulin", "--locked", "--no-default-features", "--version", TARPAULIN])
            .args(["--root".as_ref(), directory.as_os_str(), "--target-dir".as_ref(), build.as_os_str()])
            .run()?;
        fs::remove_dir_all(&build)?;
    }
    Ok(program)
}
