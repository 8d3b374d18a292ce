//! Owns the settings of the search service. Reads none itself.

use std::path::PathBuf;

use serve::config::Setting;

use crate::index::is_model;

serve::settings! {
    /// What the search service needs to know.
    pub struct Config {
        /// What makes vectors of texts: `hash-v1`, which needs nothing and finds what is spelled alike, or the directory of a
        /// model of the BERT family (model.safetensors, config.json, tokenizer.json), which finds what means alike. With another one
        /// everything is embedded anew, and is found by vectors as far as that has come.
        pub embedder: EmbedderAt = "hash-v1",
    }
}

/// What makes vectors of texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EmbedderAt {
    /// Hashes of words and parts of words.
    HashV1,
    /// The model in a directory.
    Local(PathBuf),
}

impl Setting for EmbedderAt {
    const SHAPE: &'static str = "hash-v1|DIRECTORY";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "hash-v1" => Ok(Self::HashV1),
            directory if is_model(directory.as_ref()) => Ok(Self::Local(directory.into())),
            _ => Err(format!("`{text}` is neither `hash-v1` nor a directory with `model.safetensors`")),
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
