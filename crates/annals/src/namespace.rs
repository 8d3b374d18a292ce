//! `annals namespace`: what namespaces there are.

use domain::Style;
use proto::{
    convert,
    things::v1::{DeleteNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest, RegisterNamespaceRequest},
};

use crate::{client::Client, list::Limit, name::NamespaceName, render};

/// Register, describe, list and take back namespaces.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals namespace register en.wikipedia.org
  annals namespace register github.com/repos --style literal
  annals namespace get onet/
  annals namespace list --under github.com/
  annals namespace delete github.com/repos")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Register a namespace with its style, which it keeps. Repeating it is fine.
    Register {
        /// The namespace: github.com/repos.
        #[arg(value_name = "NS")]
        ns: NamespaceName,

        /// wiki: `_` in an id is a space. literal: `_` is `_`.
        #[arg(long, default_value = "wiki")]
        style: Style,
    },
    /// Say how a namespace is spelled, what it has and when that changed.
    Get {
        /// The namespace: github.com/repos.
        #[arg(value_name = "NS")]
        ns: NamespaceName,
    },
    /// List the namespaces that you may read.
    List {
        /// Only this namespace and those under it.
        #[arg(long, value_name = "NS")]
        under: Option<NamespaceName>,

        /// How many, or all.
        #[arg(long, default_value = "50")]
        limit: Limit,

        /// The `next_page_token` of a list before, with the same namespace.
        #[arg(long, default_value = "", hide_default_value = true)]
        page_token: String,
    },
    /// Take back a namespace that never had a name.
    Delete {
        /// The namespace: github.com/repos.
        #[arg(value_name = "NS")]
        ns: NamespaceName,
    },
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let mut things = client.things();
    match args.verb {
        Verb::Register { ns: NamespaceName(ns), style } => {
            let request = RegisterNamespaceRequest { ns: ns.to_string(), style: convert::style_to_wire(style).into() };
            render::namespace(&things.register_namespace(request).await?.into_inner(), is_json);
        }
        Verb::Get { ns: NamespaceName(ns) } => {
            let request = GetNamespaceRequest { ns: ns.to_string() };
            render::namespace(&things.get_namespace(request).await?.into_inner(), is_json);
        }
        Verb::List { under, limit, mut page_token } => {
            let ns_prefix = NamespaceName::or_empty(under);
            let mut listed = Vec::new();
            loop {
                let page_size = limit.page_size(listed.len());
                let request = ListNamespacesRequest { ns_prefix: ns_prefix.clone(), page_size, page_token };
                let page = things.list_namespaces(request).await?.into_inner();
                listed.extend(page.namespaces);
                page_token = page.next_page_token;
                if page_token.is_empty() || listed.len() >= limit.0 {
                    break;
                }
            }
            render::namespaces(listed, page_token, is_json);
        }
        Verb::Delete { ns: NamespaceName(ns) } => {
            things.delete_namespace(DeleteNamespaceRequest { ns: ns.to_string() }).await?;
            if is_json {
                render::document("{}");
            } else {
                println!("{ns} is not registered any more");
            }
        }
    }
    Ok(())
}
