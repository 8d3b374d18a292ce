//! `annals search`: things by their words.

use domain::{Timestamp, TypeName};
use proto::{convert::timestamp_to_wire, search::v1::SearchRequest};

use crate::{client::Client, name::NamespaceName, render};

/// Find things by their words, the best first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals search software developer
  annals search '\"lighthouse keeper\"' --ns lights.example/
  annals search 'program*' --type Occupation --top-k 3
  annals search crane --json

One word that matches is enough; more rank higher. Of a word that nothing has, what is one letter away is found.
What is in quotes is found as it stands, what ends with a star by its beginning. Words of another form match:
`developing` finds `developer`.")]
pub(crate) struct Args {
    /// What to look for: words, \"phrases\", prefixes*.
    #[arg(required = true)]
    query: Vec<String>,

    /// Only things of this namespace.
    #[arg(long, value_name = "NS/")]
    ns: Option<NamespaceName>,

    /// Only things of this namespace and of those under it.
    #[arg(long, value_name = "NS/")]
    under: Option<NamespaceName>,

    /// Only things of this type; may be given more than once.
    #[arg(long)]
    r#type: Vec<TypeName>,

    /// Only things that were changed at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_from: Option<Timestamp>,

    /// Only things that were changed before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_until: Option<Timestamp>,

    /// How many.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    top_k: i32,

    /// A ULID or cursor that a write answered: wait until it is found.
    #[arg(long, value_name = "ULID|CURSOR", default_value = "", hide_default_value = true)]
    wait_for: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { query, ns, under, r#type, updated_from, updated_until, top_k, wait_for } = args;
    let name = |ns: Option<NamespaceName>| ns.map(|NamespaceName(ns)| ns.to_string()).unwrap_or_default();
    let request = SearchRequest {
        query: query.join(" "),
        ns: name(ns),
        ns_prefix: name(under),
        types: r#type.iter().map(ToString::to_string).collect(),
        updated_from: updated_from.map(timestamp_to_wire),
        updated_until: updated_until.map(timestamp_to_wire),
        top_k,
        wait_for,
        ..SearchRequest::default()
    };
    let answer = client.search().search(request).await?.into_inner();
    render::hits(&answer.hits, is_json);
    Ok(())
}
