//! `annals embedder check`: whether a model works, and how fast. Talks to no server of Annals.

use clap::Subcommand;
use search::{Checked, Chosen, Dimension, EmbedderAt};
use serve::config::{Secret, Setting as _};

/// Try what makes vectors of texts.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals embedder check
  annals embedder check ./all-MiniLM-L6-v2
  annals embedder check https://models.example/v1/embeddings --model small --dimension 384")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Check(Check),
}

/// Load it, make some vectors, and say what it is called, how many numbers they have, and how many it makes a second.
///
/// It is what `annals serve --embedder` takes. A model is of the BERT family: a directory with `model.safetensors`, `config.json` and
/// `tokenizer.json`, and `1_Pooling/config.json` where the first token stands for all.
#[derive(Clone, Debug, clap::Args)]
struct Check {
    /// `hash-v1`, the directory of a model, or the address of an endpoint.
    #[arg(default_value = "hash-v1", value_parser = EmbedderAt::from_text)]
    embedder: EmbedderAt,

    /// The name by which an endpoint knows its model.
    #[arg(long)]
    model: Option<String>,

    /// The bearer token for an endpoint.
    #[arg(long, value_parser = Secret::from_text)]
    token: Option<Secret>,

    /// Numbers of an endpoint's vectors.
    #[arg(long, default_value = "768", value_parser = Dimension::from_text)]
    dimension: Dimension,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let Command::Check(Check { embedder: at, model, token, dimension, json }) = args.command;
    let chosen = Chosen { at, model, key: token, dimension: dimension.get() };
    // An endpoint is asked from a thread that may wait.
    let checked = tokio::task::spawn_blocking(move || search::check(&chosen)).await??;
    let Checked { name, dimension, texts_a_second } = checked;
    if json {
        println!("{{\"name\":\"{name}\",\"dimension\":{dimension},\"texts_a_second\":{texts_a_second:.0}}}");
    } else {
        println!("{name}: vectors of {dimension} numbers, {texts_a_second:.0} texts of 200 letters a second");
    }
    Ok(())
}
