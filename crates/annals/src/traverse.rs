//! `annals traverse`: the things that relationships lead to.

use anyhow::ensure;
use domain::TypeName;
use proto::things::v1::{Direction, TraverseRequest};

use crate::{
    client::{Client, key},
    name::Name,
    render,
};

/// Show the things that relationships lead to from one, nearer ones first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals traverse onet/15-1252.00
  annals traverse onet/15-1252.00 --depth 2 --type uses --direction outgoing
  annals traverse onet/15-1252.00 --depth 6 --limit 10000 --json")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// The most relationships on the way to a thing, 1 to 6.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=6))]
    depth: i32,

    /// Follow relationships that start from a thing, that lead to it, or both.
    #[arg(long, value_enum, default_value = "both")]
    direction: Way,

    /// Only relationships of this type; may be given more than once.
    #[arg(long)]
    r#type: Vec<TypeName>,

    /// The most things to reach, 1 to 10,000.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    limit: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Way {
    Outgoing,
    Incoming,
    Both,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name: Name(path), depth, direction, r#type, limit } = args;
    ensure!(path.variant().is_canonical(), "a variant has no relationships: say the name without it");
    let direction = match direction {
        Way::Outgoing => Direction::Outgoing,
        Way::Incoming => Direction::Incoming,
        Way::Both => Direction::Unspecified,
    };
    let request = TraverseRequest {
        thing: Some(key(&path)),
        direction: direction.into(),
        types: r#type.iter().map(ToString::to_string).collect(),
        max_depth: depth,
        max_things: limit,
    };
    let mut parts = client.things().traverse(request).await?.into_inner();
    let mut reached = Vec::new();
    while let Some(part) = parts.message().await? {
        reached.push(part);
    }
    render::reached(&reached, is_json);
    Ok(())
}
