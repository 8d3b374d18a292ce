//! Another engine changes the archive beside us: it merges our files into its own, whose rows are in no order. Everything reads
//! as before, also after a restart and once our own snapshots have expired, and more can be archived.

use std::process::Command;

use harness::{
    backends::python,
    cluster::{Cluster, Setup, Topology},
    events::every,
};
use proto::{
    common::v1::Key,
    events::v1::{
        AppendRequest, AsOf, Event, ExpireArchiveRequest, GetArchiveRequest, HistoryRequest, ListStatesAtRequest,
        Order, QueryRequest, as_of,
    },
};
use serde_json::json;

use super::engines::{archived, compare};

const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_engine_has_merged_reads_as_before() {
    let setup = Setup::new(Topology::AllInOne).archiving().events_setting("ANNALS_ARCHIVE_COMPACTION", "catalog");
    let mut cluster = setup.start().await;
    for round in 0..ROUNDS {
        append(&cluster, round).await;
    }
    let files = cluster.events().await.get_archive(GetArchiveRequest {}).await.unwrap().into_inner().tables[0].files;
    assert!(files as usize >= ROUNDS, "{files} files are left alone");
    let before = read(&cluster).await;

    merge(&cluster, &[]);
    refreshed(&cluster).await;
    assert_eq!(read(&cluster).await, before);

    append(&cluster, ROUNDS).await;
    let more = read(&cluster).await;
    assert_eq!(more.0.len(), before.0.len() + 51);
    merge(&cluster, &["expire"]);
    let mut gone = cluster.events().await.expire_archive(ExpireArchiveRequest {}).await.unwrap().into_inner();
    while gone.message().await.unwrap().is_some() {}
    cluster.kill_and_restart("events").await;
    assert_eq!(read(&cluster).await, more);
    compare(&cluster, None, None).await;

    append(&cluster, ROUNDS + 1).await;
    assert_eq!(read(&cluster).await.0.len(), more.0.len() + 51);
    compare(&cluster, None, None).await;
}

/// Fifty events and a mutation, archived.
async fn append(cluster: &Cluster, round: usize) {
    let event = |number| Event {
        event_type: "log".into(),
        data: format!(r#"{{"round":{round},"number":{number}}}"#),
        ..Event::default()
    };
    let request = AppendRequest { events: (0..50).map(event).collect(), relay: None };
    cluster.events().await.append(request).await.unwrap();
    let path = format!("/river/gauge-{}", round % 2);
    let put = cluster.http().put(&path, &json!({"type": "Gauge", "content": format!("{round}")})).await;
    // A read that waits for the mutation, so that it is archived too.
    let at = put.header("annals-ulid");
    cluster.http().get(&format!("{path}?at={at}")).await.expect(200);
    archived(cluster).await;
}

fn merge(cluster: &Cluster, then: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/merge.py");
    let directory = cluster.data_dir().join("events");
    let output = Command::new(python()).arg(script).arg(directory).args(then).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns once the server has seen the merged files.
async fn refreshed(cluster: &Cluster) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        let tables = cluster.events().await.get_archive(GetArchiveRequest {}).await.unwrap().into_inner().tables;
        if tables.iter().all(|table| table.files <= 2) {
            return;
        }
        tick.tick().await;
    }
}

/// Everything, read in each way: events (forwards, and the same backwards), histories, the states of a namespace.
async fn read(cluster: &Cluster) -> (Vec<Event>, Vec<String>, Vec<String>) {
    let query = |order: Order, page_size| QueryRequest { order: order.into(), page_size, ..QueryRequest::default() };
    let all = every(cluster.events().await, query(Order::OldestFirst, 7)).await.unwrap();
    let newest = every(cluster.events().await, query(Order::NewestFirst, 11)).await.unwrap();
    assert!(all.iter().rev().eq(&newest));
    let mut histories = Vec::new();
    for id in ["gauge-0", "gauge-1"] {
        let key = Some(Key { ns: "river".into(), id: id.into(), ..Key::default() });
        let request = HistoryRequest { key, ..HistoryRequest::default() };
        let history = cluster.events().await.history(request).await.unwrap().into_inner();
        histories.extend(history.mutations.into_iter().map(|mutation| mutation.ulid));
    }
    let latest = histories.iter().max().cloned().map(as_of::AsOf::Ulid);
    let as_of = Some(AsOf { as_of: latest });
    let request = ListStatesAtRequest { ns: "river".into(), as_of, ..ListStatesAtRequest::default() };
    let states = cluster.events().await.list_states_at(request).await.unwrap().into_inner();
    let states = states.states.into_iter().map(|state| format!("{state:?}")).collect();
    (all, histories, states)
}
