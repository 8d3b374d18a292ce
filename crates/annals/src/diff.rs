//! `annals diff`: what differs between two states of one name.

use domain::{AsOf, Variant};
use proto::{common::v1::EntityKind, convert::as_of_to_wire, events::v1::DiffRequest};

use crate::{client::Client, name::Name, render};

/// Show what changed of a thing or relationship between two moments.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals diff onet/15-1252.00 --from 2026-01-31T09:30:00Z
  annals diff onet/15-1252.00 --from 01ARZ3NDEKTSV4RRFFQ69G5FAV --to 2026-03-01T00:00:00Z --json

The moments are those of `annals history NAME`.")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// The first moment: a time (RFC 3339) or the ULID of a mutation, inclusive.
    #[arg(long, value_name = "TIME|ULID")]
    from: AsOf,

    /// The second moment [default: now].
    #[arg(long, value_name = "TIME|ULID")]
    to: Option<AsOf>,

    /// Another representation: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    /// NAME is a relationship's.
    #[arg(long, conflicts_with = "variant")]
    relationship: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, from, to, variant, relationship } = args;
    let path = name.with_variant(variant)?;
    let kind = if relationship { EntityKind::Relationship } else { EntityKind::Thing };
    let latest = [Some(from), to].into_iter().flatten().max_by_key(|as_of| as_of.time());
    let name = client.resolve(&path, kind, latest).await?;
    let to = to.map_or_else(|| name.last_ulid.parse(), Ok)?;
    let request = DiffRequest {
        key: name.key,
        kind: kind.into(),
        from: Some(as_of_to_wire(from)),
        to: Some(as_of_to_wire(to)),
        wait_for: name.last_ulid,
    };
    let difference = client.events().diff(request).await?.into_inner();
    render::diff(&difference, &name.url, [from, to], is_json);
    Ok(())
}
