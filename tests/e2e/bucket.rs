//! The archive in a bucket: nothing is lost or doubled whatever upkeep and restarts do, a store that is away is said as
//! such, and settings that cannot work are said at start.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Output,
    thread,
    time::Duration,
};

use harness::{
    backends::python,
    cluster::{Cluster, Setup, Topology},
    events::{counted, every},
    program::command,
    s3::S3,
};
use proto::{
    common::v1::Reason,
    events::v1::{
        AggregateRequest, AppendRequest, CompactArchiveRequest, Event, ExpireArchiveRequest, Function, Measure,
        QueryRequest, VerifyArchiveRequest,
    },
};
use serve::Refusal;

use crate::engines::archived;

/// More than a partition may have small files.
const ROUNDS: usize = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_there_once_after_flush_compaction_expiry_and_restarts() {
    let server = S3::start(&python());
    let mut cluster = Setup::new(Topology::Separate).archiving().bucket(server.endpoint(), "a").start().await;
    let mut expected = BTreeMap::new();
    for round in 0..ROUNDS {
        expected.extend(append(&cluster, round).await.into_iter().map(|ulid| (ulid, 1)));
        archived(&cluster).await;
        if round == ROUNDS / 2 {
            cluster.kill_and_restart("events").await;
        }
    }
    assert_eq!(seen(&cluster).await, expected);
    let mut merges = cluster.events().await.compact_archive(CompactArchiveRequest {}).await.unwrap().into_inner();
    while merges.message().await.unwrap().is_some() {}
    assert_eq!(seen(&cluster).await, expected);
    cluster.kill_and_restart("events").await;
    assert_eq!(seen(&cluster).await, expected);
    let mut gone = cluster.events().await.expire_archive(ExpireArchiveRequest {}).await.unwrap().into_inner();
    let mut files = 0;
    while let Some(gone) = gone.message().await.unwrap() {
        files += gone.files;
    }
    assert!(files > 0);
    assert_eq!(seen(&cluster).await, expected);
    cluster.kill_and_restart("events").await;
    expected.extend(append(&cluster, ROUNDS).await.into_iter().map(|ulid| (ulid, 1)));
    assert_eq!(seen(&cluster).await, expected);
    let mut tables = cluster.events().await.verify_archive(VerifyArchiveRequest {}).await.unwrap().into_inner();
    while let Some(table) = tables.message().await.unwrap() {
        assert_eq!(table.problems, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_archives_share_a_bucket_by_prefix_and_never_a_prefix() {
    let server = S3::start(&python());
    let setup = || Setup::new(Topology::AllInOne).archiving().bucket(server.endpoint(), "a");
    let one = setup().start().await;
    let other = Setup::new(Topology::AllInOne).archiving().bucket(server.endpoint(), "a/b").start().await;
    for (cluster, round) in [(&one, 0), (&other, 1)] {
        let expected: BTreeMap<_, _> = append(cluster, round).await.into_iter().map(|ulid| (ulid, 1)).collect();
        archived(cluster).await;
        let mut gone = cluster.events().await.expire_archive(ExpireArchiveRequest {}).await.unwrap().into_inner();
        while gone.message().await.unwrap().is_some() {}
        assert_eq!(seen(cluster).await, expected);
    }
    for cluster in [&one, &other] {
        assert_eq!(seen(cluster).await.len(), 20);
    }
    let said = start(server.endpoint(), "s3://annals/a");
    assert!(said.contains("s3://annals/a/events/metadata/") && said.contains("belongs to an archive"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_away_refuses_reads_for_now_and_takes_no_append_with_it() {
    let server = S3::start(&python());
    let cluster = Setup::new(Topology::AllInOne).archiving().bucket(server.endpoint(), "a").start().await;
    append(&cluster, 0).await;
    archived(&cluster).await;
    drop(server);
    let count = Measure { function: Function::Count.into(), ..Measure::default() };
    let figures = AggregateRequest { measures: vec![count], ..AggregateRequest::default() };
    for refused in [
        cluster.events().await.query(QueryRequest::default()).await.unwrap_err(),
        cluster.events().await.aggregate(figures).await.unwrap_err(),
    ] {
        let refusal = Refusal::from_status(&refused);
        assert_eq!(refusal.reason, Reason::StoreUnavailable, "{refused:?}");
        assert_eq!((refused.code(), refusal.retry_after), (tonic::Code::Unavailable, Some(Duration::from_secs(1))));
    }
    let problem = cluster.http().get("/_/events").await.expect(503);
    assert_eq!(problem.header("retry-after"), "1");
    append(&cluster, 1).await;
}

#[test]
fn a_bucket_that_cannot_be_used_is_one_line_at_start() {
    let (server, refusing) = (S3::start(&python()), refusing());
    let without_tls = server.endpoint().replace("http://", "https://");
    for (endpoint, url, told) in [
        (&*refusing, "s3://annals/a", "look at --archive-s3-access-key-id"),
        (server.endpoint(), "s3://nowhere/a", "NoSuchBucket"),
        (server.endpoint(), "s3://annals//a", "is not s3://BUCKET/PREFIX"),
        (&*without_tls, "s3://annals/a", "look at --archive-s3-endpoint"),
        ("http://127.0.0.1:1", "s3://annals/a", "look at --archive-s3-endpoint"),
        ("127.0.0.1:1", "s3://annals/a", "the endpoint is not https://HOST"),
    ] {
        let said = start(endpoint, url);
        assert!(said.contains(told) && !said.contains("never-told"), "{said}");
        let about = said.lines().filter(|line| line.contains(told)).count();
        assert_eq!(about, 1, "{said}");
    }
}

/// Where every key is refused, for as long as the test's process is there.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let body = "<Error><Code>InvalidAccessKeyId</Code>\n<Message>It does not exist</Message></Error>";
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 8_192]);
            let head = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: ";
            let _ = write!(stream, "{head}{}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

/// What `events` says that is to use this bucket and cannot.
fn start(endpoint: &str, url: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let Output { status, stdout, stderr } = command("events")
        .args(["--listen", "127.0.0.1:0", "--archive-url", url, "--archive-s3-endpoint", endpoint])
        .args(["--archive-s3-access-key-id", "annals", "--archive-s3-secret-access-key", "never-told"])
        .arg("--data-dir")
        .arg(dir.path())
        .env("ANNALS_PEER_KEY", format!("annals_peer_{}", "5".repeat(64)))
        .output()
        .expect("events starts");
    assert!(!status.success());
    format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
}

/// Appends twenty events and answers their ULIDs.
async fn append(cluster: &Cluster, round: usize) -> Vec<String> {
    let event = |number| Event {
        event_type: if number % 3 == 0 { "metric" } else { "log" }.into(),
        data: format!(r#"{{"round":{round},"number":{number}}}"#),
        ..Event::default()
    };
    let request = AppendRequest { events: (0..20).map(event).collect(), relay: None };
    cluster.events().await.append(request).await.unwrap().into_inner().ulids
}

/// How often each event is there, by ULID.
async fn seen(cluster: &Cluster) -> BTreeMap<String, usize> {
    let query = QueryRequest { page_size: 50, ..QueryRequest::default() };
    counted(every(cluster.events().await, query).await.unwrap())
}
