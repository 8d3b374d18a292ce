//! Searches by vectors that clients give, over gRPC: how many of the nearest are found, all of them or those that a filter
//! passes, and how long that takes; the same when half of them has been written anew ten times, and after a kill; and what
//! thousands of small namespaces cost.

pub(crate) mod points;

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest, search_service_client::SearchServiceClient},
    things::v1::{
        DeleteThingRequest, ImportRow, ImportThingsRequest, Thing, import_row::Row as Imported,
        things_service_client::ThingsServiceClient,
    },
};
use tonic::transport::{Channel, Endpoint};

use self::points::{Among, DIMENSION, Points, SHARES};
use crate::{
    report::{Report, Row},
    server::{Server, body, http_client},
};

const TOP_K: usize = 10;
const QUERIES: usize = 200;
/// How often each is asked.
const TURNS: usize = 5;
const ROUNDS: usize = 10;
/// Rows of a message: of 3 KiB each.
const ROWS: usize = 1_000;
/// Deletions at a time.
const AT_A_TIME: usize = 64;
/// Of how many things a namespace has where there are many.
const OF_SMALL: usize = 10;

pub(crate) async fn run(count: usize) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut points = Points::new(count);
    let queries = points.queries(QUERIES);
    let mut server = start().await?;
    let mut clients = Clients::of(&server).await?;
    let started = Instant::now();
    let numbers: Vec<usize> = (0..count).collect();
    let newest = clients.import(&points, &numbers, |number| format!("p{}", points.shares(number).1)).await?;
    clients.near(&queries[0], Among::All, newest).await?;
    let rate = count as f64 / started.elapsed().as_secs_f64();
    on_the_disk(&server).await?;
    let (disk, memory) = (bytes_in(&vectors_of(&server))?, server.resident_bytes()?);
    let all = clients.measure(&points, &queries, Among::All).await?;
    let name = format!("{count} vectors of {DIMENSION} numbers");
    report.push(all.row(&format!("{name}, searched"), 0.995, None));
    for (share, percent) in SHARES.into_iter().enumerate() {
        for (how, among) in [("anywhere", Among::ByChance(share)), ("around the same centres", Among::ByPlace(share))] {
            let measured = clients.measure(&points, &queries, among).await?;
            report.push(measured.row(&format!("{percent}% of them, {how}"), 0.99, Some(&all)));
        }
    }
    report.push(information(&format!("{name}, written until the last is found"), format!("{rate:.0}/s")));

    for _ in 0..ROUNDS {
        let moved = points.move_half();
        clients.delete(&points, &moved).await?;
        let newest = clients.import(&points, &moved, |number| format!("p{}", points.shares(number).1)).await?;
        clients.near(&queries[0], Among::All, newest).await?;
    }
    on_the_disk(&server).await?;
    let moved = clients.measure(&points, &queries, Among::All).await?;
    let after = format!("after {ROUNDS} rounds of writing half of them anew");
    let change = all.recall - moved.recall;
    report.push(ratio(&format!("recall {after}, against before"), moved.recall, all.recall, 0.002 / change.max(0.001)));
    report.push(ratio(
        &format!("searches a second {after}"),
        moved.rate(),
        all.rate(),
        moved.rate() / all.rate() / 0.9,
    ));
    for (what, now, before) in
        [("disk", bytes_in(&vectors_of(&server))?, disk), ("memory", server.resident_bytes()?, memory)]
    {
        let [now, before] = [now, before].map(|bytes| bytes as f64 / f64::from(1 << 20));
        report.push(ratio(&format!("MiB of {what} {after}"), now, before, 1.5 * before / now));
    }

    server.end()?;
    let started = Instant::now();
    server.restart()?;
    let mut reopened = first_answer(&server, &queries[0]).await?;
    let seconds = started.elapsed().as_secs_f64();
    report.push(ratio(&format!("{name}: killed, and answers again, in s"), seconds, 1.0, 1.0 / seconds));
    ensure!(reopened.measure(&points, &queries[..20], Among::All).await?.recall >= 0.99, "after a kill less is found");
    drop(server);
    report.push(many_namespaces(&points, &queries[0], memory).await?);
    Ok(report)
}

/// The same vectors in many small namespaces: what these take of memory more than few large ones, and a first search of one.
async fn many_namespaces(points: &Points, query: &[f32], memory: u64) -> anyhow::Result<Row> {
    let mut server = start().await?;
    let mut clients = Clients::of(&server).await?;
    let numbers: Vec<usize> = (0..points.len()).collect();
    let newest = clients.import(points, &numbers, |number| format!("n{}", number / OF_SMALL)).await?;
    clients.near(query, Among::All, newest).await?;
    on_the_disk(&server).await?;
    let more = server.resident_bytes()?.saturating_sub(memory) as f64 / f64::from(1 << 20);
    server.end()?;
    server.restart()?;
    server.ready().await?;
    let mut clients = Clients::of(&server).await?;
    let request = SearchRequest { ns: "n7".into(), ..request(query) };
    let started = Instant::now();
    let hits = clients.search.search(request).await?.into_inner().hits.len();
    let first = started.elapsed().as_secs_f64() * 1_000.0;
    ensure!(hits == OF_SMALL, "a namespace of {OF_SMALL} has {hits} hits");
    Ok(Row {
        what: format!("{} namespaces of {OF_SMALL}", points.len() / OF_SMALL),
        ours: format!("{more:.0} MiB more, a first search in {first:.1} ms"),
        baseline: "200 MiB, 20 ms, the limits".into(),
        ratio: (200.0 / more.max(0.1)).min(20.0 / first),
        bounds: Some((1.0, 1.0)),
    })
}

async fn start() -> anyhow::Result<Server> {
    Server::start_with(&["--embedder", "given", "--embedder-dimension", &DIMENSION.to_string()]).await
}

struct Clients {
    things: ThingsServiceClient<Channel>,
    search: SearchServiceClient<Channel>,
}

/// What searches found, and how long they took.
struct Measured {
    recall: f64,
    /// The shortest first.
    took: Vec<Duration>,
}

impl Clients {
    async fn of(server: &Server) -> anyhow::Result<Self> {
        let channel = Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?;
        Ok(Self { things: ThingsServiceClient::new(channel.clone()), search: SearchServiceClient::new(channel) })
    }

    /// Puts these points; says the last one's ULID.
    async fn import(
        &mut self,
        points: &Points,
        numbers: &[usize],
        ns: impl Fn(usize) -> String,
    ) -> anyhow::Result<String> {
        let row = |number: &usize| {
            let thing = Thing {
                key: Some(Key { ns: ns(*number), id: number.to_string(), ..Key::default() }),
                r#type: format!("P{}", points.shares(*number).0),
                embedding: points.vector(*number).to_vec(),
                ..Thing::default()
            };
            ImportRow { row: Some(Imported::Thing(thing)) }
        };
        let messages: Vec<_> = numbers
            .chunks(ROWS)
            .map(|numbers| ImportThingsRequest { rows: numbers.iter().map(row).collect(), ..Default::default() })
            .collect();
        let answer = self.things.import_things(stream::iter(messages)).await?.into_inner();
        ensure!(answer.failed == 0, "{:?}", answer.failures.first());
        Ok(answer.last_ulid)
    }

    async fn delete(&mut self, points: &Points, numbers: &[usize]) -> anyhow::Result<()> {
        let deletions = numbers.iter().map(|number| {
            let mut things = self.things.clone();
            let ns = format!("p{}", points.shares(*number).1);
            let key = Some(Key { ns, id: number.to_string(), ..Key::default() });
            async move { things.delete_thing(DeleteThingRequest { key, ..Default::default() }).await.map(drop) }
        });
        stream::iter(deletions).buffer_unordered(AT_A_TIME).try_collect::<()>().await.context("a deletion failed")
    }

    /// The numbers of the nearest, and how long that took.
    async fn near(&mut self, query: &[f32], among: Among, wait_for: String) -> anyhow::Result<(Vec<usize>, Duration)> {
        let (ns, types) = match among {
            Among::All => (String::new(), Vec::new()),
            Among::ByChance(share) => (String::new(), vec![format!("P{share}")]),
            Among::ByPlace(share) => (format!("p{share}"), Vec::new()),
        };
        let mut request = tonic::Request::new(SearchRequest { ns, types, wait_for, ..request(query) });
        request.set_timeout(Duration::from_mins(2));
        let started = Instant::now();
        let hits = self.search.search(request).await?.into_inner().hits;
        let took = started.elapsed();
        let number = |hit: proto::search::v1::Hit| Ok(hit.key.context("a hit has a name")?.id.parse()?);
        Ok((hits.into_iter().map(number).collect::<anyhow::Result<_>>()?, took))
    }

    async fn measure(&mut self, points: &Points, queries: &[Vec<f32>], among: Among) -> anyhow::Result<Measured> {
        let (mut found, mut there, mut took) = (0, 0, Vec::new());
        for query in queries {
            let exact: HashSet<usize> = points.nearest(query, among, TOP_K).into_iter().collect();
            let mut near = Vec::new();
            for turn in 0..TURNS {
                // Twice as long it points to the same, and is no question that was answered before.
                let query: Vec<f32> = query.iter().map(|number| number * (1 << turn) as f32).collect();
                let answer = self.near(&query, among, String::new()).await?;
                near = answer.0;
                took.push(answer.1);
            }
            ensure!(near.len() == exact.len(), "{among:?}: {} hits, {} match", near.len(), exact.len());
            found += near.iter().filter(|number| exact.contains(number)).count();
            there += exact.len();
        }
        took.sort_unstable();
        Ok(Measured { recall: found as f64 / there as f64, took })
    }
}

impl Measured {
    fn milliseconds(&self, percent: usize) -> f64 {
        self.took[self.took.len() * percent / 100].as_secs_f64() * 1_000.0
    }

    /// Searches a second, one after the other.
    fn rate(&self) -> f64 {
        self.took.len() as f64 / self.took.iter().sum::<Duration>().as_secs_f64()
    }

    /// Recall at least `least`, and where there is a filter the slowest at most three times as slow as without.
    fn row(&self, what: &str, least: f64, without: Option<&Self>) -> Row {
        let (half, most) = (self.milliseconds(50), self.milliseconds(99));
        let slower = without.map_or(f64::INFINITY, |all| 3.0 * all.milliseconds(99) / most);
        let limit = without.map_or(String::new(), |all| format!(", {:.1} ms", 3.0 * all.milliseconds(99)));
        Row {
            what: what.into(),
            ours: format!(
                "recall@10 {:.4}; {:.0}/s one after the other, 50 of 100 in {half:.1} ms, 99 in {most:.1} ms",
                self.recall,
                self.rate()
            ),
            baseline: format!("{least}{limit}, the limit"),
            ratio: (self.recall / least).min(slower),
            bounds: Some((1.0, 1.0)),
        }
    }
}

/// Returns once search has nothing in memory that is not on the disk.
pub(crate) async fn on_the_disk(server: &Server) -> anyhow::Result<()> {
    const GAUGE: &str = "annals_search_names_in_memory{index=\"search-vectors\"} ";
    let (client, page) = (http_client(), format!("{}/_/metrics", server.url()).parse::<http::Uri>()?);
    let started = Instant::now();
    while started.elapsed() < Duration::from_mins(1) {
        let metrics = body(client.get(page.clone()).await?).await?;
        let names = std::str::from_utf8(&metrics)?.lines().find_map(|line| line.strip_prefix(GAUGE));
        if names.context("search says how much it has in memory")? == "0" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("what was written is not on the disk after a minute")
}

/// Clients of a server that was just started, once it answers.
async fn first_answer(server: &Server, query: &[f32]) -> anyhow::Result<Clients> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_mins(1) {
        if let Ok(mut clients) = Clients::of(server).await
            && clients.near(query, Among::All, String::new()).await.is_ok_and(|(near, _)| near.len() == TOP_K)
        {
            return Ok(clients);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    anyhow::bail!("no search was answered within a minute")
}

fn request(query: &[f32]) -> SearchRequest {
    SearchRequest { vector: query.to_vec(), mode: Mode::Semantic.into(), top_k: TOP_K as i32, ..Default::default() }
}

fn vectors_of(server: &Server) -> std::path::PathBuf {
    server.dir.path().join("data/search/vectors")
}

fn bytes_in(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { bytes_in(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

fn ratio(what: &str, ours: f64, baseline: f64, ratio: f64) -> Row {
    let [ours, baseline] = [ours, baseline].map(|figure| format!("{figure:.3}"));
    Row { what: what.into(), ours, baseline, ratio, bounds: Some((1.0, 1.0)) }
}

fn information(what: &str, ours: String) -> Row {
    Row { what: what.into(), ours, baseline: String::new(), ratio: 1.0, bounds: None }
}
