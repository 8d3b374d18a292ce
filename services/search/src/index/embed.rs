//! Owns how texts become vectors. Never keeps one.

mod bert;
mod hash;

use std::{path::Path, sync::Arc};

use bert::Bert;

use super::Error;
use crate::{config::EmbedderAt, document::Texts};

/// Makes vectors of texts.
pub(crate) enum Embedder {
    /// Of words and parts of words.
    HashV1,
    /// By a model.
    Local(Arc<Bert>),
}

impl Embedder {
    /// The one that is chosen. Reads a model. Blocks.
    pub(crate) fn open(at: &EmbedderAt) -> anyhow::Result<Self> {
        Ok(match at {
            EmbedderAt::HashV1 => Self::HashV1,
            EmbedderAt::Local(directory) => Self::Local(Arc::new(Bert::open(directory)?)),
        })
    }

    /// Its name and version: its vectors are where they are by it, so that those of two are never mixed. At most 64 letters,
    /// digits and hyphens.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::HashV1 => "hash-v1",
            Self::Local(bert) => bert.name(),
        }
    }

    /// Numbers of a vector.
    pub(crate) fn dimension(&self) -> usize {
        match self {
            Self::HashV1 => hash::DIMENSION,
            Self::Local(bert) => bert.dimension(),
        }
    }

    /// How much words count where words and vectors both do, of one. `docs/benchmarks.md` says how they were chosen.
    pub(crate) fn lexical_weight(&self) -> f32 {
        match self {
            Self::HashV1 => 0.7,
            Self::Local(_) => 0.2,
        }
    }

    /// The vectors of things, in their order; zero where one has no words. Blocks.
    pub(crate) fn embed(&self, things: &[&Texts]) -> Result<Vec<Vec<f32>>, Error> {
        match self {
            Self::HashV1 => Ok(things.iter().map(|texts| hash::of_thing(texts)).collect()),
            Self::Local(bert) => bert.embed(things.iter().map(|texts| bert::text_of(texts)).collect()),
        }
    }

    /// The vector of one thing that others are to be like; zero where it has no words. Blocks.
    pub(crate) fn embed_one(&self, thing: &Texts) -> Result<Vec<f32>, Error> {
        match self {
            Self::HashV1 => Ok(hash::of_thing(thing)),
            Self::Local(bert) => bert.embed_query(&bert::text_of(thing)),
        }
    }

    /// The vector of what is looked for; zero where it has no words. Blocks.
    pub(crate) fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        match self {
            Self::HashV1 => Ok(hash::of_text(text)),
            Self::Local(bert) => bert.embed_query(text),
        }
    }
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

/// Opens an embedder and measures it. Blocks for some seconds.
pub fn check(at: &EmbedderAt) -> anyhow::Result<Checked> {
    const TEXT: &str = "The keeper of the harbour light climbs the tower at dusk, trims the lamp, winds the clock that turns the \
         lens, and writes into the log which ships have passed, from where the wind blew, and when the fog came in.";
    let embedder = Embedder::open(at)?;
    let texts = [String::new(), String::new(), TEXT.to_owned(), String::new()];
    let batch = [&texts; bert::BATCH];
    let (start, mut done) = (std::time::Instant::now(), 0);
    while done == 0 || start.elapsed().as_secs() < 2 {
        embedder.embed(&batch)?;
        done += batch.len();
    }
    let texts_a_second = done as f64 / start.elapsed().as_secs_f64();
    Ok(Checked { name: embedder.name().to_owned(), dimension: embedder.dimension(), texts_a_second })
}

/// Where a model may be: a directory that has its weights.
pub(crate) fn is_model(directory: &Path) -> bool {
    directory.join(bert::WEIGHTS).is_file()
}
