//! The object store fails in every way, on every kind of call, under load: what was acknowledged is there once, reads are
//! answered in full or refused for now, and afterwards no file is missing and none is left over.

mod load;
mod proxy;

use std::{collections::BTreeSet, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use domain::Clock;
use harness::{
    backends::python,
    cluster::{Cluster, Setup, Topology},
    s3::S3,
};
use proto::events::v1::{
    ExpireArchiveRequest, GetArchiveRequest, QueryRequest, VerifyArchiveRequest,
    events_service_client::EventsServiceClient,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use self::{
    load::{Load, drained},
    proxy::{Call, Fault, Proxy},
};
use crate::{config, crash::dice::Dice};

/// How long the server waits for the store here.
const TIMEOUT: &str = "1s";
/// When a late answer comes.
const LATE: Duration = Duration::from_millis(1_500);
/// A round of all faults takes less than a minute in debug on an idle machine; one that takes so long is stuck.
const LONGEST_ROUND: Duration = Duration::from_mins(10);
/// How often the store has been looked at, and nobody had asked it, until nobody will.
const QUIET: usize = 20;
/// How often others look until no merge is under way.
const LOOKS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_store_faults() -> anyhow::Result<()> {
    let rounds = config::store_fault_rounds()?;
    let seed = config::store_fault_seed()?.unwrap_or_else(|| Clock::system().now().millis() as u64);
    println!("ANNALS_STORE_FAULT_SEED={seed} asks for the same again; the moments are others");
    campaign(rounds, seed).await.with_context(|| format!("seed {seed}"))
}

async fn campaign(rounds: u64, seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let server = S3::start(&python());
    let proxy = Proxy::start(server.endpoint(), LATE).await?;
    let mut cluster = Setup::new(Topology::AllInOne)
        .bucket(&format!("http://{}", proxy.address), "a")
        .events_setting("ANNALS_ARCHIVE_S3_TIMEOUT", TIMEOUT)
        .events_setting("ANNALS_ARCHIVE_FLUSH_INTERVAL", "500ms")
        .events_setting("ANNALS_ARCHIVE_RETENTION", "0ms")
        .start()
        .await;
    let load = Load::new(cluster.events().await);
    proxy.plan(|plan| plan.deal(rounds, &mut dice));
    let end = CancellationToken::new();
    let all_dealt = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while !proxy.plan(|plan| plan.left()).is_empty() {
            tick.tick().await;
        }
        end.cancel();
        Ok(())
    };
    let needs_large = || proxy.plan(|plan| plan.left().iter().any(|(call, _)| call.is_of_an_upload()));
    let work = async { tokio::try_join!(load.work(&mut dice, needs_large, end.clone()), all_dealt).map(drop) };
    let worked = tokio::time::timeout(LONGEST_ROUND * rounds as u32, work).await;
    report(&proxy, &load);
    worked.with_context(|| format!("these calls never came: {:?}", proxy.plan(|plan| plan.left())))??;

    for call in Call::ALL {
        for fault in Fault::ALL {
            let spoilt = proxy.plan(|plan| plan.spoilt.get(&(call, fault)).copied());
            ensure!(spoilt == Some(rounds), "{fault:?} on {call:?}: {spoilt:?}");
        }
    }
    ensure!(proxy.plan(|plan| plan.unknown.clone()) == [""; 0], "a kind of call that is never spoilt");
    ensure!(load.done().refused_reads > 0 && load.done().reads > 0, "reads met the faults and got by");

    everything_is_there_once(&cluster, &server, &load).await?;
    cluster.kill_and_restart("events").await;
    everything_is_there_once(&cluster, &server, &load).await?;
    requests_are_counted(&cluster, &proxy).await
}

/// Exact counts by ULID, and no file missing or left over.
async fn everything_is_there_once(cluster: &Cluster, server: &S3, load: &Load) -> anyhow::Result<()> {
    let mut events = cluster.events().await;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while events.get_archive(GetArchiveRequest {}).await?.into_inner().pending_bytes > 0 {
        tick.tick().await;
    }
    // What a merge is writing at this moment is left over, and then it is not.
    for _ in 0..LOOKS {
        // The server waits a second for the store here, which a busy machine may take without any fault.
        if expire(&mut events).await? && is_in_order(cluster, server, load)? {
            let answers = events.verify_archive(VerifyArchiveRequest {}).await?.into_inner();
            let ended = drained(answers, |table| {
                ensure!(table.problems.is_empty(), "{:?}", table.problems);
                Ok(())
            });
            if ended.await?.is_none() {
                return Ok(());
            }
        }
        tick.tick().await;
    }
    anyhow::bail!("files are left over, or the store does not answer any more")
}

/// Removes what nothing leads to; whether the store answered.
async fn expire(events: &mut EventsServiceClient<Channel>) -> anyhow::Result<bool> {
    let mut gone = 1;
    while gone > 0 {
        gone = 0;
        let answers = events.expire_archive(ExpireArchiveRequest {}).await?.into_inner();
        let ended = drained(answers, |answer| {
            gone += answer.files;
            Ok(())
        });
        if ended.await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What others see; whether no file is left over.
fn is_in_order(cluster: &Cluster, server: &S3, load: &Load) -> anyhow::Result<bool> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/bucket.py");
    let catalog = cluster.data_dir().join("events/catalog.db");
    let output = Command::new(python()).arg(script).arg(catalog).arg(server.endpoint()).output()?;
    let (told, errors) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{errors}");
    let of_kind = |kind: &str| told.lines().filter_map(|line| line.strip_prefix(kind)).collect::<Vec<_>>();
    let left_over = of_kind("unreferenced ");
    ensure!(of_kind("missing ").is_empty(), "{:?}", of_kind("missing "));
    let found = of_kind("event ");
    let once: BTreeSet<_> = found.iter().copied().map(str::to_owned).collect();
    let acknowledged = load.acknowledged();
    ensure!(found.len() == once.len(), "{} are there twice", found.len() - once.len());
    ensure!(once == acknowledged, "{} are there, {} were acknowledged", once.len(), acknowledged.len());
    let (files, uploads) = (of_kind("file ").len(), of_kind("upload ").len());
    println!(
        "{} events, each once; {files} files, none missing, {left_over:?} left over; {uploads} uploads",
        once.len()
    );
    Ok(left_over.is_empty())
}

/// The cost that an answer tells is what the store was asked.
async fn requests_are_counted(cluster: &Cluster, proxy: &Proxy) -> anyhow::Result<()> {
    let asked = || proxy.plan(|plan| plan.calls.get(&Call::GetRange).copied().unwrap_or(0));
    // What follows events reads from where it was, after the start: until that is done, the store is asked by others too.
    let (mut before, mut quiet, mut tick) = (asked(), 0, tokio::time::interval(Duration::from_millis(100)));
    while quiet < QUIET {
        tick.tick().await;
        quiet = if asked() == before { quiet + 1 } else { 0 };
        before = asked();
    }
    let request = QueryRequest { page_size: 10, event_types: vec!["small".into()], ..QueryRequest::default() };
    let page = cluster.events().await.query(request).await?.into_inner();
    let cost = page.cost.context("each answer tells its cost")?;
    println!("{cost:?}");
    ensure!(page.events.len() == 10 && cost.requests > 0);
    ensure!(cost.requests as u64 == asked() - before, "{cost:?}, and the store was asked {}", asked() - before);
    Ok(())
}

fn report(proxy: &Proxy, load: &Load) {
    proxy.plan(|plan| {
        println!("calls {:?}", plan.calls);
        println!("spoilt {:?}", plan.spoilt);
    });
    println!("{:?}", load.done());
}
