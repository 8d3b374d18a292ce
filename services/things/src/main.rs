//! The things service in a process of its own.

use anyhow::Result;
use clap::Command;
use serve::Peer;

#[tokio::main]
async fn main() -> Result<()> {
    let program = Command::new("annals-things").about("The present state of everything that has a name.");
    let (serve, config, peers): (serve::Config, things::Config, things::Peers) =
        serve::config::load(program, &[("listen", "127.0.0.1:8081")])?;
    let context = serve::Context::open(&serve)?;
    context.require_peer_key()?;
    let events = Peer::remote(peers.events).signed(context.credentials());
    let things = things::open(config, &context, events).await?;
    serve::run(&serve, context, vec![things]).await?;
    Ok(())
}
