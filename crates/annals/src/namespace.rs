//! `annals namespace`: register a namespace.

use domain::Style;
use proto::{convert, things::v1::RegisterNamespaceRequest};

use crate::{client::Client, name::NamespaceName, render};

/// Register a namespace with its style, which it keeps for ever. Repeating it is fine.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals namespace en.wikipedia.org
  annals namespace github.com/repos --style literal")]
pub(crate) struct Args {
    /// The namespace: github.com/repos.
    #[arg(value_name = "NS")]
    ns: NamespaceName,

    /// wiki: `_` in an id is a space. literal: `_` is `_`.
    #[arg(long, default_value = "wiki")]
    style: Style,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { ns: NamespaceName(ns), style } = args;
    let request = RegisterNamespaceRequest { ns: ns.to_string(), style: convert::style_to_wire(style).into() };
    let namespace = client.things().register_namespace(request).await?.into_inner();
    render::namespace(&namespace, is_json);
    Ok(())
}
