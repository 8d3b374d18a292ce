//! `annals embedder check`: whether a model works, and how fast. Talks to no server.

use clap::Subcommand;
use search::{Checked, EmbedderAt};
use serve::config::Setting as _;

/// Try what makes vectors of texts.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals embedder check
  annals embedder check ./all-MiniLM-L6-v2")]
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
    /// `hash-v1`, or the directory of a model.
    #[arg(default_value = "hash-v1", value_parser = EmbedderAt::from_text)]
    embedder: EmbedderAt,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Command::Check(Check { embedder, json }) = args.command;
    let Checked { name, dimension, texts_a_second } = search::check(&embedder)?;
    if json {
        println!("{{\"name\":\"{name}\",\"dimension\":{dimension},\"texts_a_second\":{texts_a_second:.0}}}");
    } else {
        println!("{name}: vectors of {dimension} numbers, {texts_a_second:.0} texts of 200 letters a second");
    }
    Ok(())
}
