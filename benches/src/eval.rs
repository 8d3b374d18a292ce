//! How good what is found is: nDCG@10 on two sets of O*NET, for each way of looking.
//!
//! *Titles*: of each job title as people report it, but for official ones, the occupations that it was reported for.
//! *Related*: of each occupation those that are related to it, graded by their tier. Never tunes anything.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    process::Stdio,
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest, SearchResponse, SimilarRequest, search_service_client::SearchServiceClient},
    things::v1::{PutThingRequest, Thing, things_service_client::ThingsServiceClient},
};
use tonic::transport::{Channel, Endpoint};

use crate::server::{Server, sibling};

/// Hits that count.
const K: usize = 10;
/// Searches at a time.
const AT_A_TIME: usize = 4;
const MODES: [Mode; 3] = [Mode::Lexical, Mode::Semantic, Mode::Hybrid];
/// nDCG@10 of titles by words below which it fails.
const LEXICAL_FLOOR: f64 = 0.48;

/// A query, and what is relevant to it, and how much.
type Judgement = (String, HashMap<String, f64>);

/// What vectors are made by, and what must hold of it: nDCG@10 of titles by vectors, and of related occupations by both, below
/// which it fails.
struct By<'a> {
    name: &'a str,
    embedder: &'a str,
    semantic_floor: f64,
    related_floor: f64,
}

/// `model` is the directory of `MiniLM`; without it only what needs no model is measured.
pub(crate) async fn run(onet: &Path, model: Option<&Path>) -> anyhow::Result<()> {
    let (titles, related) = (titles(onet)?, related(onet)?);
    println!("| nDCG@10 | queries | vectors | lexical | semantic | hybrid |\n|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    let by_hash = By { name: "hash-v1", embedder: "hash-v1", semantic_floor: 0.0, related_floor: 0.0 };
    missed.extend(measure(onet, &by_hash, &titles, &related).await?);
    if let Some(model) = model {
        let embedder = model.to_str().context("the model's directory has a name in UTF-8")?;
        let by_model = By { name: "MiniLM", embedder, semantic_floor: 0.59, related_floor: 0.55 };
        missed.extend(measure(onet, &by_model, &titles, &related).await?);
    }
    anyhow::ensure!(missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

/// Prints two rows, and says which floors are missed.
async fn measure(onet: &Path, by: &By<'_>, titles: &[Judgement], related: &[Judgement]) -> anyhow::Result<Vec<String>> {
    let server = Server::start_with(&["--embedder", by.embedder]).await?;
    import(&server, &onet.join("occupations.tsv")).await?;
    let client = SearchServiceClient::new(Endpoint::new(server.url())?.connect().await?);
    arrive(&server, client.clone()).await?;
    let mut of_titles = Vec::new();
    for mode in MODES {
        of_titles.push(mean(titles, |title| search(client.clone(), title, mode)).await?);
    }
    row("reported titles → occupations", titles.len(), by.name, &of_titles);
    let mut of_related = Vec::new();
    for mode in MODES {
        of_related.push(mean(related, |code| similar(client.clone(), code, mode)).await?);
    }
    row("occupation → related occupations", related.len(), by.name, &of_related);
    let best = of_titles[0].max(of_titles[1]);
    let floors = [
        ("titles, lexical", of_titles[0], LEXICAL_FLOOR),
        ("titles, semantic", of_titles[1], by.semantic_floor),
        (
            "titles, hybrid, against the better of the two",
            of_titles[2],
            if by.semantic_floor > 0.0 { best } else { of_titles[0] },
        ),
        ("related, the best of three", of_related.iter().copied().fold(0.0, f64::max), by.related_floor),
    ];
    let missed = floors.into_iter().filter(|(_, figure, floor)| figure < floor);
    Ok(missed.map(|(what, figure, floor)| format!("{what}, {}: {figure:.4} is below {floor:.4}", by.name)).collect())
}

fn row(what: &str, queries: usize, by: &str, figures: &[f64]) {
    let figures: Vec<_> = figures.iter().map(|figure| format!("{figure:.4}")).collect();
    println!("| {what} | {queries} | {by} | {} |", figures.join(" | "));
}

/// Returns once everything that was written can be found.
async fn arrive(server: &Server, mut client: SearchServiceClient<Channel>) -> anyhow::Result<()> {
    let mut things = ThingsServiceClient::new(Endpoint::new(server.url())?.connect().await?);
    let key = Some(Key { ns: "last".into(), id: "last".into(), ..Key::default() });
    let thing = Some(Thing { key, r#type: "Last".into(), ..Thing::default() });
    let last = things.put_thing(PutThingRequest { thing, ..PutThingRequest::default() }).await?.into_inner().etag;
    loop {
        let mode = Mode::Hybrid.into();
        let request = SearchRequest { query: "last".into(), mode, wait_for: last.clone(), ..SearchRequest::default() };
        match client.search(request).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == tonic::Code::Unavailable => {}
            Err(status) => return Err(status.into()),
        }
    }
}

/// As `docs/onet.md` says it, but with the title by itself.
async fn import(server: &Server, file: &Path) -> anyhow::Result<()> {
    let status = tokio::process::Command::new(sibling("annals")?)
        .args(["import", "--server", &server.url(), "--ns", "onet", "--type", "Occupation"])
        .args(["--id", "{O*NET-SOC Code}", "--content", "{Description}", "--data", "Title"])
        .arg(std::path::absolute(file)?)
        .current_dir(server.dir.path())
        .stdout(Stdio::null())
        .status()
        .await?;
    anyhow::ensure!(status.success(), "annals import failed");
    Ok(())
}

fn rows(file: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

fn titles(onet: &Path) -> anyhow::Result<Vec<Judgement>> {
    let official: HashSet<String> =
        rows(&onet.join("occupations.tsv"))?.into_iter().map(|row| row[1].to_lowercase()).collect();
    let mut titles = BTreeMap::<String, HashMap<String, f64>>::new();
    for row in rows(&onet.join("reported_titles.tsv"))? {
        if !official.contains(&row[1].to_lowercase()) {
            titles.entry(row[1].clone()).or_default().insert(row[0].clone(), 1.0);
        }
    }
    Ok(titles.into_iter().collect())
}

fn related(onet: &Path) -> anyhow::Result<Vec<Judgement>> {
    let mut related = BTreeMap::<String, HashMap<String, f64>>::new();
    for row in rows(&onet.join("related_occupations.tsv"))? {
        let gain = match row[2].as_str() {
            "Primary-Short" => 3.0,
            "Primary-Long" => 2.0,
            "Supplemental" => 1.0,
            other => anyhow::bail!("a tier that is not known: {other}"),
        };
        related.entry(row[0].clone()).or_default().insert(row[1].clone(), gain);
    }
    Ok(related.into_iter().collect())
}

async fn search(mut client: SearchServiceClient<Channel>, title: String, mode: Mode) -> anyhow::Result<SearchResponse> {
    let request = SearchRequest { query: title, mode: mode.into(), top_k: K as i32, ..SearchRequest::default() };
    Ok(client.search(request).await?.into_inner())
}

async fn similar(mut client: SearchServiceClient<Channel>, code: String, mode: Mode) -> anyhow::Result<SearchResponse> {
    let key = Key { ns: "onet".into(), id: code, ..Key::default() };
    let request = SimilarRequest { key: Some(key), mode: mode.into(), top_k: K as i32, ..SimilarRequest::default() };
    Ok(client.similar(request).await?.into_inner())
}

/// The mean over all queries of what `look` finds.
async fn mean<F>(judged: &[Judgement], look: impl Fn(String) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<SearchResponse>>,
{
    let look = &look;
    let figures = stream::iter(judged).map(|(query, relevant)| async move {
        let found = look(query.clone()).await.with_context(|| format!("{query:?} is not answered"))?;
        let ids: Vec<_> = found.hits.into_iter().filter_map(|hit| Some(hit.key?.id)).collect();
        anyhow::Ok(ndcg(&ids, relevant))
    });
    let figures: Vec<f64> = figures.buffered(AT_A_TIME).try_collect().await?;
    Ok(figures.iter().sum::<f64>() / figures.len() as f64)
}

/// The gain of what was found, discounted by its rank, as a share of what the best order has (Järvelin and Kekäläinen 2002).
fn ndcg(found: &[String], relevant: &HashMap<String, f64>) -> f64 {
    let dcg =
        |gains: Vec<f64>| gains.iter().zip(2..).take(K).map(|(gain, rank)| gain / f64::from(rank).log2()).sum::<f64>();
    let mut ideal: Vec<f64> = relevant.values().copied().collect();
    ideal.sort_by(|one, other| other.total_cmp(one));
    dcg(found.iter().map(|id| relevant.get(id).copied().unwrap_or(0.0)).collect()) / dcg(ideal)
}
