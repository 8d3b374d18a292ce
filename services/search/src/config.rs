//! Owns the settings of the search service. Reads none itself.

use std::{
    fs,
    path::{self, Path, PathBuf},
};

use anyhow::Context as _;
use serve::config::{Secret, Setting};

use crate::index::is_model;

serve::settings! {
    /// What the search service needs to know.
    pub struct Config {
        /// What makes vectors of texts: `hash-v1`, which needs nothing and finds what is spelled alike; the directory of a model
        /// of the BERT family (model.safetensors, config.json, tokenizer.json), which finds what means alike; the address of an
        /// endpoint in OpenAI's form (`https://host/v1/embeddings`), which is sent every text; or `given`: clients give vectors
        /// with things and queries. With another one everything is embedded anew, and the one before answers until that is done.
        pub embedder: EmbedderAt = "hash-v1",
        /// The name by which the endpoint knows the model.
        pub embedder_model: Option<String>,
        /// The bearer token for the endpoint.
        pub embedder_key: Option<Secret>,
        /// Numbers of a vector, of an endpoint's model or of those that clients give: 2 to 4,096.
        pub embedder_dimension: Dimension = "768",
    }
}

impl Config {
    /// What makes vectors of texts, with what belongs to it.
    pub(crate) fn embedder(&self) -> Chosen {
        let Self { embedder, embedder_model, embedder_key, embedder_dimension } = self.clone();
        Chosen { at: embedder, model: embedder_model, key: embedder_key, dimension: embedder_dimension.0 }
    }
}

/// What makes vectors of texts, with what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// Which.
    pub at: EmbedderAt,
    /// The name by which an endpoint knows its model.
    pub model: Option<String>,
    /// The bearer token for an endpoint.
    pub key: Option<Secret>,
    /// Numbers of an endpoint's or of given vectors.
    pub dimension: usize,
}

impl Chosen {
    /// The one that is written in a file, without its token; none if it cannot be read.
    pub(crate) fn read(file: &Path) -> Option<Self> {
        let Written { embedder, model, dimension } = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(Self { at: EmbedderAt::from_text(&embedder).ok()?, model, key: None, dimension })
    }

    /// Writes it into a file, without its token.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let Self { at, model, key: _, dimension } = self;
        let written = Written { embedder: at.to_text(), model: model.clone(), dimension: *dimension };
        fs::write(file, serde_json::to_vec(&written)?).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// [`Chosen`] in a file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    embedder: String,
    model: Option<String>,
    dimension: usize,
}

/// What makes vectors of texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EmbedderAt {
    /// Hashes of words and parts of words.
    HashV1,
    /// The model in a directory.
    Local(PathBuf),
    /// A model behind an endpoint.
    Http(reqwest::Url),
    /// Clients.
    Given,
}

/// Numbers of a vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dimension(usize);

impl Dimension {
    /// How many they are.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Setting for Dimension {
    const SHAPE: &'static str = "NUMBERS";

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (2..=4_096).contains(number));
        number.map(Self).ok_or_else(|| format!("`{text}` is not 2 to 4096"))
    }
}

impl EmbedderAt {
    /// As [`from_text`](Setting::from_text) takes it, from whichever directory.
    fn to_text(&self) -> String {
        match self {
            Self::HashV1 => "hash-v1".into(),
            Self::Local(directory) => {
                path::absolute(directory).unwrap_or_else(|_| directory.clone()).display().to_string()
            }
            Self::Http(url) => url.to_string(),
            Self::Given => "given".into(),
        }
    }
}

impl Setting for EmbedderAt {
    const SHAPE: &'static str = "hash-v1|given|URL|DIRECTORY";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "hash-v1" => Ok(Self::HashV1),
            "given" => Ok(Self::Given),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                let url: reqwest::Url = url.parse().map_err(|error| format!("the address is not a URL: {error}"))?;
                // What is wrong may be a secret in it.
                let is_plain = url.username().is_empty() && url.password().is_none();
                if is_plain { Ok(Self::Http(url)) } else { Err("the address has a user: use --embedder-key".into()) }
            }
            directory if is_model(directory.as_ref()) => Ok(Self::Local(directory.into())),
            _ => Err(format!(
                "`{text}` is neither `hash-v1`, `given`, an address of http or https, nor a directory with `model.safetensors`"
            )),
        }
    }
}

serve::settings! {
    /// Where a search service that runs on its own finds the others.
    pub struct Peers {
        /// Address of the things service.
        pub things: http::Uri = "http://127.0.0.1:8081",
        /// Address of the events service.
        pub events: http::Uri = "http://127.0.0.1:8082",
    }
}
