//! Owns how texts become vectors. Never keeps one.

mod bert;
mod hash;
mod http;

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use bert::Bert;
use http::Http;

use super::Error;
use crate::{
    config::{Chosen, EmbedderAt},
    document::{Document, Texts},
};

/// Makes vectors of texts.
pub(crate) enum Embedder {
    /// Of words and parts of words.
    HashV1,
    /// By a model here.
    Local(Arc<Bert>),
    /// By a model that is asked over HTTP.
    Http(Http),
    /// By clients, who give them with things and queries.
    Given { name: String, dimension: usize },
}

impl Embedder {
    /// The one that is chosen. Reads a model; asks none over HTTP. Needs a runtime. Blocks.
    pub(crate) fn open(chosen: &Chosen) -> anyhow::Result<Self> {
        let Chosen { at, model, key, dimension } = chosen;
        let dimension = *dimension;
        Ok(match at {
            EmbedderAt::HashV1 => Self::HashV1,
            EmbedderAt::Local(directory) => Self::Local(Arc::new(Bert::open(directory)?)),
            EmbedderAt::Http(url) => {
                let model =
                    model.clone().context("--embedder-model must be given: the name that the endpoint knows it by")?;
                Self::Http(Http::new(url.clone(), model, key.clone(), dimension)?)
            }
            EmbedderAt::Given => Self::Given { name: format!("given-{dimension}"), dimension },
        })
    }

    /// Its name and version: its vectors are where they are by it, so that those of two are never mixed. At most 64 letters,
    /// digits and hyphens.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::HashV1 => "hash-v1",
            Self::Local(bert) => bert.name(),
            Self::Http(http) => http.name(),
            Self::Given { name, .. } => name,
        }
    }

    /// Numbers of a vector.
    pub(crate) fn dimension(&self) -> usize {
        match self {
            Self::HashV1 => hash::DIMENSION,
            Self::Local(bert) => bert.dimension(),
            Self::Http(http) => http.dimension(),
            Self::Given { dimension, .. } => *dimension,
        }
    }

    /// How much words count where words and vectors both do, of one. `docs/benchmarks.md` says how they were chosen.
    pub(crate) fn lexical_weight(&self) -> f32 {
        match self {
            Self::HashV1 => 0.7,
            Self::Local(_) | Self::Http(_) | Self::Given { .. } => 0.2,
        }
    }

    /// Whether clients give vectors with things.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given { .. })
    }

    /// The vectors of things, in their order; zero or empty where one has no words, or none was given of the dimension.
    /// Blocks.
    pub(crate) fn embed(&self, things: &[&Document]) -> Result<Vec<Vec<f32>>, Error> {
        if let Self::Given { dimension, .. } = self {
            let given = |thing: &&Document| thing.embedding.clone().filter(|given| given.len() == *dimension);
            return Ok(things.iter().map(|thing| given(thing).unwrap_or_default()).collect());
        }
        self.embed_texts(&things.iter().map(|thing| &thing.texts).collect::<Vec<_>>())
    }

    fn embed_texts(&self, things: &[&Texts]) -> Result<Vec<Vec<f32>>, Error> {
        match self {
            Self::HashV1 => Ok(things.iter().map(|texts| hash::of_thing(texts)).collect()),
            Self::Local(bert) => bert.embed(things.iter().map(|texts| bert::text_of(texts)).collect()),
            Self::Http(http) => http.embed(&things.iter().map(|texts| bert::text_of(texts)).collect::<Vec<_>>()),
            Self::Given { .. } => Ok(vec![Vec::new(); things.len()]),
        }
    }

    /// The vector of one thing that others are to be like; zero or empty where it has no words. Blocks.
    pub(crate) fn embed_one(&self, thing: &Texts) -> Result<Vec<f32>, Error> {
        match self {
            Self::HashV1 => Ok(hash::of_thing(thing)),
            Self::Local(bert) => bert.embed_query(&bert::text_of(thing)),
            Self::Http(http) => http.embed_query(&bert::text_of(thing)),
            Self::Given { .. } => Ok(Vec::new()),
        }
    }

    /// The vector of what is looked for; zero or empty where it has no words. Blocks.
    pub(crate) fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        match self {
            Self::HashV1 => Ok(hash::of_text(text)),
            Self::Local(bert) => bert.embed_query(text),
            Self::Http(http) => http.embed_query(text),
            Self::Given { .. } => Ok(Vec::new()),
        }
    }
}

/// The vectors of texts by the model in `directory`, in their order, as long as it makes them. Blocks.
pub fn vectors_of(directory: &Path, texts: Vec<String>) -> anyhow::Result<Vec<Vec<f32>>> {
    Ok(Bert::open(directory)?.embed(texts)?)
}

/// What is said of an embedder that works.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked {
    /// Its name and version.
    pub name: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Texts of some hundred letters that it embeds in a second, in batches.
    pub texts_a_second: f64,
}

/// Opens an embedder and measures it. Needs a runtime. Blocks for some seconds.
pub fn check(chosen: &Chosen) -> anyhow::Result<Checked> {
    const TEXT: &str = "The keeper of the harbour light climbs the tower at dusk, trims the lamp, winds the clock that turns the \
         lens, and writes into the log which ships have passed, from where the wind blew, and when the fog came in.";
    let embedder = Embedder::open(chosen)?;
    if embedder.is_given() {
        bail!("clients give the vectors: there is nothing to try");
    }
    let texts = [String::new(), String::new(), TEXT.to_owned(), String::new()];
    let batch = [&texts; bert::BATCH];
    let (start, mut done) = (std::time::Instant::now(), 0);
    while done == 0 || start.elapsed().as_secs() < 2 {
        embedder.embed_texts(&batch)?;
        done += batch.len();
    }
    let texts_a_second = done as f64 / start.elapsed().as_secs_f64();
    Ok(Checked { name: embedder.name().to_owned(), dimension: embedder.dimension(), texts_a_second })
}

/// Where a model may be: a directory that has its weights.
pub(crate) fn is_model(directory: &Path) -> bool {
    directory.join(bert::WEIGHTS).is_file()
}
