//! What reading, putting and listing cost where there is very much, against an empty store and the first page: one call after
//! the other, in turns, medians.

use std::time::Instant;

use anyhow::Context as _;
use proto::{
    common::v1::Key,
    search::v1::{SearchRequest, search_service_client::SearchServiceClient},
    things::v1::{GetThingRequest, ListThingsRequest, PutThingRequest, things_service_client::ThingsServiceClient},
};
use tonic::transport::Channel;

use crate::{
    database::Database,
    report::{Report, Row, median},
    server::Server,
    things::{connect, import, thing},
};

/// Calls of each kind, in turns.
const TURNS: u64 = 2_000;
/// Pages of each place, in turns.
const PAGES: usize = 300;
const PAGE: i32 = 100;
/// The page that is compared with the first.
const FAR: usize = 10_000;
/// Of an import: what it has counted is lost with a connection.
const AT_ONCE: u64 = 50_000;

type Client = ThingsServiceClient<Channel>;

pub(crate) async fn run(things: u64) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let without_vectors = ["--embedder", "given"];
    let full = Server::start_with(&without_vectors).await?;
    let empty = Server::start_with(&without_vectors).await?;
    measure("SQLite", &full, &empty, things, &mut report).await?;
    drop((full, empty));
    let (of_full, of_empty) = (Database::start()?, Database::start()?);
    let full = Server::start_with(&[&without_vectors[..], &["--things-store", of_full.url()]].concat()).await?;
    let empty = Server::start_with(&[&without_vectors[..], &["--things-store", of_empty.url()]].concat()).await?;
    measure("PostgreSQL", &full, &empty, things, &mut report).await?;
    Ok(report)
}

async fn measure(store: &str, full: &Server, empty: &Server, things: u64, report: &mut Report) -> anyhow::Result<()> {
    let channel = connect(full).await?.remove(0);
    let start = Instant::now();
    for first in (0..things).step_by(AT_ONCE as usize) {
        import(&channel, "many", first..things.min(first + AT_ONCE)).await?;
    }
    eprintln!("{store}: {things} things in {:.0} s", start.elapsed().as_secs_f64());
    let mut full_client = Client::new(channel.clone()).max_decoding_message_size(16 << 20);
    let mut empty_client = Client::new(connect(empty).await?.remove(0));
    let mut last = String::new();
    for client in [&mut empty_client, &mut full_client] {
        last = put(client, "many", "0 first".into()).await?.1;
    }
    // What follows writes is done first.
    let wait_for = SearchRequest { query: "gauge".into(), wait_for: last, ..Default::default() };
    let mut search = SearchServiceClient::new(channel);
    while search.search(wait_for.clone()).await.is_err() {}
    eprintln!("{store}: all is searched after {:.0} s", start.elapsed().as_secs_f64());

    let [mut gets, mut puts, mut gets_alone, mut puts_alone] = [(); 4].map(|()| Vec::new());
    for turn in 0..TURNS {
        let number = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        gets_alone.push(get(&mut empty_client, "0 first".into()).await?);
        gets.push(get(&mut full_client, (number % things).to_string()).await?);
        puts_alone.push(put(&mut empty_client, "put", turn.to_string()).await?.0);
        puts.push(put(&mut full_client, "put", turn.to_string()).await?.0);
    }
    let token = far(&mut full_client).await?;
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        first.push(page(&mut full_client, String::new()).await?);
        later.push(page(&mut full_client, token.clone()).await?);
    }
    let mut compare = |what: String, ours: Vec<f64>, baseline: Vec<f64>, name: &str, floor: f64| {
        let (ours, baseline) = (median(ours), median(baseline));
        report.push(Row {
            what,
            ours: format!("{:.0} µs", ours * 1e6),
            baseline: format!("{:.0} µs, {name}", baseline * 1e6),
            ratio: baseline / ours,
            bounds: Some((floor, 1.0)),
        });
    };
    let alone = "in an empty store";
    compare(format!("a get among {things} things in {store}"), gets, gets_alone, alone, 1.0 / 1.2);
    compare(format!("a put among {things} things in {store}"), puts, puts_alone, alone, 0.5);
    compare(format!("page {FAR} of {PAGE} things in {store}"), later, first, "page 1", 1.0 / 1.2);
    Ok(())
}

async fn get(client: &mut Client, id: String) -> anyhow::Result<f64> {
    let key = Some(Key { ns: "many".into(), id, ..Key::default() });
    let start = Instant::now();
    client.get_thing(GetThingRequest { key, ..Default::default() }).await?;
    Ok(start.elapsed().as_secs_f64())
}

/// How long it took, and the etag.
async fn put(client: &mut Client, ns: &str, id: String) -> anyhow::Result<(f64, String)> {
    let request = PutThingRequest { thing: Some(thing(ns, id)), ..Default::default() };
    let start = Instant::now();
    let etag = client.put_thing(request).await?.into_inner().etag;
    Ok((start.elapsed().as_secs_f64(), etag))
}

async fn page(client: &mut Client, page_token: String) -> anyhow::Result<f64> {
    let request = ListThingsRequest { ns: "many".into(), page_size: PAGE, page_token, ..Default::default() };
    let start = Instant::now();
    let listed = client.list_things(request).await?.into_inner();
    anyhow::ensure!(listed.things.len() == PAGE as usize, "a page of {} things", listed.things.len());
    Ok(start.elapsed().as_secs_f64())
}

/// The token of the far page, which larger pages lead to sooner.
async fn far(client: &mut Client) -> anyhow::Result<String> {
    let (mut left, mut page_token) = ((FAR - 1) as i32 * PAGE, String::new());
    while left > 0 {
        let page_size = left.min(1_000);
        let request = ListThingsRequest { ns: "many".into(), page_size, page_token, ..Default::default() };
        let listed = client.list_things(request).await?.into_inner();
        left -= listed.things.len() as i32;
        page_token = listed.next_page_token;
        anyhow::ensure!(!page_token.is_empty(), "there is no page {FAR}");
    }
    Some(page_token).filter(|token| !token.is_empty()).context("the first page is not far")
}
