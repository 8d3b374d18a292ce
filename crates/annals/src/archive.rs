//! `annals archive`: how the long-term store is, and its upkeep by hand.

use domain::Json;
use proto::events::v1::{
    Archive, ArchiveTable, CompactArchiveRequest, ExpireArchiveRequest, GetArchiveRequest, VerifyArchiveRequest,
};

use crate::client::Client;

/// Look at the archive of events, and do its upkeep now.
///
/// The server merges small files and lets go of old ones by itself; these commands do so at once. Where there are keys,
/// they need one with the scope `peer`: the archive is of all tenants.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals archive status
  annals archive compact
  annals archive verify

`status` prints where each table's metadata is; DuckDB opens it with iceberg_scan('…').")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// How many files, bytes, rows and snapshots each table has, and where its metadata is.
    Status,
    /// Merge small files until no partition has many.
    Compact,
    /// Let go of snapshots older than an hour, and of files that nothing refers to.
    Expire,
    /// Check that every file is there and whole; fails if one is not.
    Verify,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let mut events = client.events();
    let mut lines: Vec<Line> = Vec::new();
    let mut is_whole = true;
    match args.what {
        What::Status => {
            let Archive { tables, pending_bytes } = events.get_archive(GetArchiveRequest {}).await?.into_inner();
            for table in tables {
                let ArchiveTable { name, files, bytes, rows, snapshots, manifests, cursor, metadata_location } = table;
                lines.push(vec![
                    ("table", name.into()),
                    ("rows", rows.into()),
                    ("files", files.into()),
                    ("bytes", bytes.into()),
                    ("manifests", manifests.into()),
                    ("snapshots", snapshots.into()),
                    ("cursor", cursor.into()),
                    ("metadata_location", metadata_location.into()),
                ]);
            }
            lines.push(vec![("table", "journal".into()), ("pending_bytes", pending_bytes.into())]);
        }
        What::Compact => {
            let mut merges = events.compact_archive(CompactArchiveRequest {}).await?.into_inner();
            while let Some(merge) = merges.message().await? {
                let line =
                    vec![("table", merge.table.into()), ("files", merge.files.into()), ("bytes", merge.bytes.into())];
                if !is_json {
                    eprintln!("merged {}", told(&line));
                }
                lines.push(line);
            }
            if lines.is_empty() && !is_json {
                eprintln!("no partition has many small files");
            }
        }
        What::Expire => {
            let mut tables = events.expire_archive(ExpireArchiveRequest {}).await?.into_inner();
            while let Some(gone) = tables.message().await? {
                lines.push(vec![
                    ("table", gone.table.into()),
                    ("snapshots", gone.snapshots.into()),
                    ("files", gone.files.into()),
                    ("bytes", gone.bytes.into()),
                ]);
            }
        }
        What::Verify => {
            let mut tables = events.verify_archive(VerifyArchiveRequest {}).await?.into_inner();
            while let Some(table) = tables.message().await? {
                is_whole &= table.problems.is_empty();
                let problems: Vec<Json> = table.problems.into_iter().map(Json::from).collect();
                lines.push(vec![
                    ("table", table.table.into()),
                    ("files", table.files.into()),
                    ("problems", problems.into()),
                ]);
            }
        }
    }
    if is_json {
        let objects = lines
            .into_iter()
            .map(|line| Json::Object(line.into_iter().map(|(name, value)| (name.into(), value)).collect()));
        println!("{}", Json::Array(objects.collect()));
    } else if !matches!(args.what, What::Compact) {
        for line in &lines {
            println!("{}", told(line));
        }
    }
    anyhow::ensure!(is_whole, "the archive is not whole: restore what is named above");
    Ok(())
}

/// What is told of one table: names and values.
type Line = Vec<(&'static str, Json)>;

/// `events    rows 3  files 1`.
fn told(line: &Line) -> String {
    let column = |(name, value): &(&str, Json)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if *name == "table" { format!("{text:<8}") } else { format!("  {} {text}", name.replace('_', " ")) }
    };
    line.iter().map(column).collect()
}
