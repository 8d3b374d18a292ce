//! How good what is found is: nDCG@10 on two sets of O*NET, for each way of looking.
//!
//! *Titles*: of each job title as people report it, but for official ones, the occupations that it was reported for.
//! *Related*: of each occupation those that are related to it, graded by their tier. Never tunes anything.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest, SearchResponse, SimilarRequest, search_service_client::SearchServiceClient},
    things::v1::{PutThingRequest, Thing, things_service_client::ThingsServiceClient},
};
use tonic::transport::{Channel, Endpoint};

use crate::{recall, server::Server};

/// Hits that count.
const K: usize = 10;
/// Hits that are combined here.
const WEIGHED: usize = 100;
/// A query may have so many words; tasks have more now and then.
const MOST_WORDS: usize = 24;
/// Searches at a time.
const AT_A_TIME: usize = 4;
const MODES: [Mode; 3] = [Mode::Lexical, Mode::Semantic, Mode::Hybrid];
/// nDCG@10 of titles by words below which it fails.
const LEXICAL_FLOOR: f64 = 0.48;

/// A query, and what is relevant to it, and how much.
type Judgement = (String, HashMap<String, f64>);

/// What vectors are made by, and below which nDCG@10 it fails: of titles by vectors, and of related occupations by both. Of
/// titles by both, it fails below the better of the two.
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
        missed.extend(recall::measure(onet, model).await?);
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
        of_titles.push(mean(titles, |title| search(client.clone(), title, mode, K)).await?);
    }
    row("reported titles → occupations", titles.len(), by.name, &of_titles);
    let mut of_related = Vec::new();
    for mode in MODES {
        of_related.push(mean(related, |code| similar(client.clone(), code, mode, K)).await?);
    }
    row("occupation → related occupations", related.len(), by.name, &of_related);
    let floors = [
        ("titles, lexical", of_titles[0], LEXICAL_FLOOR),
        ("titles, semantic", of_titles[1], by.semantic_floor),
        ("titles, hybrid, against the better of the two", of_titles[2], of_titles[0].max(of_titles[1])),
        ("related, hybrid", of_related[2], by.related_floor),
    ];
    let missed = floors.into_iter().filter(|(_, figure, floor)| figure < floor);
    Ok(missed.map(|(what, figure, floor)| format!("{what}, {}: {figure:.4} is below {floor:.4}", by.name)).collect())
}

/// Prints what each weight of words would give on each set, and which is best on the others: how the weight of an embedder is
/// chosen. Hits are combined here as the service does it, of the best 100 by each.
pub(crate) async fn weights(onet: &Path, embedder: &str) -> anyhow::Result<()> {
    let server = Server::start_with(&["--embedder", embedder]).await?;
    import(&server, &onet.join("occupations.tsv")).await?;
    let client = SearchServiceClient::new(Endpoint::new(server.url())?.connect().await?);
    arrive(&server, client.clone()).await?;
    let sample = |set: Vec<Judgement>, one_of: usize| set.into_iter().step_by(one_of).collect::<Vec<_>>();
    let sets = [
        ("titles", sample(titles(onet)?, 4), false),
        ("related", sample(related(onet)?, 2), true),
        ("tasks", sample(tasks(onet)?, 40), false),
    ];
    let mut figures = Vec::new();
    for (_, set, is_like) in &sets {
        let both = stream::iter(set).map(|(query, relevant)| {
            let client = client.clone();
            async move {
                let [lexical, semantic] = [Mode::Lexical, Mode::Semantic].map(|mode| {
                    let (client, query) = (client.clone(), query.clone());
                    async move {
                        if *is_like {
                            similar(client, query, mode, WEIGHED).await
                        } else {
                            search(client, query, mode, WEIGHED).await
                        }
                    }
                });
                anyhow::Ok((lexical.await?, semantic.await?, relevant))
            }
        });
        let both: Vec<_> = both.buffered(AT_A_TIME).try_collect().await?;
        let of = |weight: f64| {
            let sum: f64 = both
                .iter()
                .map(|(lexical, semantic, relevant)| ndcg(&combined(lexical, semantic, weight), relevant))
                .sum();
            sum / both.len() as f64
        };
        figures.push((0..=10).map(|tenths| of(f64::from(tenths) / 10.0)).collect::<Vec<_>>());
    }
    println!(
        "| weight of words | {} |",
        sets.each_ref().map(|(name, set, _)| format!("{name} ({})", set.len())).join(" | ")
    );
    println!("|---|{}", "---|".repeat(sets.len()));
    for tenths in 0..=10 {
        let row: Vec<_> = figures.iter().map(|of| format!("{:.4}", of[tenths])).collect();
        println!("| {:.1} | {} |", tenths as f64 / 10.0, row.join(" | "));
    }
    for (left_out, (name, ..)) in sets.iter().enumerate() {
        // Each set counts the same: its figures are shares of its best.
        let share = |of: &Vec<f64>, tenths: usize| of[tenths] / of.iter().copied().fold(0.0, f64::max);
        let others = |tenths| {
            let others = figures.iter().enumerate().filter(|(set, _)| *set != left_out);
            others.map(|(_, of)| share(of, tenths)).sum::<f64>()
        };
        let best = (0..=10).max_by(|one, other| others(*one).total_cmp(&others(*other))).unwrap_or(0);
        let (chosen, own) = (figures[left_out][best], figures[left_out].iter().copied().fold(0.0, f64::max));
        println!("without {name}: {:.1}, which gives {name} {chosen:.4}; its own best is {own:.4}", best as f64 / 10.0);
    }
    Ok(())
}

/// The ids by both, the best first.
fn combined(lexical: &SearchResponse, semantic: &SearchResponse, weight: f64) -> Vec<String> {
    let mut scores = HashMap::<&str, f64>::new();
    for (found, weight) in [(lexical, weight), (semantic, 1.0 - weight)] {
        let best = found.hits.first().map_or(1.0, |hit| hit.score).max(f64::MIN_POSITIVE);
        for hit in &found.hits {
            if let Some(key) = &hit.key {
                *scores.entry(&key.id).or_default() += weight * hit.score.max(0.0) / best;
            }
        }
    }
    let mut ids: Vec<(f64, &str)> = scores.into_iter().map(|(id, score)| (score, id)).collect();
    ids.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    ids.into_iter().map(|(_, id)| id.to_owned()).collect()
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
    let arguments = ["--id", "{O*NET-SOC Code}", "--content", "{Description}", "--data", "Title"];
    server.import("onet", "Occupation", &arguments, file).await
}

pub(crate) fn rows(file: &Path) -> anyhow::Result<Vec<Vec<String>>> {
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

/// Of each task the occupation that it is of.
fn tasks(onet: &Path) -> anyhow::Result<Vec<Judgement>> {
    let rows = rows(&onet.join("tasks.tsv"))?;
    Ok(rows.into_iter().map(|row| (row[2].clone(), HashMap::from([(row[0].clone(), 1.0)]))).collect())
}

async fn search(
    mut client: SearchServiceClient<Channel>,
    text: String,
    mode: Mode,
    top_k: usize,
) -> anyhow::Result<SearchResponse> {
    let words: Vec<_> = text.split_whitespace().take(MOST_WORDS).collect();
    let (query, top_k) = (words.join(" "), top_k as i32);
    let request = SearchRequest { query, mode: mode.into(), top_k, ..SearchRequest::default() };
    Ok(client.search(request).await?.into_inner())
}

async fn similar(
    mut client: SearchServiceClient<Channel>,
    code: String,
    mode: Mode,
    top_k: usize,
) -> anyhow::Result<SearchResponse> {
    let (key, top_k) = (Key { ns: "onet".into(), id: code, ..Key::default() }, top_k as i32);
    let request = SimilarRequest { key: Some(key), mode: mode.into(), top_k, ..SimilarRequest::default() };
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
