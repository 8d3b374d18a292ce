//! A million events, some of them sent again, while they are archived and the archive is kept up: counted exactly, in bounded
//! memory. `cargo xtask bench archive --events N` does more of the same, and measures.

use domain::Cursor;
use harness::{
    cluster::{Cluster, Setup, Topology},
    load::{event, send},
};
use proto::events::v1::{
    AggregateRequest, AppendRequest, GetArchiveRequest, VerifyArchiveRequest, aggregate_value::Value,
};

const EVENTS: usize = 1_000_000;
const SENDERS: u64 = 4;
/// The most memory that the server may have, and after a restart.
const MOST: u64 = 512 << 20;
const MOST_RESTARTED: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_events_are_counted_exactly_in_bounded_memory() {
    let mut cluster = Setup::new(Topology::AllInOne).start().await;
    let senders =
        (0..SENDERS).map(async |sender| send(cluster.events().await, sender, EVENTS / SENDERS as usize).await);
    let sent: usize = futures::future::try_join_all(senders).await.unwrap().into_iter().sum();

    assert_eq!(count(&cluster).await, sent as i64);
    let archive = cluster.events().await.get_archive(GetArchiveRequest {}).await.unwrap().into_inner();
    assert!(archive.tables[0].rows > 0, "{archive:?}");
    assert!(cluster.peak_memory() < MOST, "{} MiB", cluster.peak_memory() >> 20);

    cluster.kill_and_restart("events").await;
    assert!(cluster.peak_memory() < MOST_RESTARTED, "{} MiB after a restart", cluster.peak_memory() >> 20);
    assert_eq!(count(&cluster).await, sent as i64);
    // A position counts what is stored.
    let events = vec![event(&domain::Clock::system(), &mut 1_000_001)];
    let answer = cluster.events().await.append(AppendRequest { events, relay: None }).await.unwrap().into_inner();
    assert_eq!(answer.cursor.parse::<Cursor>().unwrap().offset, sent as u64 + 1);
    let mut tables = cluster.events().await.verify_archive(VerifyArchiveRequest {}).await.unwrap().into_inner();
    while let Some(table) = tables.message().await.unwrap() {
        assert_eq!(table.problems, Vec::<String>::new());
    }
}

/// How many events there are, in the journal and in the archive.
async fn count(cluster: &Cluster) -> i64 {
    let measures = vec![proto::convert::measure("measures", "count").unwrap()];
    let request = AggregateRequest { measures, ..AggregateRequest::default() };
    let answer = cluster.events().await.aggregate(request).await.unwrap().into_inner();
    match answer.rows[0].values[0].value {
        Some(Value::Integer(count)) => count,
        ref other => panic!("{other:?}"),
    }
}
