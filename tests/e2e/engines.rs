//! Engines of others, unmodified, read the archive as we do: PyIceberg, DuckDB and ClickHouse, after every step.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use harness::{
    backends::python,
    catalogs::CatalogServer,
    cluster::{Cluster, Setup, Topology},
    events::every,
    s3::S3,
};
use proto::events::v1::{
    AppendRequest, CompactArchiveRequest, Event, ExpireArchiveRequest, GetArchiveRequest, QueryRequest,
    VerifyArchiveRequest,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Rounds of appends, each a commit of its own: more than a partition may have small files.
const ROUNDS: usize = 10;
/// The partitions of `events`: what is kept for a year, and what for ever. Each may have seven small files.
const MOST_FILES: i64 = 2 * 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_reads_the_archive_in_a_directory_as_we_do_after_every_step() {
    let cluster = Setup::new(Topology::AllInOne).archiving().start().await;
    every_step(&cluster, None, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_reads_the_archive_in_a_bucket_as_we_do_after_every_step() {
    let server = S3::start(&python());
    let cluster = Setup::new(Topology::AllInOne).archiving().bucket(server.endpoint(), "team/archive").start().await;
    every_step(&cluster, Some(&server), None).await;
    assert!(!cluster.data_dir().join("events/archive").exists());
}

/// Appends, compacts and expires, and compares after each step.
pub(crate) async fn every_step(cluster: &Cluster, bucket: Option<&S3>, catalog: Option<&CatalogServer>) {
    let mut events = cluster.events().await;
    for round in 0..ROUNDS {
        let event = |number| Event {
            event_type: if number % 7 == 0 { "error" } else { "log" }.into(),
            script_name: format!("worker-{}", number % 3),
            data: format!(r#"{{"round":{round},"number":{number},"text":"ä\"\\ 世"}}"#),
            status: (number % 2 == 0).then_some(200),
            ..Event::default()
        };
        events.append(AppendRequest { events: (0..50).map(event).collect(), relay: None }).await.unwrap();
        let path = format!("/river/gauge-{}", round % 4);
        cluster.http().put(&path, &json!({"type": "Gauge", "content": format!("{round}")})).await;
        archived(cluster).await;
    }
    compare(cluster, bucket, catalog).await;

    let mut merges = events.compact_archive(CompactArchiveRequest {}).await.unwrap().into_inner();
    while let Some(merge) = merges.message().await.unwrap() {
        assert!(merge.files > 1);
    }
    let tables = events.get_archive(GetArchiveRequest {}).await.unwrap().into_inner().tables;
    assert!(tables[0].files <= MOST_FILES, "{tables:?}");
    compare(cluster, bucket, catalog).await;

    let mut gone = events.expire_archive(ExpireArchiveRequest {}).await.unwrap().into_inner();
    while let Some(gone) = gone.message().await.unwrap() {
        assert!(gone.snapshots > 0 && gone.files > 0, "{gone:?}");
    }
    let told = compare(cluster, bucket, catalog).await;
    for table in ["events", "history"] {
        assert!(told.contains(&format!("files {table} 0 0\n")), "{told}");
    }

    let mut tables = events.verify_archive(VerifyArchiveRequest {}).await.unwrap().into_inner();
    while let Some(table) = tables.message().await.unwrap() {
        assert_eq!(table.problems, [""; 0]);
    }
}

/// Returns when the journal has nothing that the archive has not.
pub(crate) async fn archived(cluster: &Cluster) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    // The relay may still be bringing a mutation; the next round waits for it too.
    while cluster.events().await.get_archive(GetArchiveRequest {}).await.unwrap().into_inner().pending_bytes > 0 {
        tick.tick().await;
    }
}

/// Compares what each engine reads with what we do; answers what they told.
pub(crate) async fn compare(cluster: &Cluster, bucket: Option<&S3>, catalog: Option<&CatalogServer>) -> String {
    archived(cluster).await;
    let ours = ours(cluster).await;
    let theirs = theirs(&cluster.data_dir().join("events"), bucket, catalog);
    for engine in ["pyiceberg", "duckdb", "clickhouse"] {
        for (table, told) in &ours {
            let line = format!("{engine} {table} {told}");
            assert!(theirs.lines().any(|theirs| theirs == line), "{line}\n{theirs}");
        }
    }
    theirs
}

/// Number of rows and checksum of each table, as we read it.
async fn ours(cluster: &Cluster) -> [(&'static str, String); 2] {
    let query = QueryRequest { page_size: 1_000, ..QueryRequest::default() };
    let mut rows = every(cluster.events().await, query).await.unwrap();
    rows.sort_by(|one, other| one.ulid.cmp(&other.ulid));
    let told = |rows: &[&Event]| {
        let mut checksum = Sha256::new();
        for event in rows {
            checksum.update(&event.ulid);
            checksum.update(&event.data);
        }
        let mut told = format!("{} ", rows.len());
        for byte in checksum.finalize() {
            write!(told, "{byte:02x}").expect("a string grows");
        }
        told
    };
    let all: Vec<_> = rows.iter().collect();
    let mutations: Vec<_> = rows.iter().filter(|event| event.event_type == "mutation").collect();
    [("events", told(&all)), ("history", told(&mutations))]
}

fn theirs(directory: &Path, bucket: Option<&S3>, catalog: Option<&CatalogServer>) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/engines.py");
    let (endpoint, catalog) = (bucket.map(S3::endpoint), catalog.map(CatalogServer::pyiceberg));
    let where_it_is = json!({"endpoint": endpoint, "catalog": catalog}).to_string();
    let output = Command::new(python()).arg(script).arg(directory).arg(where_it_is).output().expect("Python starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}
