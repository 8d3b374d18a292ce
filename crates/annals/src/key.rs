//! `annals key new`: a key and its entry for keys.toml. Talks to no server and writes no file.

use anyhow::ensure;
use clap::Subcommand;
use domain::TenantId;
use serve::{Keyring, auth::Scope};

use crate::render;

/// Make keys that callers show who they are with.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals key new --tenant acme --principal ada --scope 'write:*' --scope events:read
  annals key new --tenant acme --principal website --scope read:docs.acme.com")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    New(New),
}

/// Print a new key, and the entry that makes a server take it.
///
/// The key is shown this once: the entry holds only a hash of its secret. A running server reads keys.toml again when
/// it changes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Scopes: read:NS, write:NS, admin:NS (each includes the ones before), events:read, events:write, peer.
NS is a namespace (onet), all below one (github.com/*) or all (*).

Example:
  annals key new --tenant acme --principal ada --scope 'write:*' --scope events:read")]
struct New {
    /// Whose data it opens.
    #[arg(long)]
    tenant: TenantId,

    /// Who calls with it; the actor of every mutation. At most two keys have the same.
    #[arg(long)]
    principal: String,

    /// What it may do; once or more.
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let Command::New(New { tenant, principal, scopes, json }) = args.command;
    let is_fit = (1..=128).contains(&principal.len()) && !principal.chars().any(char::is_control);
    ensure!(is_fit, "--principal: must be 1 to 128 bytes without control characters");
    let key = Keyring::generate(&tenant, &principal, &scopes);
    if json {
        let mut writer = gateway::json::Writer::object();
        writer.text("key", &key.text);
        writer.text("entry", &key.entry);
        render::document(&writer.finish());
    } else {
        println!("{}\n\n# Append to keys.toml in the server's data directory:\n{}", key.text, key.entry.trim_end());
    }
    Ok(())
}
