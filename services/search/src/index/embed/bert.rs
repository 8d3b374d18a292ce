//! Owns a model of the BERT family that is read from a directory, and the threads that it may take. Never fetches one.
//!
//! The directory is as `sentence-transformers` writes it: `config.json`, `model.safetensors`, `tokenizer.json`, and where
//! they are there `1_Pooling/config.json` (mean or CLS) and `sentence_bert_config.json` (the longest text).

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module as _, VarBuilder, embedding, layer_norm, linear, ops};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tokenizers::{PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

use crate::{
    document::{Field, Texts},
    index::Error,
};

pub(super) const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const POOLING: &str = "1_Pooling/config.json";
const LENGTH: &str = "sentence_bert_config.json";
/// Texts that are embedded together.
pub(super) const BATCH: usize = 16;
/// Of a longer text the tokenizer is given so much, in bytes: more than it takes into account.
const LONGEST_BYTES: usize = 16 << 10;

/// A model.
pub(crate) struct Bert {
    name: String,
    dimension: usize,
    tokenizer: Tokenizer,
    pooling: Pooling,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// Half of the processors for things, so that those who are served while much is embedded do not wait for it.
    threads: rayon::ThreadPool,
    /// One for queries, which do not wait for things.
    of_queries: rayon::ThreadPool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pooling {
    /// The mean of the vectors of all tokens.
    Mean,
    /// The vector of the first token.
    Cls,
}

#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    vocab_size: usize,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

#[derive(Deserialize)]
struct LengthConfig {
    max_seq_length: usize,
}

struct Embeddings {
    words: Embedding,
    positions: Embedding,
    types: Embedding,
    norm: LayerNorm,
}

struct Layer {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl Bert {
    /// The model in `directory`. Blocks.
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        let config: Config = read(&directory.join(CONFIG))?;
        ensure!(
            config.model_type == "bert",
            "{}: a model of type {}, not bert",
            directory.display(),
            config.model_type
        );
        ensure!(
            config.hidden_act == "gelu",
            "{}: its activation is {}, not gelu",
            directory.display(),
            config.hidden_act
        );
        if let Some(other) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            bail!("{}: its positions are {other}, not absolute", directory.display());
        }
        let pooling = pooling(&directory.join(POOLING))?;
        let length = optional::<LengthConfig>(&directory.join(LENGTH))?;
        let length = length.map_or(config.max_position_embeddings, |length| length.max_seq_length);
        let tokenizer = tokenizer(&directory.join(TOKENIZER), length.min(config.max_position_embeddings))?;
        let known = tokenizer.get_vocab(true).values().max().map_or(0, |last| *last as usize + 1);
        ensure!(known <= config.vocab_size, "{}: the tokenizer knows more words than the model", directory.display());
        let path = directory.join(WEIGHTS);
        let weights = candle_core::safetensors::load(&path, &Device::Cpu);
        let weights = without_prefix(weights.with_context(|| format!("{} cannot be read", path.display()))?);
        let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        let layer = |number| Layer::new(&config, &weights.pp(format!("encoder.layer.{number}")));
        Ok(Self {
            name: name(directory)?,
            dimension: config.hidden_size,
            tokenizer,
            pooling,
            embeddings: Embeddings::new(&config, &weights.pp("embeddings"))?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<candle_core::Result<_>>()?,
            threads: threads(std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2)))?,
            of_queries: threads(1)?,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vectors of texts, in their order; zero where one is empty. Blocks.
    pub(super) fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        // Those of about one length together: the shorter ones of a batch are as long as the longest.
        let mut texts: Vec<(usize, String)> = texts.into_iter().enumerate().collect();
        texts.sort_by_key(|(_, text)| text.len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in texts.chunks(BATCH) {
            let rows = self.threads.install(|| self.forward(batch.iter().map(|(_, text)| text.as_str()).collect()))?;
            for ((at, text), row) in batch.iter().zip(rows) {
                vectors[*at] = if text.trim().is_empty() { vec![0.0; self.dimension] } else { row };
            }
        }
        Ok(vectors)
    }

    /// The vector of a query; zero where it is empty. Blocks.
    pub(super) fn embed_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        if text.trim().is_empty() {
            return Ok(vec![0.0; self.dimension]);
        }
        let rows = self.of_queries.install(|| self.forward(vec![text]))?;
        Ok(rows.into_iter().next().expect("one text has one vector"))
    }

    fn forward(&self, texts: Vec<&str>) -> Result<Vec<Vec<f32>>, Error> {
        let encoded = self.tokenizer.encode_batch(texts, true).map_err(|error| Error::Embedder(error.to_string()))?;
        let length = encoded.first().map_or(0, |encoding| encoding.get_ids().len());
        let ids: Vec<u32> = encoded.iter().flat_map(|encoding| encoding.get_ids().iter().copied()).collect();
        let mask: Vec<f32> =
            encoded.iter().flat_map(|encoding| encoding.get_attention_mask().iter().map(|is| *is as f32)).collect();
        self.run(ids, mask, (encoded.len(), length)).map_err(|error| Error::Embedder(error.to_string()))
    }

    fn run(&self, ids: Vec<u32>, mask: Vec<f32>, shape: (usize, usize)) -> candle_core::Result<Vec<Vec<f32>>> {
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        // Added to what each token makes of each other one: nothing, or so little that it is not looked at.
        let hidden = mask.affine(10_000.0, -10_000.0)?.unsqueeze(1)?.unsqueeze(1)?;
        let mut states = self.embeddings.forward(&ids)?;
        for layer in &self.layers {
            states = layer.forward(&states, &hidden)?;
        }
        match self.pooling {
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1)?.to_vec2(),
            Pooling::Mean => {
                let weights = mask.unsqueeze(D::Minus1)?;
                states.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?)?.to_vec2()
            }
        }
    }
}

impl Embeddings {
    fn new(config: &Config, weights: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let size = config.hidden_size;
        Ok(Self {
            words: embedding(config.vocab_size, size, weights.pp("word_embeddings"))?,
            positions: embedding(config.max_position_embeddings, size, weights.pp("position_embeddings"))?,
            types: embedding(config.type_vocab_size, size, weights.pp("token_type_embeddings"))?,
            norm: layer_norm(size, config.layer_norm_eps, weights.pp("LayerNorm"))?,
        })
    }

    fn forward(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let positions = Tensor::arange(0, ids.dim(1)? as u32, ids.device())?;
        let words = (self.words.forward(ids)? + self.types.forward(&ids.zeros_like()?)?)?;
        self.norm.forward(&words.broadcast_add(&self.positions.forward(&positions)?)?)
    }
}

impl Layer {
    fn new(config: &Config, weights: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let (size, inner, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let attention = weights.pp("attention");
        Ok(Self {
            heads: config.num_attention_heads,
            query: linear(size, size, attention.pp("self.query"))?,
            key: linear(size, size, attention.pp("self.key"))?,
            value: linear(size, size, attention.pp("self.value"))?,
            attended: linear(size, size, attention.pp("output.dense"))?,
            attended_norm: layer_norm(size, epsilon, attention.pp("output.LayerNorm"))?,
            intermediate: linear(size, inner, weights.pp("intermediate.dense"))?,
            output: linear(inner, size, weights.pp("output.dense"))?,
            output_norm: layer_norm(size, epsilon, weights.pp("output.LayerNorm"))?,
        })
    }

    fn forward(&self, states: &Tensor, hidden: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, length, size) = states.dims3()?;
        let by_head = |of: &Linear| {
            of.forward(states)?.reshape((batch, length, self.heads, size / self.heads))?.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (by_head(&self.query)?, by_head(&self.key)?, by_head(&self.value)?);
        let scale = 1.0 / ((size / self.heads) as f64).sqrt();
        let scores = (query.matmul(&key.transpose(2, 3)?.contiguous()?)? * scale)?.broadcast_add(hidden)?;
        let attended = ops::softmax_last_dim(&scores)?.matmul(&value)?;
        let attended = attended.transpose(1, 2)?.contiguous()?.reshape((batch, length, size))?;
        let states = self.attended_norm.forward(&(self.attended.forward(&attended)? + states)?)?;
        let output = self.output.forward(&self.intermediate.forward(&states)?.gelu_erf()?)?;
        self.output_norm.forward(&(output + states)?)
    }
}

fn threads(count: usize) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|number| format!("embed-{number}")).build()
}

/// The text of a thing: its title, or its id where it has none, then its content and the rest.
pub(super) fn text_of(texts: &Texts) -> String {
    let [title, id, content, data] = Field::ALL.map(|field| &texts[field as usize]);
    let first = if title.is_empty() { id } else { title };
    let mut text = [first, content, data]
        .map(String::as_str)
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    text.truncate(text.floor_char_boundary(LONGEST_BYTES));
    text
}

/// Models that were trained as parts of others have their names behind a prefix.
fn without_prefix(weights: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let name = |name: String| name.strip_prefix("bert.").map(str::to_owned).unwrap_or(name);
    weights.into_iter().map(|(of, tensor)| (name(of), tensor)).collect()
}

/// The directory's name and the beginning of the SHA-256 of every file that has a part in a vector: where one is another, so
/// is the model.
fn name(directory: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for file in [WEIGHTS, CONFIG, TOKENIZER, POOLING, LENGTH] {
        let path = directory.join(file);
        if path.exists() {
            hash.update(file);
            std::io::copy(&mut File::open(&path)?, &mut hash)?;
        }
    }
    let directory: PathBuf = directory.canonicalize()?;
    let named = directory.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let named: String =
        named.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(40).collect();
    let hash = hash.finalize();
    let version = hash[..6].iter().fold(0_u64, |version, byte| version << 8 | u64::from(*byte));
    Ok(format!("local-{named}-{version:012x}"))
}

fn tokenizer(path: &Path, longest: usize) -> anyhow::Result<Tokenizer> {
    let tokenizer = Tokenizer::from_file(path);
    let mut tokenizer = tokenizer.map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
    let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
    let padding = PaddingParams { strategy: PaddingStrategy::BatchLongest, ..PaddingParams::default() };
    let with = tokenizer.with_padding(Some(padding)).with_truncation(Some(truncation)).map(drop);
    with.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    Ok(tokenizer)
}

fn pooling(path: &Path) -> anyhow::Result<Pooling> {
    match optional(path)? {
        None | Some(PoolingConfig { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true }) => {
            Ok(Pooling::Mean)
        }
        Some(PoolingConfig { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }) => Ok(Pooling::Cls),
        Some(_) => bail!("{}: the pooling is neither the mean nor the first token", path.display()),
    }
}

fn optional<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    path.exists().then(|| read(path)).transpose()
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what it should be", path.display()))
}

#[cfg(test)]
#[path = "bert_test.rs"]
mod tests;
