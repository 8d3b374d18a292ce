//! Owns `annals migrate`. Never decides what the tables are: that is the service's.

use anyhow::Context as _;

use crate::config;

/// Make or update the tables of a PostgreSQL database that things are kept in
///
/// What is up to date is left as it is, so it can be run before every start. Servers check the tables when they start and
/// change none. The user of the address must own the tables, and may make roles: servers work as `annals_things` and
/// `annals_relay`, to which they must belong.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where things are kept: `postgres://USER@HOST/DATABASE`. Without it: the variable `ANNALS_THINGS_STORE`.
    #[arg(long, value_name = "URL")]
    things_store: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  annals migrate --things-store postgres://owner@db.example/annals
  ANNALS_THINGS_STORE=postgres://owner@db.example/annals annals migrate";

/// Migrates, and says what that took.
pub(crate) async fn run(Args { things_store }: Args) -> anyhow::Result<()> {
    let url = things_store.or_else(|| config::variable("ANNALS_THINGS_STORE"));
    let url = url.context("which database? --things-store postgres://USER@HOST/DATABASE")?;
    match things::migrate(&url).await? {
        0 => println!("the tables are up to date"),
        1 => println!("1 migration was made"),
        count => println!("{count} migrations were made"),
    }
    Ok(())
}
