//! Searches over gRPC among the occupations and tasks of O*NET, for each way of looking: how many a second, and how long the
//! slowest take; against reading one thing by its name. And whether each of many writes is found by the search that waits for it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest, search_service_client::SearchServiceClient},
    things::v1::{GetThingRequest, PutThingRequest, Thing, things_service_client::ThingsServiceClient},
};
use tonic::transport::{Channel, Endpoint};

use crate::{
    report::{Report, Row},
    server::Server,
};

/// How long each way is looked in.
const ROUND: Duration = Duration::from_secs(10);
/// Searches at a time.
const AT_A_TIME: usize = 4;

pub(crate) async fn run(onet: &Path, writes: usize) -> anyhow::Result<Report> {
    let server = Server::start().await?;
    let occupations = ["--id", "{O*NET-SOC Code}", "--content", "{Description}", "--data", "Title"];
    server.import("Occupation", &occupations, &onet.join("occupations.tsv")).await?;
    server.import("Task", &["--id", "tasks/{Task ID}", "--content", "{Task}"], &onet.join("tasks.tsv")).await?;
    let channel = Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?;
    let mut report = Report::default();
    let fresh = freshness(&channel, writes).await?;
    let titles = titles(&onet.join("reported_titles.tsv"))?;
    let get = of_things(&channel).await?;
    for (name, mode) in
        [("by words", Mode::Lexical), ("by vectors, hash-v1", Mode::Semantic), ("by both", Mode::Hybrid)]
    {
        let mut took = searches(&channel, &titles, mode).await?;
        let rate = took.len() as f64 / ROUND.as_secs_f64();
        took.sort_unstable();
        let [half, most] = [50, 99].map(|percent| took[took.len() * percent / 100].as_secs_f64() * 1_000.0);
        report.push(Row {
            what: format!("search {name} among 20281 things, 10 hits"),
            ours: format!("{rate:.0}/s; 50 of 100 in {half:.1} ms, 99 in {most:.1} ms"),
            baseline: format!("{get:.0}/s, GetThing of one"),
            ratio: rate / get,
            bounds: None,
        });
    }
    report.push(fresh);
    Ok(report)
}

fn titles(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().skip(1).filter_map(|line| Some(line.split('\t').nth(1)?.to_owned())).collect())
}

/// Writes, each followed by a search by both that waits for it; fails where one is not found.
async fn freshness(channel: &Channel, writes: usize) -> anyhow::Result<Row> {
    let (mut things, mut search) =
        (ThingsServiceClient::new(channel.clone()), SearchServiceClient::new(channel.clone()));
    let mut took = Vec::with_capacity(writes);
    for number in 0..writes {
        let key = Some(Key { ns: "fresh".into(), id: number.to_string(), ..Key::default() });
        let content = Some(format!("fresh{number}"));
        let thing = Some(Thing { key, r#type: "Note".into(), content, ..Thing::default() });
        let written = things.put_thing(PutThingRequest { thing, ..PutThingRequest::default() }).await?.into_inner();
        let start = Instant::now();
        let request = SearchRequest {
            query: format!("fresh{number}"),
            mode: Mode::Hybrid.into(),
            top_k: 1,
            wait_for: written.etag,
            ..SearchRequest::default()
        };
        let hits = search.search(request).await?.into_inner().hits;
        took.push(start.elapsed());
        let found = hits.first().and_then(|hit| hit.key.as_ref()).is_some_and(|key| key.id == number.to_string());
        anyhow::ensure!(found, "write {number} is not found by the search that waits for it");
    }
    took.sort_unstable();
    let [half, most] =
        [50, 99].map(|percent| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1_000.0);
    Ok(Row {
        what: format!("{writes} writes, each found by the search that waits for it"),
        ours: format!("{} found; 50 of 100 in {half:.1} ms, 99 in {most:.1} ms", took.len()),
        baseline: format!("{writes}"),
        ratio: took.len() as f64 / writes as f64,
        bounds: Some((1.0, 1.0)),
    })
}

/// How long each search took.
async fn searches(channel: &Channel, titles: &[String], mode: Mode) -> anyhow::Result<Vec<Duration>> {
    let start = Instant::now();
    let callers = (0..AT_A_TIME).map(|caller| {
        let mut client = SearchServiceClient::new(channel.clone());
        async move {
            let mut took = Vec::new();
            for title in titles.iter().cycle().skip(caller * titles.len() / AT_A_TIME) {
                if start.elapsed() >= ROUND {
                    break;
                }
                let asked = Instant::now();
                let request = SearchRequest { query: title.clone(), mode: mode.into(), ..SearchRequest::default() };
                client.search(request).await.with_context(|| format!("{title:?} is not answered"))?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        }
    });
    Ok(futures::future::try_join_all(callers).await?.concat())
}

/// Reads of one thing a second, as many at a time.
async fn of_things(channel: &Channel) -> anyhow::Result<f64> {
    let start = Instant::now();
    let callers = (0..AT_A_TIME).map(|_| {
        let mut client = ThingsServiceClient::new(channel.clone());
        async move {
            let mut calls = 0_u32;
            while start.elapsed() < ROUND {
                let key = Some(Key { ns: "onet".into(), id: "15-1252.00".into(), ..Key::default() });
                client.get_thing(GetThingRequest { key, ..GetThingRequest::default() }).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        }
    });
    let calls: u32 = futures::future::try_join_all(callers).await?.into_iter().sum();
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}
