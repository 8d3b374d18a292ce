//! Annals measured against named baselines, in one run on one machine.
//!
//! Each command prints its figures as a table and fails if a floor is not reached. Servers run as processes of their
//! own from the directory of this binary; the load generator shares the machine with them, and the baselines too.

mod aggregate;
mod append;
mod archive;
#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../tests/harness/catalogs.rs"]
mod catalogs;
mod commits;
mod database;
mod echo;
mod engine;
mod entity;
mod eval;
mod get;
mod import;
#[expect(unreachable_pub, reason = "the harness has it too")]
#[path = "../../tests/harness/load.rs"]
mod load;
mod ready;
mod recall;
mod reopen;
mod report;
#[expect(unreachable_pub, reason = "the harness has it too")]
#[path = "../../tests/harness/s3.rs"]
mod s3;
mod scale;
mod search;
mod server;
mod things;
mod vectors;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// Measures Annals against named baselines.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// All of them.
    All {
        /// Directory of the O*NET files.
        #[arg(long, default_value = "../shared/data/onet")]
        onet: PathBuf,
    },
    /// Import of tasks.tsv until History serves its last row, against plain SQLite inserts.
    Import {
        /// Directory of the O*NET files.
        #[arg(long, default_value = "../shared/data/onet")]
        onet: PathBuf,
    },
    /// GET of one thing over gRPC and HTTP, against servers that return the same bytes.
    Get,
    /// Append of 1 KiB events in batches of 100, against a file with an fdatasync for each batch.
    Append,
    /// Time from start on an empty directory until ready.
    Ready,
    /// Start on a journal of 1 KiB events until ready, and the memory then, against reading the same files.
    Reopen {
        /// How many events.
        #[arg(long, default_value_t = 1_000_000)]
        events: usize,
    },
    /// Appends with resends while the archive is written and kept up, and the memory that takes.
    Archive {
        /// How many events.
        #[arg(long, default_value_t = 1_000_000)]
        events: usize,
    },
    /// Commits of the archive with upkeep on, and the files and manifests that a day has then.
    Commits {
        /// How many commits.
        #[arg(long, default_value_t = 200)]
        commits: usize,
    },
    /// The history of one name among many of 90 days in an archive on an S3 server, and the requests it takes.
    Entity {
        /// How many mutations.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..))]
        mutations: u64,
    },
    /// Figures of events in the archive, against DuckDB and the ClickHouse engine on the same files.
    Aggregate {
        /// How many events.
        #[arg(long, default_value_t = 1_000_000)]
        events: usize,
    },
    /// Searches among O*NET's things in each way, and writes that are searched for at once.
    Search {
        /// Directory of the O*NET files.
        #[arg(long, default_value = "../shared/data/onet")]
        onet: PathBuf,
        /// How many writes.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        writes: u64,
    },
    /// Searches by vectors that clients give: how many of the nearest are found, with filters and without, and at what cost.
    Vectors {
        /// How many vectors.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10_000..))]
        count: u64,
    },
    /// Things in PostgreSQL read, put and imported, against pgbench and COPY on the same server; in SQLite put, against single commits.
    Things,
    /// What reading, putting and listing cost among very many things, against an empty store and the first page.
    Scale {
        /// How many things.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
        things: u64,
    },
    /// How good what search finds is, on O*NET; `cargo xtask eval` runs it.
    Eval {
        /// Directory of the O*NET files.
        #[arg(long, default_value = "../shared/data/onet")]
        onet: PathBuf,
        /// Directory of a model, to measure by its vectors too.
        #[arg(long)]
        model: Option<PathBuf>,
        /// Print what each weight of words would give where words and vectors both count, by this embedder; nothing else.
        #[arg(long, value_name = "EMBEDDER")]
        weights: Option<String>,
    },
    /// Serves the baseline of `get`; started by it.
    #[command(hide = true)]
    Echo {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Args::parse().bench {
        Bench::All { onet } => {
            let mut report = ready::run().await?;
            report.extend(import::run(&onet).await?);
            report.extend(get::run().await?);
            report.extend(append::run().await?);
            report.extend(reopen::run(1_000_000).await?);
            report.extend(archive::run(1_000_000).await?);
            report.extend(commits::run(200).await?);
            report.extend(aggregate::run(1_000_000).await?);
            report.finish()
        }
        Bench::Import { onet } => import::run(&onet).await?.finish(),
        Bench::Get => get::run().await?.finish(),
        Bench::Append => append::run().await?.finish(),
        Bench::Reopen { events } => reopen::run(events).await?.finish(),
        Bench::Archive { events } => archive::run(events).await?.finish(),
        Bench::Entity { mutations } => entity::run(mutations).await?.finish(),
        Bench::Commits { commits } => commits::run(commits).await?.finish(),
        Bench::Aggregate { events } => aggregate::run(events).await?.finish(),
        Bench::Search { onet, writes } => search::run(&onet, writes as usize).await?.finish(),
        Bench::Vectors { count } => vectors::run(count as usize).await?.finish(),
        Bench::Things => things::run().await?.finish(),
        Bench::Scale { things } => scale::run(things).await?.finish(),
        Bench::Eval { onet, weights: Some(embedder), .. } => eval::weights(&onet, &embedder).await,
        Bench::Eval { onet, model, .. } => eval::run(&onet, model.as_deref()).await,
        Bench::Ready => ready::run().await?.finish(),
        Bench::Echo { listen } => echo::serve(listen).await,
    }
}
