//! `annals restore`: put again what a thing was.

use domain::{AsOf, Etag, Variant};
use proto::{
    convert::timestamp_to_wire,
    things::v1::{RestoreThingRequest, UndeleteThingRequest, restore_thing_request as wire},
};

use crate::{
    client::{Client, key},
    name::Name,
    render,
    write::{outcome, present},
};

/// Put again what a thing was at a moment, or bring back one that was deleted.
///
/// It is a new state, whose cause says which old one it is; nothing of the history is lost.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals restore example.com/hello
  annals restore example.com/hello --at 2026-01-31T09:30:00Z --cause 'the edit was wrong'
  annals restore example.com/hello --at 01KG8XJ2V0000000000000000A")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// Only this representation.
    #[arg(long)]
    variant: Option<Variant>,

    /// As of a time (RFC 3339) or the ULID of a mutation, inclusive. Without it: as it was before it was deleted.
    #[arg(long, value_name = "TIME|ULID")]
    at: Option<AsOf>,

    /// Only if the present etag is this one.
    #[arg(long, value_name = "ETAG", requires = "at")]
    if_match: Option<Etag>,

    /// Why, for its history.
    #[arg(long, default_value = "")]
    cause: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, variant, at, if_match, cause } = args;
    let (key, request_id) = (Some(key(&name.with_variant(variant)?)), String::new());
    let response = match at {
        Some(at) => {
            let as_of = match at {
                AsOf::Time(time) => wire::AsOf::Time(timestamp_to_wire(time)),
                AsOf::Ulid(ulid) => wire::AsOf::Ulid(ulid.to_string()),
            };
            let (as_of, condition) = (Some(as_of), Some(present(if_match)));
            client.things().restore_thing(RestoreThingRequest { key, as_of, condition, request_id, cause }).await?
        }
        None => client.things().undelete_thing(UndeleteThingRequest { key, request_id, cause }).await?,
    };
    render::written(outcome(response.metadata()), response.get_ref(), is_json);
    Ok(())
}
