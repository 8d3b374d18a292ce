//! Owns the command line: which commands there are, and who runs each. Never does what a command does.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{
    aggregate, archive, atomic,
    client::{Client, Connection},
    count, delete, diff, embedder, events, export, get, history, import, key, link, list, migrate, namespace, patch,
    put, restore, schema, search, serving, takeover, traverse,
};

/// The current state, the whole history and the meaning of everything that has a name.
///
/// `annals serve --demo` starts everything with a small world to try; the other commands talk to a server.
#[derive(Parser)]
#[command(name = "annals", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  annals serve --demo
  annals put example.com/hello --type Note --content 'Hello, world'
  annals get example.com/hello
  annals history example.com/hello
  annals search hello
  annals get example.com/hello --at 2026-01-31T09:30:00Z

A name is a URL path (/example.com/Hello_world) or plain text (example.com/Hello world).
Exit codes: 0 done, 1 refused or failed, 2 the command line is wrong.";

#[derive(Subcommand)]
enum Command {
    Get(At<get::Args>),
    Put(At<put::Args>),
    Patch(At<patch::Args>),
    Delete(At<delete::Args>),
    Restore(At<restore::Args>),
    List(At<list::Args>),
    Count(At<count::Args>),
    Search(At<search::Args>),
    Similar(At<search::Similar>),
    Link(At<link::Args>),
    Traverse(At<traverse::Args>),
    Write(At<atomic::Args>),
    History(At<history::Args>),
    Diff(At<diff::Args>),
    Events(At<events::Args>),
    Aggregate(At<aggregate::Args>),
    Import(At<import::Args>),
    Export(At<export::Args>),
    Namespace(At<namespace::Args>),
    Schema(At<schema::Args>),
    Archive(At<archive::Args>),
    Embedder(embedder::Args),
    Key(key::Args),
    Migrate(migrate::Args),
}

// Without a doc comment, which would be the help of every command.
#[derive(clap::Args)]
struct At<A: clap::Args> {
    #[command(flatten)]
    args: A,

    #[command(flatten)]
    connection: Connection,

    /// Print one JSON document, in the shapes that HTTP has too.
    #[arg(long, global = true)]
    json: bool,
}

impl<A: clap::Args> At<A> {
    async fn run<T>(self, command: impl AsyncFnOnce(A, Client, bool) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let Self { args, connection, json } = self;
        command(args, Client::connect(connection).await?, json).await
    }
}

/// Every command, `serve` with a flag for each setting.
fn command() -> clap::Command {
    Cli::command().subcommand(serving::command().display_order(0)).mut_subcommand("archive", takeover::add_to)
}

/// Runs the command of this process.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let is_serve = std::env::args_os().nth(1).is_some_and(|first| first == serving::NAME);
    if is_serve {
        // The settings tell all their mistakes at once, those of the flags too.
        let (matches, mistakes) = serve::config::parse(command());
        let matches = matches.subcommand_matches(serving::NAME).expect("the first argument is the subcommand");
        return serving::run(matches, mistakes).await;
    }
    if takeover::is_asked(&std::env::args_os().skip(1).collect::<Vec<_>>()) {
        let (matches, mistakes) = serve::config::parse(command());
        let archive = matches.subcommand_matches("archive").expect("the first argument is the subcommand");
        takeover::run(archive, mistakes).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Get(at) => at.run(get::run).await?,
        Command::Put(at) => at.run(put::run).await?,
        Command::Patch(at) => at.run(patch::run).await?,
        Command::Delete(at) => at.run(delete::run).await?,
        Command::Restore(at) => at.run(restore::run).await?,
        Command::List(at) => at.run(list::run).await?,
        Command::Count(at) => at.run(count::run).await?,
        Command::Search(at) => at.run(search::run).await?,
        Command::Similar(at) => at.run(search::run_similar).await?,
        Command::Link(at) => at.run(link::run).await?,
        Command::Traverse(at) => at.run(traverse::run).await?,
        Command::Write(at) => at.run(atomic::run).await?,
        Command::History(at) => at.run(history::run).await?,
        Command::Diff(at) => at.run(diff::run).await?,
        Command::Events(at) => at.run(events::run).await?,
        Command::Aggregate(at) => at.run(aggregate::run).await?,
        Command::Export(at) => at.run(export::run).await?,
        Command::Namespace(at) => at.run(namespace::run).await?,
        Command::Schema(at) => at.run(schema::run).await?,
        Command::Archive(at) => at.run(archive::run).await?,
        Command::Embedder(args) => embedder::run(args).await?,
        Command::Key(args) => key::run(args)?,
        Command::Migrate(args) => migrate::run(args).await?,
        Command::Import(at) => return at.run(import::run).await,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let mut abouts = HashSet::new();
        for mut subcommand in command().get_subcommands().cloned() {
            let help = subcommand.render_long_help().to_string();
            let name = subcommand.get_name();
            assert!(help.contains(&format!("  annals {name}")), "annals {name} --help has no example");
            let about = subcommand.get_about().expect("every command says what it does").to_string();
            assert!(abouts.insert(about), "annals {name} says the same as another command");
        }
    }

    #[test]
    fn a_command_says_which_server_and_which_form() {
        let line = ["annals", "get", "onet/x", "--json", "--server", "http://127.0.0.1:9999"];
        let Command::Get(at) = Cli::try_parse_from(line).unwrap().command else { panic!("get") };
        assert!(at.json);
        assert_eq!(at.connection.server.unwrap(), "http://127.0.0.1:9999");
    }

    #[test]
    fn a_bad_name_is_refused_before_anything_is_sent() {
        let error = Cli::try_parse_from(["annals", "get", "onet"]).err().unwrap().to_string();
        assert!(error.contains("must have an id"), "{error}");
    }
}
