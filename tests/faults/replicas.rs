//! Two processes of things on one PostgreSQL, written to at the same time, while one of them or the database is killed: nothing
//! that was acknowledged is lost or doubled, no batch is there by half, and the state of every name is the fold of its
//! events, which are in order.

mod history;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::Clock;
use harness::{
    backends::python,
    catalogs::CatalogServer,
    cluster::{Setup, Topology},
    databases::migrated,
};
use proto::{
    events::v1::events_service_client::EventsServiceClient, things::v1::things_service_client::ThingsServiceClient,
};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use self::writer::Writer;
use crate::{config, crash::dice::Dice};

const WRITERS: u64 = 64;
/// Names that everybody writes.
const NAMES: u64 = 100;
const NS: &str = "hot";
/// At least so long, and up to three times, between kills.
const PAUSE: Duration = Duration::from_millis(800);

/// What there is to do, and how much of it is done.
#[derive(Debug, Default)]
struct Progress {
    /// Mutations that were acknowledged.
    kept: AtomicU64,
    is_enough: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replicas_write_to_the_same_names_is_one_history() {
    let mutations = config::replica_mutations().expect("a number of mutations");
    let seed = config::replica_seed().expect("a seed").unwrap_or_else(|| Clock::system().now().millis() as u64);
    println!("ANNALS_REPLICA_SEED={seed}, {mutations} mutations");
    campaign(mutations, Dice::new(seed)).await.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
}

async fn campaign(mutations: u64, mut dice: Dice) -> anyhow::Result<()> {
    let (server, url) = tokio::task::spawn_blocking(|| {
        let server = CatalogServer::killable(&python());
        let url = migrated(server.told("url").expect("it tells where it is").to_owned());
        (server, url)
    })
    .await?;
    let mut cluster = Setup::new(Topology::Replicas).database(&url).start().await;
    let connect = async |address| anyhow::Ok(Endpoint::new(format!("http://{address}"))?.connect_lazy());
    let channels: [Channel; 2] = [connect(cluster.things).await?, connect(cluster.second).await?];
    let progress = Arc::new(Progress::default());
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let clients = channels.clone().map(ThingsServiceClient::new);
        writers.spawn(Writer::new(number, clients, dice.split(), Arc::clone(&progress)).run());
    }
    let mut kills = [0_u64; 3];
    while progress.kept.load(Ordering::Relaxed) < mutations || kills.contains(&0) {
        tokio::time::sleep(PAUSE + Duration::from_millis(dice.below(2 * PAUSE.as_millis() as u64))).await;
        let next = (kills.iter().sum::<u64>() % 3) as usize;
        match next {
            0 => cluster.kill_and_restart("second").await,
            1 => tokio::task::block_in_place(|| server.kill()),
            _ => cluster.kill_and_restart("things").await,
        }
        kills[next] += 1;
    }
    progress.is_enough.store(true, Ordering::Relaxed);
    let mut requests = Vec::new();
    while let Some(asked) = writers.join_next().await {
        requests.extend(asked??);
    }
    let took = began.elapsed();
    let events = EventsServiceClient::new(connect(cluster.events).await?);
    let things = channels.map(ThingsServiceClient::new);
    let count = history::check(events, things, requests).await.with_context(|| cluster.logs())?;
    let [second, database, first] = kills;
    println!(
        "{count} mutations of {NAMES} names by {WRITERS} writers in {took:.0?}, the processes killed {first} and {second} times, the \
         database {database} times: 0 lost, 0 doubled, 0 out of order; every state is the fold of its events"
    );
    Ok(())
}
