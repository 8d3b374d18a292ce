//! `annals write`: many changes, all or none.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use gateway::json as http;
use proto::things::v1::{WriteOutcome, WriteResult, WriteThingsRequest};

use crate::{client::Client, render};

/// Change many things and relationships, all or none.
///
/// The file has the JSON that HTTP takes: an object with a list of up to 1,000 changes, applied in order; the examples show one.
/// Each is an object with one of `put_thing`, `patch_thing`, `delete_thing`, `put_relationship` and `delete_relationship`; in it are the
/// `url` of what it changes, the members of the state or patch, and a `condition`: `etags`, `create_only` or `update_only`.
/// If one change is refused, none is kept.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals write changes.json
  annals write changes.json --validate-only
  annals write changes.json --request-id order-4711
  echo '{\"changes\":[{\"put_thing\":{\"url\":\"/example.com/hello\",\"type\":\"Note\"}}]}' | annals write -")]
pub(crate) struct Args {
    /// A file of JSON; - is standard input.
    file: PathBuf,

    /// Keep nothing: only say what would happen, or why it would be refused.
    #[arg(long)]
    validate_only: bool,

    /// A word for this write: repeated with it within 24 hours it is carried out once, and answered the same.
    #[arg(long, value_name = "ID", default_value = "")]
    request_id: String,

    /// Why, kept with each mutation.
    #[arg(long, default_value = "")]
    cause: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { file, validate_only, request_id, cause } = args;
    let given = http::read_write(&read(&file)?)?;
    let validate_only = validate_only || given.validate_only;
    let request = WriteThingsRequest { validate_only, request_id, cause, ..given };
    let answer = client.things().write_things(request).await?.into_inner();
    if is_json {
        render::document(&http::written(&answer));
        return Ok(());
    }
    for result in &answer.results {
        println!("{}", line(result));
    }
    if validate_only {
        println!("nothing was kept: it was only validated");
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What happened to one name.
fn line(result: &WriteResult) -> String {
    let key = result.key.clone().unwrap_or_default();
    let variant = if key.variant.is_empty() { String::new() } else { format!("#{}", key.variant) };
    let outcome = match result.outcome() {
        WriteOutcome::Unspecified => "unknown",
        WriteOutcome::Created => "created",
        WriteOutcome::Replaced => "replaced",
        WriteOutcome::Unchanged => "unchanged",
        WriteOutcome::Deleted => "deleted",
    };
    let space = if result.ulid.is_empty() { "" } else { "  " };
    format!("{outcome:<9}  {}/{}{variant}{space}{}", key.ns, key.id, result.ulid)
}
