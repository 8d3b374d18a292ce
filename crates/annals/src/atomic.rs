//! `annals write`: many changes, all or none.

use gateway::json as http;
use proto::{
    convert::{WriteResult, write_result},
    things::v1::WriteThingsRequest,
};

use crate::{client::Client, render, write::Text};

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
    file: String,

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
    let text = if file == "-" { Text::Input } else { Text::File(file) }.read()?;
    let given = http::read_write(text.as_bytes())?;
    let validate_only = validate_only || given.validate_only;
    let request = WriteThingsRequest { validate_only, request_id, cause, ..given };
    let answer = client.things().write_things(request).await?.into_inner();
    if is_json {
        render::document(&http::written(answer)?);
        return Ok(());
    }
    for result in answer.results {
        println!("{}", line(&write_result(result)?));
    }
    if validate_only {
        println!("nothing was kept: it was only validated");
    }
    Ok(())
}

/// What happened to one name.
fn line(WriteResult { key, kind: _, effect, ulid }: &WriteResult) -> String {
    let ulid = ulid.map(|ulid| format!("  {ulid}")).unwrap_or_default();
    format!("{:<9}  {key}{ulid}", effect.as_str())
}
