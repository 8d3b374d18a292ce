//! `annals history`: every mutation of one name.

use domain::Variant;
use proto::{common::v1::EntityKind, events::v1::HistoryRequest};

use crate::{client::Client, list::Limit, name::Name, render};

/// Show who changed a thing or relationship when, oldest first; also of a deleted one.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals history onet/15-1252.00
  annals history onet/15-1252.00 --json
  annals history --relationship onet/15-1252.00/uses/onet/commodities/43232408

The ULID of a line goes with `annals get NAME --at ULID`.")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// Another representation: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    /// NAME is a relationship's.
    #[arg(long, conflicts_with = "variant")]
    relationship: bool,

    /// How many, or all.
    #[arg(long, default_value = "50")]
    limit: Limit,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, variant, relationship, limit } = args;
    let path = name.with_variant(variant)?;
    let kind = if relationship { EntityKind::Relationship } else { EntityKind::Thing };
    let name = client.resolve(&path, kind, None).await?;
    let (mut mutations, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = HistoryRequest {
            key: name.key.clone(),
            kind: kind.into(),
            page_size: limit.page_size(mutations.len()),
            page_token,
            wait_for: name.last_ulid.clone(),
        };
        let page = client.events().history(request).await?.into_inner();
        mutations.extend(page.mutations);
        page_token = page.next_page_token;
        if page_token.is_empty() || mutations.len() >= limit.0 {
            break;
        }
    }
    render::history(&mutations, &name.url, &page_token, is_json);
    Ok(())
}
