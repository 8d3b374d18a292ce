//! The events service in a process of its own.

use anyhow::Result;
use clap::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let program = Command::new("annals-events").about("The immutable history of everything that happened.");
    let (serve, events): (serve::Config, events::Config) =
        serve::config::load(program, &[("listen", "127.0.0.1:8082")])?;
    let context = serve::Context::open(&serve)?;
    context.require_peer_key()?;
    let events = events::open(events, &context).await?;
    serve::run(&serve, context, vec![events]).await?;
    Ok(())
}
