//! Searches over gRPC among the occupations and tasks of O*NET, for each way of looking: how many a second, and how long the
//! slowest take; against reading one thing by its name. Whether each of many writes is found by the search that waits for it, and
//! how soon a killed server answers again among five times as many.

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
/// How often O*NET is there, in a namespace each, where a server is started on it.
const COPIES: usize = 5;
const LONGEST_START: Duration = Duration::from_mins(2);

pub(crate) async fn run(onet: &Path, writes: usize) -> anyhow::Result<Report> {
    let server = Server::start().await?;
    import(&server, onet, "onet").await?;
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
    report.push(reopened(server, onet, &titles).await?);
    Ok(report)
}

/// The occupations and the tasks.
async fn import(server: &Server, onet: &Path, ns: &str) -> anyhow::Result<()> {
    let occupations = ["--id", "{O*NET-SOC Code}", "--content", "{Description}", "--data", "Title"];
    server.import(ns, "Occupation", &occupations, &onet.join("occupations.tsv")).await?;
    server.import(ns, "Task", &["--id", "tasks/{Task ID}", "--content", "{Task}"], &onet.join("tasks.tsv")).await
}

/// From the start of a server that was killed until a search by both that waits for the newest write is answered.
async fn reopened(mut server: Server, onet: &Path, titles: &[String]) -> anyhow::Result<Row> {
    for copy in 1..COPIES {
        import(&server, onet, &format!("onet{copy}")).await?;
    }
    let channel = Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?;
    let newest = put(&mut ThingsServiceClient::new(channel.clone()), "newest").await?;
    let request =
        SearchRequest { query: titles[0].clone(), mode: Mode::Hybrid.into(), wait_for: newest, ..Default::default() };
    let before = until_answered(&server, &request).await?;
    server.end()?;
    let started = Instant::now();
    server.restart()?;
    let after = until_answered(&server, &request).await?;
    let seconds = started.elapsed().as_secs_f64();
    anyhow::ensure!(after == before, "after a kill something else is found");
    Ok(Row {
        what: format!(
            "{} texts and vectors: killed, and a search by both that waits for the newest write answers",
            COPIES * 20_281
        ),
        ours: format!("{seconds:.2} s"),
        baseline: "1 s, the limit".into(),
        ratio: 1.0 / seconds,
        bounds: Some((1.0, 1.0)),
    })
}

/// What is found, once the server answers and is as far as the search waits for.
async fn until_answered(server: &Server, request: &SearchRequest) -> anyhow::Result<Vec<(Option<Key>, f64)>> {
    let started = Instant::now();
    while started.elapsed() < LONGEST_START {
        if let Ok(channel) = Endpoint::new(server.url())?.tcp_nodelay(true).connect().await
            && let Ok(answer) = SearchServiceClient::new(channel).search(request.clone()).await
        {
            return Ok(answer.into_inner().hits.into_iter().map(|hit| (hit.key, hit.score)).collect());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    anyhow::bail!("no search was answered within {} s", LONGEST_START.as_secs())
}

/// Puts a thing by that name, with its name as its content; says its ULID.
async fn put(things: &mut ThingsServiceClient<Channel>, id: &str) -> anyhow::Result<String> {
    let key = Some(Key { ns: "fresh".into(), id: id.into(), ..Key::default() });
    let thing = Some(Thing { key, r#type: "Note".into(), content: Some(format!("fresh{id}")), ..Thing::default() });
    Ok(things.put_thing(PutThingRequest { thing, ..PutThingRequest::default() }).await?.into_inner().etag)
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
        let wait_for = put(&mut things, &number.to_string()).await?;
        let start = Instant::now();
        let request = SearchRequest {
            query: format!("fresh{number}"),
            mode: Mode::Hybrid.into(),
            top_k: 1,
            wait_for,
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
