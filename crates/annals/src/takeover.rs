//! `annals archive adopt` and `annals archive drain`: another journal for the archive, while no server runs.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serve::config::{Mistake, Mistakes};

use crate::serving::Settings;

const ADOPT: &str = "adopt";
const DRAIN: &str = "drain";

/// `archive` with both commands, which have the settings of a server.
pub(crate) fn add_to(archive: Command) -> Command {
    let adopt = Command::new(ADOPT)
        .about("Give the archive to the empty journal of this data directory; no server may run")
        .long_about(
            "Give the archive to the empty journal of this data directory, when the journal that fed it is lost or \
             replaced. From then on the old journal's server is refused. Then `annals archive drain` brings what only \
             the old journal has, and the server starts. No server may run in this data directory meanwhile.",
        )
        .arg(
            Arg::new("journal-lost")
                .long("journal-lost")
                .action(ArgAction::SetTrue)
                .help("The old journal is gone: start without what only it had"),
        );
    let drain = Command::new(DRAIN)
        .about("Append what only an old journal has, after adopt; no server may run")
        .long_about(
            "Append what only an old journal has to the journal that took over from it: each event once, however often \
             this is run. No server may run in this data directory, nor have the old journal.",
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The old journal's directory, or the data directory that it is in; it is not changed"),
        );
    let with_settings = |command| serve::config::command::<Settings>(command, &[]);
    archive
        .subcommand(with_settings(adopt).after_help(
            "Examples:\n  annals archive adopt --data-dir /var/lib/annals\n  annals archive adopt --journal-lost",
        ))
        .subcommand(
            with_settings(drain)
                .after_help("Examples:\n  annals archive drain --from /mnt/old/annals-data --data-dir /var/lib/annals"),
        )
}

/// Whether the command line, without the program's name, asks for one of these.
pub(crate) fn is_asked(arguments: &[std::ffi::OsString]) -> bool {
    matches!(arguments, [archive, what, ..] if archive == "archive" && (what == ADOPT || what == DRAIN))
}

/// Runs the command that these matches of `archive` name.
pub(crate) async fn run(archive: &ArgMatches, mistakes: Vec<Mistake>) -> anyhow::Result<()> {
    let (name, matches) = archive.subcommand().context("a command is asked for")?;
    let settings: Result<Settings, Mistakes> = serve::config::read(matches, mistakes, &[]);
    let (_, serve, _, events, _) = settings?;
    serve::telemetry::init(&serve.log)?;
    let data_dir = serve.data_dir;
    if name == ADOPT {
        let is_lost = matches.get_flag("journal-lost");
        let adopted = tokio::task::spawn_blocking(move || events::adopt(&events, &data_dir, is_lost)).await??;
        let events::Adopted { journal, epoch, position, awaits_drain } = adopted;
        println!("journal {journal} feeds the archive, epoch {epoch}, from position {position} on");
        if awaits_drain {
            println!("next: annals archive drain --from DIR, with the old journal's directory");
            println!("      or, if that is lost: annals archive adopt --journal-lost");
        }
        return Ok(());
    }
    let from: PathBuf = matches.get_one::<PathBuf>("from").context("--from is required")?.clone();
    let mut told = std::time::Duration::ZERO;
    let began = tokio::time::Instant::now();
    let drained = tokio::task::spawn_blocking(move || {
        events::drain(&events, &data_dir, &from, |drained| {
            if began.elapsed().saturating_sub(told) >= EVERY {
                told = began.elapsed();
                eprintln!("{} of {} events", drained.seen, drained.found);
            }
        })
    });
    let events::Drained { found, seen: _, appended, known, left_out } = drained.await??;
    println!("{found} events were not archived: {appended} appended, {known} known before, {left_out} left out");
    anyhow::ensure!(
        left_out == 0,
        "{left_out} mutations are left out: the history of their names has gone on (see the log)"
    );
    Ok(())
}

/// How often a drain tells how far it is.
const EVERY: std::time::Duration = std::time::Duration::from_secs(5);
