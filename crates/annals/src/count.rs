//! `annals count`: how many things there are.

use proto::convert::count_request;

use crate::{client::Client, conditions::Conditions, render};

/// Count the things that `annals list` lists.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals count
  annals count onet/ --type Occupation
  annals count --under github.com/ --where '/stars>=100'
  annals count onet/ --updated-from 2026-01-31T09:30:00Z --json")]
pub(crate) struct Args {
    #[command(flatten)]
    conditions: Conditions,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let request = count_request(args.conditions.request());
    let count = client.things().count_things(request).await?.into_inner().count;
    if is_json {
        render::document(&gateway::json::counted(count));
    } else {
        println!("{count}");
    }
    Ok(())
}
