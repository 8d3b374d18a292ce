//! Things in PostgreSQL: what the store's own suite cannot show, because it takes processes.

use std::time::{Duration, Instant};

use harness::{
    backends::python,
    catalogs::CatalogServer,
    cluster::{Cluster, Setup, Topology},
    databases::{fresh, migrated},
    program::command,
};
use serde_json::json;

/// A cluster whose things are in a database of their own.
pub(crate) async fn cluster(topology: Topology) -> Cluster {
    let url = tokio::task::spawn_blocking(|| migrated(fresh(18))).await.expect("a database is made");
    Setup::new(topology).database(&url).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_outlives_every_process() {
    let mut cluster = cluster(Topology::Separate).await;
    let http = cluster.http();
    for number in 0..20 {
        http.put(&format!("/river/{number}"), &json!({"type": "Gauge", "content": "first"})).await.expect(201);
    }
    cluster.kill_and_restart("things").await;
    let changed = http.put("/river/7", &json!({"type": "Gauge", "content": "second"})).await.expect(200);
    cluster.kill_and_restart("events").await;
    let history = http.get("/river/7?view=history").await.expect(200).json();
    let history = history["items"].as_array().unwrap();
    assert_eq!(history.len(), 2, "{history:?}");
    let first = history[0]["ulid"].as_str().unwrap();
    assert_eq!(http.get(&format!("/river/7?at={first}")).await.expect(200).json()["content"], "first");
    let found = http.get(&format!("/_/search?q=second&wait_for={}", changed.header("annals-ulid"))).await.expect(200);
    assert_eq!(found.json()["items"][0]["id"], "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_it_is_said_so_and_all_is_well_when_it_is_back() {
    let server = CatalogServer::postgres(&python());
    let url = server.told("url").unwrap().to_owned();
    let url = tokio::task::spawn_blocking(|| migrated(url)).await.unwrap();
    let cluster = Setup::new(Topology::AllInOne).database(&url).start().await;
    let http = cluster.http();
    let kept = http.put("/river/a", &json!({"type": "Gauge"})).await.expect(201);
    for _ in 0..2 {
        server.fail("away", 1);
        let refused = http.put("/river/b", &json!({"type": "Gauge"})).await.expect(503);
        assert_eq!(refused.json()["type"], "/_/reasons/STORE_UNAVAILABLE");
        http.get("/river/a").await.expect(503);
        server.fail("away", 0);
        let started = Instant::now();
        while http.get("/river/a").await.status != 200 {
            assert!(started.elapsed() < Duration::from_secs(30), "it does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(http.get("/river/a").await.header("etag"), kept.header("etag"));
        http.get("/river/b").await.expect(404);
    }
    http.put("/river/b", &json!({"type": "Gauge"})).await.expect(201);
    http.get("/river/b?view=history").await.expect(200);
}

#[test]
fn a_database_whose_tables_are_behind_is_refused_with_what_to_do() {
    let url = fresh(16);
    let dir = tempfile::tempdir().unwrap();
    let serve = || {
        let mut command = command("annals");
        command.args(["serve", "--listen", "127.0.0.1:0", "--things-store", &url, "--data-dir"]).arg(dir.path());
        command.output().unwrap()
    };
    let refused = serve();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("run `annals migrate`"), "{said}");
    let migrate = || {
        let output = command("annals").args(["migrate", "--things-store", &url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!((migrate().as_str(), migrate().as_str()), ("6 migrations were made\n", "the tables are up to date\n"));
}
