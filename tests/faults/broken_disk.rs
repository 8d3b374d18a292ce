//! A disk that is full or broken for a while: what cannot be kept is refused with the reason and when to come back,
//! nothing acknowledged is lost, and all goes on by itself when it has passed.

use domain::Clock;
use harness::disk::{Failure, Operation};
use harness::http::Answer;
use http::Method;
use proto::common::v1::Reason;
use proto::events::v1::{AppendRequest, Event};
use proto::things::v1 as wire;
use serve::Refusal;

use crate::crash::client::Client;
use crate::crash::dice::Dice;
use crate::crash::life::{Kill, Life, Summary};
use crate::crash::load::Load;
use crate::crash::machine::Server;

const JOURNAL: &str = "data/events/journal/*";
const STORE: &str = "data/things/*";
const CATALOG: &str = "data/events/catalog.db*";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Journal,
    Store,
    Both,
    /// Flushes wait, and nobody notices.
    Archive,
}

/// Breaks the disk once while clients work and once while nobody does.
async fn survives(glob: &str, operation: Operation, failure: Failure, broken: Broken) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let seed = Clock::system().now().millis() as u64;
    println!("seed {seed}");
    let mut life = Life::new(Dice::new(seed))?;
    let switch = life.machine.disk.failing(glob, operation, failure);
    let server = life.revive(false, &mut summary).await?;
    life.work(Load::Mixed, &server, 50).await?;

    switch.on()?;
    refuses(&server, broken).await?;
    life.work(Load::Mixed, &server, 50).await?;
    switch.off()?;
    life.check(&server, true, &mut summary).await?;

    life.work(Load::Mixed, &server, 50).await?;
    Client::connect(server.address).await?.http.get("/_/readyz").await.expect(200);
    switch.on()?;
    life.work(Load::Mixed, &server, 50).await?;
    switch.off()?;
    life.work(Load::Mixed, &server, 20).await?;
    server.running.kill()?;
    life.lose_power(&mut summary)?;
    life.crash(Kill::Loaded(20), true, &mut summary).await?;
    life.end(&mut summary).await
}

/// Kills the server while the disk is broken; the power stays on, so that what was refused may still be in its files.
async fn survives_being_killed(glob: &str, operation: Operation, failure: Failure) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    let seed = Clock::system().now().millis() as u64;
    println!("seed {seed}");
    let mut life = Life::new(Dice::new(seed))?;
    let switch = life.machine.disk.failing(glob, operation, failure);
    for _ in 0..3 {
        let server = life.revive(false, &mut summary).await?;
        life.work(Load::Mixed, &server, 50).await?;
        switch.on()?;
        life.work(Load::Mixed, &server, 50).await?;
        server.running.kill()?;
        switch.off()?;
    }
    life.end(&mut summary).await
}

/// What needs the broken part is refused with its reason and when to come back, over gRPC and HTTP; the rest works.
async fn refuses(server: &Server, broken: Broken) -> anyhow::Result<()> {
    let mut client = Client::connect(server.address).await?;
    let append = AppendRequest { events: vec![Event { event_type: "x".into(), ..Event::default() }], relay: None };
    let put = wire::PutThingRequest {
        thing: Some(wire::Thing {
            key: Some(proto::common::v1::Key { path: "crash/a".into(), ..Default::default() }),
            r#type: "Gauge".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    if matches!(broken, Broken::Journal | Broken::Both) {
        refused(&client.events.append(append).await.expect_err("the journal is broken"), Reason::JournalUnavailable);
        let json = [("content-type", "application/json")];
        let answer = client.http.call(Method::POST, "/_/events", &json, r#"[{"event_type":"x"}]"#).await;
        refused_over_http(answer, "JOURNAL_UNAVAILABLE");
        assert!(client.http.get("/_/readyz").await.expect(503).text().contains("journal: "));
    }
    if matches!(broken, Broken::Store | Broken::Both) {
        refused(&client.things.put_thing(put).await.expect_err("the store is broken"), Reason::StoreUnavailable);
        let body = serde_json::json!({"type": "Gauge"});
        refused_over_http(client.http.put("/crash/a", &body).await, "STORE_UNAVAILABLE");
        assert!(client.http.get("/_/readyz").await.expect(503).text().contains("store: "));
    }
    Ok(())
}

fn refused(status: &tonic::Status, reason: Reason) {
    let refusal = Refusal::from_status(status);
    assert_eq!((status.code(), refusal.reason), (tonic::Code::Unavailable, reason), "{status:?}");
    assert!(refusal.retry_after.is_some_and(|delay| !delay.is_zero()), "{status:?}");
}

fn refused_over_http(answer: Answer, reason: &str) {
    let answer = answer.expect(503);
    assert_eq!(answer.json()["type"], format!("/_/reasons/{reason}"), "{}", answer.text());
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_journal_passes() -> anyhow::Result<()> {
    survives(JOURNAL, Operation::Write, Failure::NoSpace, Broken::Journal).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_the_journal_that_fail_pass() -> anyhow::Result<()> {
    survives(JOURNAL, Operation::Write, Failure::Io, Broken::Journal).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_of_the_journal_that_fail_pass() -> anyhow::Result<()> {
    survives(JOURNAL, Operation::Sync, Failure::Io, Broken::Journal).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_of_the_journal_that_fail_after_they_were_done_pass() -> anyhow::Result<()> {
    survives(JOURNAL, Operation::Synced, Failure::Io, Broken::Journal).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_store_passes() -> anyhow::Result<()> {
    survives(STORE, Operation::Write, Failure::NoSpace, Broken::Store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_the_store_that_fail_pass() -> anyhow::Result<()> {
    survives(STORE, Operation::Write, Failure::Io, Broken::Store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_of_the_store_that_fail_pass() -> anyhow::Result<()> {
    survives(STORE, Operation::Sync, Failure::Io, Broken::Store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_everything_passes() -> anyhow::Result<()> {
    survives("*", Operation::Write, Failure::NoSpace, Broken::Both).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_cannot_be_written_passes() -> anyhow::Result<()> {
    for operation in [Operation::Write, Operation::Sync, Operation::Synced] {
        println!("{operation:?}");
        survives(CATALOG, operation, Failure::Io, Broken::Archive).await?;
        survives_being_killed(CATALOG, operation, Failure::Io).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_does_not_come_back() -> anyhow::Result<()> {
    for glob in [JOURNAL, STORE] {
        for operation in [Operation::Write, Operation::Sync, Operation::Synced] {
            println!("{glob} {operation:?}");
            survives_being_killed(glob, operation, Failure::Io).await?;
        }
    }
    Ok(())
}
