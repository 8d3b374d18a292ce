//! `annals serve`: every service in one process.
//!
//! Owns the order in which they open, the lock on the data directory and the banner.

use std::{net::SocketAddr, path::Path, process::ExitCode};

use anyhow::{Context as _, ensure};
use clap::ArgMatches;
use serve::{Context, Server, config::Mistake};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tower::ServiceExt as _;

use crate::{
    client::{Client, Transport},
    demo,
};

/// The name of the command.
pub(crate) const NAME: &str = "serve";

serve::settings! {
    /// What this command knows beyond its services.
    pub(crate) struct Config {
        /// Whether a small world to try things on is loaded, once.
        pub(crate) demo: bool = "false",
    }
}

/// All that the services of one process need to know.
pub(crate) type Settings = (Config, serve::Config, things::Config, events::Config, search::Config);

const AFTER: &str = "\
Examples:
  annals serve --demo
  annals serve --data-dir /var/lib/annals --listen 0.0.0.0:8080
  ANNALS_LISTEN=127.0.0.1:9000 annals serve

Every flag is also a variable (--data-dir: ANNALS_DATA_DIR) and a key of annals.toml (data_dir).
A flag counts more than the variable, the variable more than the file.";

/// The command, with a flag for each setting.
pub(crate) fn command() -> clap::Command {
    let about = "Run everything in this process: things, events, search and the gateway";
    serve::config::command::<Settings>(clap::Command::new(NAME).about(about), &[]).after_help(AFTER)
}

/// Serves until it is asked to end.
pub(crate) async fn run(matches: &ArgMatches, mistakes: Vec<Mistake>) -> anyhow::Result<ExitCode> {
    let settings = serve::config::read::<Settings>(matches, mistakes, &[]);
    let (own, config, things, events, search) = match settings {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprintln!("error: {mistakes}");
            return Ok(ExitCode::from(2));
        }
    };
    let asked = Asked::listen()?;
    let _lock = serve::lock(&config.data_dir)?;
    let context = Context::open(&config)?;
    ensure!(
        !own.demo || context.keyring.is_open(),
        "--demo loads as anybody on loopback, but there are keys: leave it away and load samples/ with a key"
    );

    let events = events::open(events, &context).await?;
    let things = things::open(things, &context, events.peer().signed(context.credentials())).await?;
    let search = search::open(search, &context, events.peer(), things.peer()).await?;
    let gateway = gateway::open(&context, &things.peer(), &events.peer(), &search.peer());
    let client = Client::over(transport(things.peer()), transport(events.peer()), transport(search.peer()));
    let welcome = match (own.demo, context.keyring.is_open()) {
        (true, _) => Welcome::Demo,
        (false, true) => Welcome::Open,
        (false, false) => Welcome::Keyed,
    };
    let server = Server::bind(config.listen, context, vec![events, things, search, gateway]).await?;
    if own.demo {
        demo::load(&client).await.context("the demo cannot be loaded")?;
    }
    println!("{}", banner(server.address(), &config.data_dir, welcome));
    server.run(asked.received()).await?;
    Ok(ExitCode::SUCCESS)
}

fn transport(peer: serve::Peer) -> Transport {
    Transport::new(peer.map_err(|never| match never {}))
}

/// What there is to begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Welcome {
    /// A small world, for anybody.
    Demo,
    /// Nothing, for anybody.
    Open,
    /// Whatever the caller's key opens.
    Keyed,
}

/// What to paste.
fn banner(address: SocketAddr, data_dir: &Path, welcome: Welcome) -> String {
    let url = format!("http://{address}");
    let data_dir = data_dir.display();
    let first = match welcome {
        Welcome::Demo => {
            format!("look     {url}/lights.example/Welcome in a browser, or: curl -s {url}/lights.example/Grey_Skerry")
        }
        Welcome::Open => {
            format!("try      annals serve --demo has a small world to look at; there is also {url}/_/openapi.json")
        }
        Welcome::Keyed => {
            "key      export ANNALS_KEY=annals_… first; `annals key new --help` says how to make one".to_owned()
        }
    };
    let key = if welcome == Welcome::Keyed { r#" -H "authorization: Bearer $ANNALS_KEY""# } else { "" };
    let note = r#"'{"type":"Note","content":"Hello, world"}'"#;
    let put = format!("curl -s{key} -X PUT {url}/example.com/hello -H 'content-type: application/json' -d {note}");
    format!(
        "Annals is at {url}, its data in {data_dir}\n  {first}\n  write    {put}\n  \
         history  curl -s{key} '{url}/example.com/hello?view=history'\n  \
         end      Ctrl-C; everything is there at the next start"
    )
}

/// SIGTERM and SIGINT.
struct Asked {
    terminate: Signal,
    interrupt: Signal,
}

impl Asked {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_has_five_lines_and_commands_with_the_real_address() {
        for welcome in [Welcome::Demo, Welcome::Open, Welcome::Keyed] {
            let banner = banner("127.0.0.1:9000".parse().unwrap(), Path::new("./annals-data"), welcome);
            assert_eq!(banner.lines().count(), 5, "{banner}");
            assert!(banner.contains(" -X PUT http://127.0.0.1:9000/example.com/hello"), "{banner}");
        }
    }
}
