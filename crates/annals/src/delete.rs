//! `annals delete`: take away one thing or relationship.

use domain::{Etag, Variant};
use proto::things::v1::{DeleteRelationshipRequest, DeleteThingRequest, DeleteThingResponse};

use crate::{
    client::{Client, key},
    name::Name,
    render,
    write::present,
};

/// Delete a thing with its variants and the relationships at it, or one variant or relationship.
///
/// Its history stays, and what it was can be read with `annals get --at`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals delete example.com/hello --cause 'a test'
  annals delete example.com/hello --variant es
  annals delete --relationship example.com/hello/cites/example.com/world")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// Only this representation.
    #[arg(long)]
    variant: Option<Variant>,

    /// NAME is a relationship's.
    #[arg(long, conflicts_with = "variant")]
    relationship: bool,

    /// Only if the present etag is this one.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<Etag>,

    /// Why, for its history.
    #[arg(long, default_value = "")]
    cause: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, variant, relationship, if_match, cause } = args;
    let path = name.with_variant(variant)?;
    let (key, condition) = (Some(key(&path)), Some(present(if_match)));
    let deleted = if relationship {
        let request = DeleteRelationshipRequest { key, condition, request_id: String::new(), cause };
        let deleted = client.things().delete_relationship(request).await?.into_inner();
        DeleteThingResponse { key: deleted.key, ulid: deleted.ulid, ..DeleteThingResponse::default() }
    } else {
        let request = DeleteThingRequest { key, condition, request_id: String::new(), cause };
        client.things().delete_thing(request).await?.into_inner()
    };
    render::deleted(&deleted, is_json);
    Ok(())
}
