//! Owns a model that is asked over HTTP, as `OpenAI`'s embeddings are. Never takes a vector that is not of its dimension, nor
//! waits for ever.

use std::{thread, time::Duration};

use anyhow::Context as _;
use reqwest::{Client, StatusCode, Url, header::RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serve::config::Secret;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::index::Error;

/// Texts of one request.
const BATCH: usize = 64;
/// Of a longer text so much is sent, in bytes: models take about as much into account.
const LONGEST_BYTES: usize = 16 << 10;
/// How long an answer may take, with things and with a query: of the last somebody waits.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_OF_QUERIES: Duration = Duration::from_secs(5);
/// The pauses before things are sent again. After the last the follower goes on trying, more slowly.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1_600)];
/// The longest pause that an answer can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a number in an answer, at most, and of the rest for each text.
const NUMBER_BYTES: usize = 32;
const REST_BYTES: usize = 4 << 10;

/// A model behind an address.
pub(crate) struct Http {
    name: String,
    url: Url,
    model: String,
    key: Option<Secret>,
    dimension: usize,
    client: Client,
    runtime: Handle,
}

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    index: usize,
    /// Wider than what is kept: what does not fit is told as such.
    embedding: Vec<f64>,
}

/// Why there are no vectors.
enum Failure {
    /// It may go otherwise the next time, after this pause if it said one.
    Passing(String, Option<Duration>),
    /// It does not take these texts.
    Refused(String),
}

impl Http {
    /// The model of that name behind `url`, which is not asked yet. Needs a runtime.
    pub(super) fn new(url: Url, model: String, key: Option<Secret>, dimension: usize) -> anyhow::Result<Self> {
        let client = Client::builder().connect_timeout(Duration::from_secs(2)).timeout(PATIENCE).build();
        let client = client.context("no HTTP client can be made")?;
        // Of the model, not of where it is: it may move.
        let hash = Sha256::digest(format!("{model}\0{dimension}"));
        let name = format!("http-{:016x}", u64::from_be_bytes(hash[..8].try_into().expect("eight bytes")));
        Ok(Self { name, url, model, key, dimension, client, runtime: Handle::current() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vectors of texts, in their order; zero where one is empty, or is refused by itself. Blocks.
    pub(super) fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = vec![vec![0.0; self.dimension]; texts.len()];
        let places: Vec<usize> = (0..texts.len()).filter(|at| !texts[*at].trim().is_empty()).collect();
        for places in places.chunks(BATCH) {
            self.embed_batch(texts, places, &mut vectors)?;
        }
        Ok(vectors)
    }

    fn embed_batch(&self, texts: &[String], places: &[usize], vectors: &mut [Vec<f32>]) -> Result<(), Error> {
        let batch: Vec<&str> = places.iter().map(|at| cut(&texts[*at])).collect();
        match self.ask_until_answered(&batch) {
            Ok(answered) => {
                for (at, vector) in places.iter().zip(answered) {
                    vectors[*at] = vector;
                }
                Ok(())
            }
            Err(Failure::Refused(why)) if places.len() == 1 => {
                // Not for ever, and not for the others: it is found by its words.
                metrics::counter!("annals_search_refused_texts_total").increment(1);
                tracing::error!(why, bytes = batch[0].len(), "a text has no vector: the embedder does not take it");
                Ok(())
            }
            Err(Failure::Refused(_)) => {
                let (one, other) = places.split_at(places.len() / 2);
                self.embed_batch(texts, one, vectors)?;
                self.embed_batch(texts, other, vectors)
            }
            Err(Failure::Passing(why, _)) => Err(Error::Embedder(why)),
        }
    }

    fn ask_until_answered(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        for pause in PAUSES {
            match self.runtime.block_on(self.ask(texts, PATIENCE)) {
                Err(Failure::Passing(_, asked)) => thread::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)),
                answered => return answered,
            }
        }
        self.runtime.block_on(self.ask(texts, PATIENCE))
    }

    /// The vector of a query, asked for once; zero where it is empty. Blocks.
    pub(super) fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        if text.trim().is_empty() {
            return Ok(vec![0.0; self.dimension]);
        }
        match self.runtime.block_on(self.ask(&[cut(text)], PATIENCE_OF_QUERIES)) {
            Ok(mut vectors) => Ok(vectors.remove(0)),
            Err(Failure::Passing(why, _) | Failure::Refused(why)) => Err(Error::Embedder(why)),
        }
    }

    async fn ask(&self, texts: &[&str], patience: Duration) -> Result<Vec<Vec<f32>>, Failure> {
        let passing = |error: reqwest::Error| Failure::Passing(error.without_url().to_string(), None);
        let question = Question { model: &self.model, input: texts, encoding_format: "float" };
        let mut request = self.client.post(self.url.clone()).timeout(patience).json(&question);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let mut response = request.send().await.map_err(passing)?;
        let status = response.status();
        if !status.is_success() {
            let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let why = format!("it answered {status}");
            let is_of_the_text =
                [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
            return Err(if is_of_the_text.contains(&status) {
                Failure::Refused(why)
            } else {
                Failure::Passing(why, pause.map(Duration::from_secs))
            });
        }
        let most = texts.len() * (self.dimension * NUMBER_BYTES + REST_BYTES);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(passing)? {
            if body.len() + chunk.len() > most {
                return Err(Failure::Passing(format!("it answered more than {most} bytes"), None));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice(&body);
        let answer = answer.map_err(|error| Failure::Passing(format!("its answer cannot be read: {error}"), None))?;
        self.vectors(answer, texts.len()).map_err(|why| Failure::Passing(why, None))
    }

    /// What was answered, in the order of the texts; nothing that is not a vector of the dimension for each.
    fn vectors(&self, answer: Answer, count: usize) -> Result<Vec<Vec<f32>>, String> {
        let mut vectors = vec![Vec::new(); count];
        for Embedded { index, embedding } in answer.data {
            if embedding.len() != self.dimension {
                let (is, wanted) = (embedding.len(), self.dimension);
                return Err(format!("its vectors have {is} numbers, not the {wanted} of --embedder-dimension"));
            }
            let embedding: Vec<f32> = embedding.into_iter().map(|number| number as f32).collect();
            if embedding.iter().any(|number| !number.is_finite()) {
                return Err("a vector has a number that is not finite".into());
            }
            let place = vectors.get_mut(index).filter(|place| place.is_empty());
            *place.ok_or("it answered about a text that was not asked about")? = embedding;
        }
        if vectors.iter().any(Vec::is_empty) { Err("it left out a text".into()) } else { Ok(vectors) }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_BYTES)]
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
