//! The gateway as a process of its own.

use serve::{Context, Peer};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let program = clap::Command::new("gateway").about("The gateway of Annals").version(env!("CARGO_PKG_VERSION"));
    let (config, addresses): (serve::Config, gateway::Config) = serve::config::load(program, &[])?;
    let context = Context::open(&config)?;
    context.require_peer_key()?;
    let gateway::Config { things, events, search } = addresses;
    let [things, events, search] = [things, events, search].map(Peer::remote);
    let gateway = gateway::open(&context, &things, &events, &search);
    serve::run(&config, context, vec![gateway]).await?;
    Ok(())
}
