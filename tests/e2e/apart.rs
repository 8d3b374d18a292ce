//! Four processes, started by hand as the README says.

use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
    time::Duration,
};

use harness::{
    cluster::{Cluster, Topology},
    http::Http,
    program::path,
};
use serde_json::json;

use crate::docs::{shell_at, shell_blocks, succeeded};

/// An address that nobody listens on now: the README's processes must know each other's before they start.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

#[test]
fn the_four_processes_of_the_readme_work_together() {
    let [start] = shell_blocks("README.md", "## As four processes").try_into().expect("one block");
    let (dir, gateway) = (tempfile::tempdir().expect("a directory"), free_address());
    let start = start
        .replace("127.0.0.1:8081", &free_address().to_string())
        .replace("127.0.0.1:8082", &free_address().to_string())
        .replace("127.0.0.1:8083", &free_address().to_string())
        .replace("./annals-apart", &dir.path().display().to_string());
    // History waits for the relay, which must be known to events.
    let script = format!(
        "trap 'kill $(jobs -p); wait' EXIT
        {start}
        annals put /harbour/Old_crane --type Crane >&2
        annals history /harbour/Old_crane --json"
    );
    let printed = succeeded(&script, &shell_at(gateway, &script));
    assert!(printed.contains("created"), "{printed}");
}

#[test]
fn a_service_apart_does_not_start_without_the_key_that_it_shares_with_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["events", "things", "search", "gateway"] {
        let mut command = Command::new("timeout");
        command.arg("20").arg(path(name)).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
        let output = command.env_remove("ANNALS_PEER_KEY").output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("--peer-key (ANNALS_PEER_KEY) must be given"), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_whose_mutations_cannot_be_relayed_is_not_ready_until_they_are() {
    let mut cluster = Cluster::start(Topology::Separate).await;
    cluster.kill("events");
    cluster.http().put("/harbour/Old_crane", &json!({"type": "Crane"})).await.expect(201);
    let things = Http::new(cluster.things);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let page = loop {
        tick.tick().await;
        let page = things.get("/_/readyz").await;
        if page.status == 503 {
            break page;
        }
    };
    assert_eq!(page.text(), "relay: mutations cannot be relayed: PEER_UNAVAILABLE\n");
    // Waits until every service is ready.
    cluster.kill_and_restart("events").await;
}
