//! `cargo xtask`: what is done to this workspace, each as one command.
//!
//! It only starts other programs and passes their failures on; what a check means is theirs.
//! Nothing here is part of Annals.

mod backends;
mod cold_build;
mod coverage;
mod lint;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::backends::{Backends, check_shell};
use crate::workspace::Workspace;

/// What is done to this workspace: check it, test it, measure it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test there is: unit, conformance, end to end, faults and tidy.
    ///
    /// Builds the same way as `cargo run`, so the two share their work. A single test is quicker with
    /// `cargo test NAME`, once `cargo xtask backends` has run.
    Test,

    /// Install what the tests talk to (buf, Python with grpcio, an S3 server) and print where.
    ///
    /// Goes into a Python environment of its own under the target directory, with the versions of
    /// xtask/backends.txt. Uses the network only when that list has changed.
    Backends,

    /// Build in release and run the benchmarks, with the arguments of `cargo xtask bench -- --help`.
    ///
    /// `cargo xtask bench build` measures the builds themselves: the CPU minutes that the README's first commands take
    /// with an empty target directory, one under the target directory that is removed afterwards. Fails above 20.
    Bench {
        /// `build`; everything else is passed on to the benchmarks as it is.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },

    /// Build in release and run what compares our index engines with others: usearch, pgvector and tantivy alone.
    ///
    /// They are benches/peers, a workspace of its own that no other task builds, under the target directory. The first time
    /// takes many minutes and needs a C++ compiler. `cargo xtask peers -- --help` says what can be compared alone.
    Peers {
        /// Passed on as they are; without any, everything is compared.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },

    /// Print how good what search finds is: nDCG@10 on sets of O*NET, for each way of looking; fails below a floor.
    ///
    /// By hash-v1, and by the `MiniLM` of the backends.
    Eval,

    /// Kill a loaded server, drop all that was not synced, check that nothing acknowledged is lost; many times.
    Crash {
        /// How many times.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Of servers that are built in release, for many rounds.
        #[arg(long)]
        release: bool,
    },

    /// Let the object store fail in every way on every kind of call under load, and check what is left; many times.
    StoreFaults {
        /// How many times.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },

    /// Kill search under load, and check that all that is there is found, and nothing else; many times.
    SearchFaults {
        /// How many times.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },

    /// Search at random as callers who do not see everything, and compare with what they find where nothing is hidden.
    TenantQueries {
        /// How many times.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        queries: u32,
    },

    /// Write to the same names through two processes on one PostgreSQL, kill these and that, and compare what was told with the log.
    Replicas {
        /// How many mutations.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        mutations: u32,
        /// Of servers that are built in release, for many mutations.
        #[arg(long)]
        release: bool,
    },

    /// Do random things to every store of things at once, and compare what each answers and has, after each.
    Differential {
        /// How many.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        operations: u32,
        /// The seed that a run has printed, to have it again.
        #[arg(long)]
        seed: Option<u64>,
    },

    /// Take away each condition that keeps tenants apart on PostgreSQL, alone, and row level security, and see that it is told.
    Isolation {
        /// The seed that a run has printed, to have it again.
        #[arg(long)]
        seed: Option<u64>,
    },

    /// Run the tests but for those of several processes under cargo-tarpaulin and print line coverage; fails below 80 %.
    ///
    /// Installs cargo-tarpaulin under the target directory if it is not there. Follows the servers that the
    /// tests start. Builds apart from the tests, with full debug information, and takes much longer than they do.
    Coverage {
        /// Only these packages.
        #[arg(short, long = "package", value_name = "PACKAGE")]
        packages: Vec<String>,
    },

    /// Check the format, clippy, the protos and the docs, without a warning.
    Lint,
}

fn main() -> ExitCode {
    let Err(error) = run(Arguments::parse().command) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test => test(&workspace),
        Task::Backends => {
            println!("{}", Backends::install(&workspace)?);
            Ok(())
        }
        Task::Bench { arguments } => bench(&workspace, &arguments),
        Task::Peers { arguments } => peers(&workspace, &arguments),
        Task::Eval => {
            workspace.cargo(["build", "--release", "--bin", "annals", "--bin", "benches"]).run()?;
            let model = Backends::install(&workspace)?.model()?;
            workspace
                .cargo(["run", "--release", "--quiet", "--bin", "benches", "--", "eval", "--model"])
                .args([model])
                .run()
        }
        Task::Crash { rounds, release } => repeat(&workspace, "crash_loop", "ANNALS_CRASH_ROUNDS", rounds, release),
        Task::StoreFaults { rounds } => {
            Backends::install(&workspace)?;
            repeat(&workspace, "bucket::object_store_faults", "ANNALS_STORE_FAULT_ROUNDS", rounds, false)
        }
        Task::SearchFaults { rounds } => repeat(
            &workspace,
            "search::after_kills_all_is_found_that_is_there",
            "ANNALS_SEARCH_FAULT_ROUNDS",
            rounds,
            false,
        ),
        Task::TenantQueries { queries } => repeat(
            &workspace,
            "tenants::what_somebody_finds_tells_nothing_of_what_they_may_not_see",
            "ANNALS_TENANT_QUERIES",
            queries,
            false,
        ),
        Task::Replicas { mutations, release } => {
            Backends::install(&workspace)?;
            if release {
                workspace.cargo(["build", "--release", "--bin", "things", "--bin", "events"]).run()?;
            }
            let test = "replicas::what_replicas_write_to_the_same_names_is_one_history";
            repeat(&workspace, test, "ANNALS_REPLICA_MUTATIONS", mutations, release)
        }
        Task::Differential { operations, seed } => {
            let test = "store::differential::random_operations_are_the_same_on_every_store";
            of_things(&workspace, test, "ANNALS_DIFFERENTIAL", ("OPERATIONS", operations), seed)
        }
        Task::Isolation { seed } => {
            of_things(&workspace, "store::isolation", "ANNALS_ISOLATION", ("CONDITIONS", u32::MAX), seed)
        }
        Task::Coverage { packages } => coverage::run(&workspace, &packages),
        Task::Lint => lint::run(&workspace),
    }
}

/// What is needed comes first: what a machine lacks is said before a long build.
/// The servers are built next, because the end-to-end tests start them and cargo does not know that they do.
fn test(workspace: &Workspace) -> Result<()> {
    check_shell()?;
    Backends::install(workspace)?;
    build_everything(workspace)?;
    let tested = workspace.cargo(["test", "--workspace"]).run();
    say_what_was_absent(workspace);
    tested
}

/// Cargo hides what tests print that pass.
fn say_what_was_absent(workspace: &Workspace) {
    const ONET: &str = "../shared/data/onet";

    if !workspace.root.join(ONET).is_dir() {
        eprintln!(
            "\nATTENTION: the O*NET data set is not in {ONET}. The cases on it (crates/annals/tests/program/onet.rs, \
             tests/e2e/onet.rs)\nran on the small set of tests/onet only; docs/onet.md says where the data is from."
        );
    }
}

fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if arguments == ["build"] {
        return cold_build::run(workspace);
    }
    Backends::install(workspace)?;
    workspace.cargo(["build", "--release", "--bin", "annals", "--bin", "events", "--bin", "benches"]).run()?;
    workspace.cargo(["run", "--release", "--quiet", "--bin", "benches", "--"]).args(arguments).run()
}

fn peers(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    Backends::install(workspace)?;
    let manifest = workspace.root.join("benches/peers/Cargo.toml");
    // Below the directory that has the backends: it looks for them above itself.
    let target = workspace.target.join("peers");
    let run = workspace.cargo(["run", "--release", "--manifest-path"]).args([manifest]);
    run.args(["--target-dir"]).args([target]).args(["--"]).args(arguments).run()
}

/// Runs tests of things for so much, as variables of that prefix tell it, by random numbers of that seed.
fn of_things(
    workspace: &Workspace,
    tests: &str,
    prefix: &str,
    (name, much): (&str, u32),
    seed: Option<u64>,
) -> Result<()> {
    Backends::install(workspace)?;
    let test = workspace.cargo(["test", "--package", "things", "--lib", "--", "--nocapture", tests]);
    let test = test.env(&format!("{prefix}_{name}"), much.to_string());
    match seed {
        Some(seed) => test.env(&format!("{prefix}_SEED"), seed.to_string()).run(),
        None => test.run(),
    }
}

/// Runs a test of `tests/faults` for so many rounds, as `variable` tells it.
fn repeat(workspace: &Workspace, test: &str, variable: &str, rounds: u32, release: bool) -> Result<()> {
    let arguments = ["test", "--workspace", "--test", "faults", test];

    let profile: &[&str] = if release { &["--release"] } else { &[] };
    if release {
        workspace.cargo(["build", "--release", "--bin", "annals"]).run()?;
    } else {
        build_everything(workspace)?;
    }
    // A filter that matches no test is a success to cargo.
    let tests = workspace.cargo(arguments).args(profile).args(["--", "--list"]).output()?;
    ensure!(tests.contains(&format!("{test}: test")), "tests/faults has no test {test}");
    let test = workspace.cargo(arguments).args(profile).args(["--", "--nocapture"]);
    test.env(variable, rounds.to_string()).run()
}

fn build_everything(workspace: &Workspace) -> Result<()> {
    workspace.cargo(["build", "--workspace", "--bins", "--tests"]).run()
}
