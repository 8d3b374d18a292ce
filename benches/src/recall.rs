//! How many of the nearest texts of O*NET are found by the vectors of a model, against all products, which are computed here.

use std::path::Path;

use anyhow::{Context as _, ensure};
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest, search_service_client::SearchServiceClient},
    things::v1::{
        ImportRow, ImportThingsRequest, Thing, import_row::Row as Imported, things_service_client::ThingsServiceClient,
    },
};
use tonic::transport::Endpoint;

use crate::{
    eval::rows,
    server::Server,
    vectors::{
        on_the_disk,
        points::{dot, normalize},
    },
};

/// Hits that count.
const K: usize = 10;
/// Rows of a message.
const ROWS: usize = 1_000;
/// Of the reported titles one of so many is looked for.
const ONE_OF: usize = 8;
/// Recall@10 below which it fails.
const FLOOR: f64 = 0.995;
/// What is as near as the last of the nearest is one of them: some tasks are the same words. What sums are wrong by.
const EPSILON: f32 = 1e-5;

/// Prints one line, and says whether the floor is missed.
pub(crate) async fn measure(onet: &Path, model: &Path) -> anyhow::Result<Option<String>> {
    let column = |file: &str, column: usize, one_of: usize| -> anyhow::Result<Vec<String>> {
        let rows = rows(&onet.join(file))?.into_iter().step_by(one_of);
        rows.map(|mut row| (column < row.len()).then(|| row.swap_remove(column)).context("a column is lacking"))
            .collect()
    };
    let texts = [column("occupations.tsv", 2, 1)?, column("tasks.tsv", 2, 1)?].concat();
    let titles = column("reported_titles.tsv", 1, ONE_OF)?;
    eprintln!("{} texts and {} titles are embedded", texts.len(), titles.len());
    let (count, directory) = (texts.len(), model.to_owned());
    let embed = move || search::vectors_of(&directory, [texts, titles].concat());
    let mut vectors = tokio::task::spawn_blocking(embed).await??;
    // So that a product is a cosine.
    for vector in &mut vectors {
        normalize(vector);
    }
    let queries = vectors.split_off(count);

    let dimension = vectors.first().context("there are texts")?.len().to_string();
    let server = Server::start_with(&["--embedder", "given", "--embedder-dimension", &dimension]).await?;
    let channel = Endpoint::new(server.url())?.connect().await?;
    let row = |(number, vector): (usize, &Vec<f32>)| {
        let key = Some(Key { ns: "onet".into(), id: number.to_string(), ..Key::default() });
        let thing = Thing { key, r#type: "Text".into(), embedding: vector.clone(), ..Thing::default() };
        ImportRow { row: Some(Imported::Thing(thing)) }
    };
    let rows: Vec<_> = vectors.iter().enumerate().map(row).collect();
    let messages: Vec<_> =
        rows.chunks(ROWS).map(|rows| ImportThingsRequest { rows: rows.to_vec(), ..Default::default() }).collect();
    let imported =
        ThingsServiceClient::new(channel.clone()).import_things(futures::stream::iter(messages)).await?.into_inner();
    ensure!(imported.failed == 0, "{:?}", imported.failures.first());

    let mut client = SearchServiceClient::new(channel);
    let mut found = 0;
    for (number, query) in queries.iter().enumerate() {
        if number == 1 {
            // The first one has waited for them.
            on_the_disk(&server).await?;
        }
        let mut products: Vec<f32> = vectors.iter().map(|vector| dot(vector, query)).collect();
        let request = SearchRequest {
            vector: query.clone(),
            mode: Mode::Semantic.into(),
            top_k: K as i32,
            wait_for: imported.last_ulid.clone(),
            ..Default::default()
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(std::time::Duration::from_mins(2));
        let hits = client.search(request).await?.into_inner().hits;
        ensure!(hits.len() == K, "{} hits of {K}", hits.len());
        let near: Vec<f32> = hits
            .iter()
            .map(|hit| Ok(products[hit.key.as_ref().context("a hit has a name")?.id.parse::<usize>()?]))
            .collect::<anyhow::Result<_>>()?;
        products.sort_unstable_by(|one, other| other.total_cmp(one));
        found += near.iter().filter(|&&product| product >= products[K - 1] - EPSILON).count();
    }
    let recall = found as f64 / (queries.len() * K) as f64;
    println!(
        "\nrecall@{K} of {} titles among {count} texts by the model's vectors: {recall:.4} (floor {FLOOR})",
        queries.len()
    );
    Ok((recall < FLOOR).then(|| format!("recall: {recall:.4} is below {FLOOR}")))
}
