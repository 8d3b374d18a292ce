//! The archive on the catalogs that are servers: PostgreSQL and a REST catalog. Other engines open it by them, and
//! whatever a commit meets there, each event is there once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::{
    backends::python,
    catalogs::CatalogServer,
    cluster::{Cluster, Setup, Topology},
    events::every,
    program::command,
    s3::S3,
};
use proto::events::v1::{
    AppendRequest, CompactArchiveRequest, Event, ExpireArchiveRequest, QueryRequest, VerifyArchiveRequest,
    events_service_client::EventsServiceClient,
};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::engines::{archived, compare, every_step};

/// Commits that go wrong in each way.
const FAULTS: usize = 3;
/// Those who append.
const WRITERS: usize = 4;
/// Events of one append.
const BATCH: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_reads_an_archive_in_postgres_as_we_do() {
    let catalog = CatalogServer::postgres(&python());
    let cluster = Setup::new(Topology::AllInOne).archiving().catalog(&catalog).start().await;
    every_step(&cluster, None, Some(&catalog)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_reads_an_archive_in_a_rest_catalog_as_we_do() {
    let catalog = CatalogServer::rest(&python(), &json!({}));
    let cluster = Setup::new(Topology::AllInOne).archiving().catalog(&catalog).start().await;
    every_step(&cluster, None, Some(&catalog)).await;
}

/// Only the URL of the bucket is set: where it is and the key for it comes from the catalog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_engine_reads_an_archive_in_a_bucket_whose_key_a_rest_catalog_gives_as_we_do() {
    let server = S3::start(&python());
    let key = json!({
        "s3.endpoint": server.endpoint(),
        "s3.access-key-id": "annals",
        "s3.secret-access-key": "annals",
        "client.region": "us-east-1",
    });
    let catalog = CatalogServer::rest(&python(), &json!({"config": key, "io": key}));
    let setup = Setup::new(Topology::AllInOne).archiving().catalog(&catalog);
    let cluster = setup.events_setting("ANNALS_ARCHIVE_URL", "s3://annals/team/archive").start().await;
    every_step(&cluster, Some(&server), Some(&catalog)).await;
    assert!(!cluster.data_dir().join("events/archive").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_there_once_whatever_commits_to_postgres_meet() {
    let catalog = CatalogServer::postgres(&python());
    load_with_faults(catalog, &["refused", "failed", "lost", "late"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_there_once_whatever_commits_to_a_rest_catalog_meet() {
    let catalog = CatalogServer::rest(&python(), &json!({}));
    load_with_faults(catalog, &["refused", "conflict", "failed", "lost", "gateway", "late"]).await;
}

#[test]
fn a_catalog_that_cannot_be_used_is_told_at_the_start_in_one_line() {
    let rest = CatalogServer::rest(&python(), &json!({}));
    let url = rest.told("url").unwrap();
    for (flags, told) in [
        (
            &["--archive-catalog", "http://127.0.0.1:9"][..],
            "the archive's catalog http://127.0.0.1:9 does not answer: start it, or give another --archive-catalog",
        ),
        (
            &["--archive-catalog", "postgres://ada:geheim@127.0.0.1:9/annals"],
            "the archive's catalog postgres://127.0.0.1:9/annals does not answer: start it, or give another",
        ),
        (
            &[
                "--archive-catalog",
                url,
                "--archive-catalog-token",
                "geheim",
                "--archive-catalog-warehouse",
                "harbour-0",
            ],
            "the configuration is answered 401 Unauthorized: the token is not known: give another --archive-catalog-token",
        ),
        (
            &["--archive-catalog", url, "--archive-catalog-token", "token-of-the-tests"],
            "the configuration is answered 404 Not Found: no such warehouse",
        ),
        (&["--archive-catalog", "mysql://ada:geheim@host/db"], "--archive-catalog: must begin with postgres://"),
        (&["--archive-catalog-token", "geheim"], "--archive-catalog-token: is for a REST catalog: give"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut annals = command("annals");
        annals.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path()).args(flags);
        let output = annals.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.lines().any(|line| line.contains(told)), "{flags:?}\n{said}");
        assert!(!said.contains("geheim"), "{said}");
    }
}

/// What was acknowledged, by ULID, with its number.
type Acknowledged = Arc<Mutex<BTreeMap<String, usize>>>;

async fn load_with_faults(catalog: CatalogServer, kinds: &[&str]) {
    let mut cluster = Setup::new(Topology::AllInOne).archiving().catalog(&catalog).start().await;
    let (acknowledged, is_over) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let events = cluster.events().await;
        writers.spawn(append(writer, events, Arc::clone(&acknowledged), Arc::clone(&is_over)));
    }
    for kind in kinds {
        catalog.fail(kind, FAULTS);
        until(|| catalog.met(kind) >= FAULTS as u64).await;
        assert_reads_go_on(&cluster).await;
    }
    catalog.fail("away", 1);
    until(|| catalog.met("away") >= FAULTS as u64).await;
    let before = acknowledged.lock().unwrap().len();
    until(|| acknowledged.lock().unwrap().len() > before + 10 * BATCH).await;
    assert_reads_go_on(&cluster).await;
    catalog.fail("away", 0);
    // Killed with a commit of which it never hears.
    catalog.fail("lost", 1);
    until(|| catalog.met("lost") > FAULTS as u64).await;
    is_over.store(true, Ordering::Relaxed);
    writers.join_all().await;
    cluster.kill_and_restart("events").await;
    catalog.settle();

    archived(&cluster).await;
    let mut events = cluster.events().await;
    let mut merges = events.compact_archive(CompactArchiveRequest {}).await.unwrap().into_inner();
    while merges.message().await.unwrap().is_some() {}
    let mut gone = events.expire_archive(ExpireArchiveRequest {}).await.unwrap().into_inner();
    while gone.message().await.unwrap().is_some() {}
    let mut tables = events.verify_archive(VerifyArchiveRequest {}).await.unwrap().into_inner();
    while let Some(table) = tables.message().await.unwrap() {
        assert_eq!(table.problems, [""; 0]);
    }
    assert_eq!(read(&cluster).await, *acknowledged.lock().unwrap());
    let told = compare(&cluster, None, Some(&catalog)).await;
    for table in ["events", "history"] {
        assert!(told.contains(&format!("files {table} 0 0\n")), "{told}");
    }
}

/// Appends until it is over, and notes what was acknowledged.
async fn append(
    writer: usize,
    mut events: EventsServiceClient<Channel>,
    acknowledged: Acknowledged,
    is_over: Arc<AtomicBool>,
) {
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let numbers: Vec<_> = (0..BATCH).map(|at| (number + at) * WRITERS + writer).collect();
        number += BATCH;
        let event = |number: &usize| Event {
            event_type: "log".into(),
            data: format!(r#"{{"number":{number}}}"#),
            ..Event::default()
        };
        let request = AppendRequest { events: numbers.iter().map(event).collect(), relay: None };
        // The journal takes them while the catalog is away.
        let answer = events.append(request).await.unwrap().into_inner();
        acknowledged.lock().unwrap().extend(answer.ulids.into_iter().zip(numbers));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Every event, by ULID, with its number.
async fn read(cluster: &Cluster) -> BTreeMap<String, usize> {
    let query = QueryRequest { page_size: 1_000, ..QueryRequest::default() };
    let rows = every(cluster.events().await, query).await.unwrap();
    let count = rows.len();
    let number = |event: &Event| {
        let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        data["number"].as_u64().unwrap() as usize
    };
    let read: BTreeMap<_, _> = rows.iter().map(|event| (event.ulid.clone(), number(event))).collect();
    assert_eq!(read.len(), count, "an event is there twice");
    read
}

async fn assert_reads_go_on(cluster: &Cluster) {
    let request = QueryRequest { page_size: 10, ..QueryRequest::default() };
    let page = cluster.events().await.query(request).await.unwrap().into_inner();
    assert_eq!(page.events.len(), 10);
}

async fn until(is_so: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while !is_so() {
        tick.tick().await;
    }
}
