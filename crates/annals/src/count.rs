//! `annals count`: how many things there are.

use proto::things::v1::{CountThingsRequest, ListThingsRequest};

use crate::{client::Client, conditions::Conditions, name::NamespaceName, render};

/// Count the things that `annals list` lists.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals count
  annals count onet/ --type Occupation
  annals count --under github.com/ --where '/stars>=100'
  annals count onet/ --updated-from 2026-01-31T09:30:00Z --json")]
pub(crate) struct Args {
    /// The namespace: onet/, /github.com/repos/. Without it all that there are.
    #[arg(value_name = "NS/")]
    ns: Option<NamespaceName>,

    /// Of this namespace and of those under it.
    #[arg(long, value_name = "NS/", conflicts_with = "ns")]
    under: Option<NamespaceName>,

    #[command(flatten)]
    conditions: Conditions,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { ns, under, conditions } = args;
    let ListThingsRequest { r#type, visibility, updated_from, updated_until, code, fields, .. } = conditions.request();
    let request = CountThingsRequest {
        ns: NamespaceName::or_empty(ns),
        ns_prefix: NamespaceName::or_empty(under),
        r#type,
        visibility,
        updated_from,
        updated_until,
        code,
        fields,
    };
    let count = client.things().count_things(request).await?.into_inner().count;
    if is_json {
        render::document(&gateway::json::counted(count));
    } else {
        println!("{count}");
    }
    Ok(())
}
