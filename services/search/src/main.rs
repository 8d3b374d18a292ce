//! The search service in a process of its own.

use anyhow::Result;
use clap::Command;
use serve::Peer;

#[tokio::main]
async fn main() -> Result<()> {
    let program = Command::new("annals-search").about("Finds things by their words and vectors.");
    let (serve, config, peers): (serve::Config, search::Config, search::Peers) =
        serve::config::load(program, &[("listen", "127.0.0.1:8083")])?;
    let context = serve::Context::open(&serve)?;
    context.require_peer_key()?;
    let [events, things] = [peers.events, peers.things].map(Peer::remote);
    let search = search::open(config, &context, events, things).await?;
    serve::run(&serve, context, vec![search]).await?;
    Ok(())
}
