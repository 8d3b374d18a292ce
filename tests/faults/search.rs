//! Searches after kills: whatever was under way, everything that things has is found by words and by vectors, as it is now, and
//! nothing else.

use std::{collections::BTreeSet, time::Duration};

use anyhow::ensure;
use domain::Clock;
use futures::stream;
use harness::cluster::{Cluster, Topology};
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest},
    things::v1::{
        DeleteThingRequest, ImportRow, ImportThingsRequest, ListThingsRequest, PutThingRequest, Thing, import_row::Row,
        things_service_client::ThingsServiceClient,
    },
};
use tonic::transport::Channel;

use crate::{config, crash::dice::Dice};

const NAMESPACES: u64 = 6;
/// Names of a namespace: as many as one answer lists.
const NAMES: u64 = 1_000;
/// Rows of a round: more than an index keeps in memory.
const ROWS: u64 = 4_000;
/// Rows of a message.
const MESSAGE: usize = 500;
/// The latest moment of a kill after a load has begun.
const LATEST: u64 = 1_500_000;
const MARK: &str = "mark";
/// What an index that was killed may take, also on a machine that does other things.
const CATCH_UP: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kills_all_is_found_that_is_there() {
    let rounds = config::search_rounds().expect("a number of rounds");
    let seed = config::search_seed().expect("a seed").unwrap_or_else(|| Clock::system().now().millis() as u64);
    println!("search faults: ANNALS_SEARCH_FAULT_SEED={seed}, {rounds} rounds");
    let mut dice = Dice::new(seed);
    for (topology, rounds) in [(Topology::AllInOne, rounds.div_ceil(2)), (Topology::Separate, rounds / 2)] {
        let mut cluster = Cluster::start(topology).await;
        let (mut found, mut kills) = (0, 0);
        for round in 1..=rounds {
            let mut dice = Dice::new(dice.number() | 1);
            let clients = [cluster.things().await, cluster.things().await];
            let load = load(clients, round, Dice::new(dice.number() | 1));
            // The first while it is under load, others while it catches up.
            let kill = async {
                for _ in 0..=dice.below(2) {
                    tokio::time::sleep(Duration::from_micros(dice.below(LATEST))).await;
                    cluster.kill_and_restart("search").await;
                    kills += 1;
                }
            };
            // A load that lost its server has an error.
            let (_, ()) = tokio::join!(load, kill);
            found =
                check(&cluster, round).await.unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error:#}"));
        }
        println!("search faults: {topology:?}: {kills} kills in {rounds} rounds; all of {found} things are found");
    }
}

fn ns(number: u64) -> String {
    format!("n{number}")
}

/// Puts and deletes at random.
async fn load(clients: [ThingsServiceClient<Channel>; 2], round: u64, mut dice: Dice) -> anyhow::Result<()> {
    let dice = &mut dice;
    let key =
        |dice: &mut Dice| Key { ns: ns(dice.below(NAMESPACES)), id: dice.below(NAMES).to_string(), ..Key::default() };
    let row = |dice: &mut Dice| {
        let content = Some(format!("every rev{round}"));
        let thing = Thing { key: Some(key(dice)), r#type: "Note".into(), content, ..Thing::default() };
        ImportRow { row: Some(Row::Thing(thing)) }
    };
    let rows: Vec<_> = (0..ROWS).map(|_| row(dice)).collect();
    let messages = rows.chunks(MESSAGE).map(|rows| ImportThingsRequest { rows: rows.to_vec(), ..Default::default() });
    let deletions: Vec<_> = (0..ROWS / 20).map(|_| key(dice)).collect();
    let [mut importing, mut deleting] = clients;
    let import = importing.import_things(stream::iter(messages.collect::<Vec<_>>()));
    let delete = async {
        for key in deletions {
            let request = DeleteThingRequest { key: Some(key), ..DeleteThingRequest::default() };
            match deleting.delete_thing(request).await {
                Err(status) if status.code() != tonic::Code::NotFound => return Err(status),
                _ => {}
            }
        }
        Ok(())
    };
    let (imported, deleted) = tokio::join!(import, delete);
    imported?;
    Ok(deleted?)
}

/// Compares what is found with what is there; says how much that is.
async fn check(cluster: &Cluster, round: u64) -> anyhow::Result<usize> {
    let (mut things, mut search) = (cluster.things().await, cluster.search().await);
    // Behind everything that was acknowledged, and that was not.
    let mark = Thing {
        key: Some(Key { ns: MARK.into(), id: MARK.into(), ..Key::default() }),
        r#type: "Note".into(),
        content: Some(format!("round {round} {}", Clock::system().now().millis())),
        ..Thing::default()
    };
    let put = PutThingRequest { thing: Some(mark), ..PutThingRequest::default() };
    let wait_for = things.put_thing(put).await?.into_inner().etag;
    let mut all = 0;
    for number in 0..NAMESPACES {
        let request = ListThingsRequest { ns: ns(number), page_size: NAMES as i32, ..ListThingsRequest::default() };
        let listed = match things.list_things(request).await {
            Ok(answer) => answer.into_inner().things,
            // Nothing was ever put there.
            Err(status) if status.code() == tonic::Code::NotFound => Vec::new(),
            Err(status) => return Err(status.into()),
        };
        let id = |thing: &Thing| thing.key.clone().unwrap_or_default().id;
        let there: BTreeSet<String> = listed.iter().map(id).collect();
        let rev = format!("rev{round}");
        let is_new = |thing: &&Thing| thing.content.as_deref().is_some_and(|content| content.ends_with(&rev));
        let new: BTreeSet<String> = listed.iter().filter(is_new).map(id).collect();
        let quoted = format!("\"{rev}\"");
        for (query, mode, wanted) in
            [("every", Mode::Lexical, &there), ("anything", Mode::Semantic, &there), (&*quoted, Mode::Lexical, &new)]
        {
            let request = SearchRequest {
                query: query.into(),
                mode: mode.into(),
                ns: ns(number),
                top_k: NAMES as i32,
                wait_for: wait_for.clone(),
                ..SearchRequest::default()
            };
            let mut request = tonic::Request::new(request);
            request.set_timeout(CATCH_UP);
            let hits = search.search(request).await?.into_inner().hits;
            let found: BTreeSet<String> = hits.into_iter().map(|hit| hit.key.unwrap_or_default().id).collect();
            let (lost, ghosts): (Vec<_>, Vec<_>) =
                (wanted.difference(&found).take(5).collect(), found.difference(wanted).take(5).collect());
            ensure!(
                lost.is_empty() && ghosts.is_empty(),
                "{query} in n{number}: {} of {} found; not found {lost:?}; not there {ghosts:?}",
                found.len(),
                wanted.len()
            );
        }
        all += there.len();
    }
    Ok(all)
}
