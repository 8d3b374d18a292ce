//! Our index engines measured against others: in one run on one machine, on the same data, each at the same recall, one
//! query after the other on one thread.
//!
//! Prints its figures as a table, and fails if a floor is not reached. Everything but PostgreSQL is in this process.

mod measure;
mod onet;
mod ours;
mod pgvector;
#[expect(dead_code, reason = "the benchmarks of the server also move points")]
#[path = "../../src/vectors/points.rs"]
mod points;
#[path = "../../src/report.rs"]
mod report;
mod tantivy;
mod texts;
mod usearch;
mod vectors;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::report::Report;

/// As the program that we ship has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures our index engines against others.
#[derive(Parser)]
struct Args {
    /// What is compared; everything where nothing is said.
    part: Option<Part>,
    /// How many vectors.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    count: u64,
    /// Directory of the O*NET files.
    #[arg(long, default_value = "../shared/data/onet")]
    onet: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The nearest vectors, of all and of those that a filter passes, against usearch and pgvector.
    Vectors,
    /// The best texts for the words of a query, against tantivy alone.
    Texts,
}

fn main() -> anyhow::Result<()> {
    let Args { part, count, onet } = Args::parse();
    let mut report = Report::default();
    if part != Some(Part::Texts) {
        report.extend(vectors::run(count as usize)?);
    }
    if part != Some(Part::Vectors) {
        report.extend(texts::run(&onet)?);
    }
    report.finish()
}

/// Where data goes: beside this program, on the disk of the build and not in memory.
fn directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    program.parent().map(Path::to_owned).context("a program is in a directory")
}
