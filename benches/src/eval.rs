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
};
use tonic::transport::{Channel, Endpoint};

use crate::server::{Server, sibling};

/// Hits that count.
const K: usize = 10;
/// Searches at a time.
const AT_A_TIME: usize = 4;
const MODES: [(&str, Mode); 3] = [("lexical", Mode::Lexical), ("semantic", Mode::Semantic), ("hybrid", Mode::Hybrid)];
/// nDCG@10 below which it fails, of titles: by words; and by both, as much as by words.
const LEXICAL_FLOOR: f64 = 0.48;

/// What is relevant to a query, and how much.
type Judged<Q> = Vec<(Q, HashMap<String, f64>)>;

pub(crate) async fn run(onet: &Path) -> anyhow::Result<()> {
    let server = Server::start().await?;
    import(&server, &onet.join("occupations.tsv")).await?;
    let client = SearchServiceClient::new(Endpoint::new(server.url())?.connect().await?);
    let (titles, related) = (titles(onet)?, related(onet)?);
    println!("| nDCG@10 | queries | lexical | semantic, hash-v1 | hybrid, hash-v1 |\n|---|---|---|---|---|");
    let mut of_titles = Vec::new();
    for (_, mode) in MODES {
        of_titles.push(mean(&titles, |title| search(client.clone(), title, mode)).await?);
    }
    row("reported titles → occupations", titles.len(), &of_titles);
    let mut of_related = Vec::new();
    for (_, mode) in MODES {
        of_related.push(mean(&related, |code| similar(client.clone(), code, mode)).await?);
    }
    row("occupation → related occupations", related.len(), &of_related);
    let [lexical, _, hybrid] = of_titles[..] else { anyhow::bail!("three ways") };
    anyhow::ensure!(lexical >= LEXICAL_FLOOR, "titles by words: {lexical:.3} is below the floor of {LEXICAL_FLOOR}");
    anyhow::ensure!(hybrid >= lexical, "titles by both: {hybrid:.3} is below {lexical:.3}, by words alone");
    Ok(())
}

fn row(what: &str, queries: usize, figures: &[f64]) {
    let figures: Vec<_> = figures.iter().map(|figure| format!("{figure:.4}")).collect();
    println!("| {what} | {queries} | {} |", figures.join(" | "));
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

fn titles(onet: &Path) -> anyhow::Result<Judged<String>> {
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

fn related(onet: &Path) -> anyhow::Result<Judged<String>> {
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
async fn mean<F>(judged: &Judged<String>, look: impl Fn(String) -> F) -> anyhow::Result<f64>
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
