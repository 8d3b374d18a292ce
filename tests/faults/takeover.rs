//! Another journal takes over the archive, while the old writer is killed at any moment, or still at work: what was
//! acknowledged is there once, and the old writer is refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use domain::Clock;
use harness::events::{counted, every};
use proto::common::v1::Reason;
use proto::events::v1::{AppendRequest, Event, QueryRequest};
use serve::Refusal;

use crate::crash::client::Client;
use crate::crash::dice::Dice;
use crate::crash::life::{Kill, Life, Summary};
use crate::crash::machine::Machine;

/// Kills of the old writer, each at another moment of a flush.
const TAKEOVERS: usize = 3;
/// A command that was killed more often has a defect.
const TRIES: usize = 40;

/// What refuses to start, by its log.
async fn refused(machine: &Machine, words: &[&str]) -> anyhow::Result<()> {
    let refusal = machine.start().await.err().context("it starts")?.to_string();
    for word in words {
        ensure!(refusal.contains(word), "no `{word}` in: {refusal}");
    }
    Ok(())
}

/// Runs a command to its end.
async fn run(machine: &Machine, arguments: &[&str]) -> anyhow::Result<()> {
    let running = machine.command(arguments)?;
    let status = tokio::task::spawn_blocking(|| running.wait()).await??;
    ensure!(status.success(), "annals {arguments:?}: {status}\n{}", machine.log());
    Ok(())
}

/// Runs a command, which is killed at random moments, with the power cut each time, until it once ends before.
async fn run_and_kill(life: &Life, arguments: &[&str], dice: &mut Dice, summary: &mut Summary) -> anyhow::Result<()> {
    for patience in 1..=TRIES as u64 {
        let running = life.machine.command(arguments)?;
        let killed = Duration::from_micros(dice.below(patience * 30_000));
        tokio::time::sleep(killed).await;
        running.kill()?;
        life.lose_power(summary)?;
        if dice.one_in(4) {
            break;
        }
    }
    run(&life.machine, arguments).await?;
    life.lose_power(summary)
}

/// The journal of the machine, moved to where it is not looked for.
fn move_journal(machine: &Machine, to: &Path) -> anyhow::Result<()> {
    fs::rename(machine.data_dir().join("events/journal"), to).context("the journal is moved")
}

/// A data directory with the archive of another one.
fn share_archive(from: &Machine, to: &Machine) -> anyhow::Result<()> {
    let (from, to) = (from.data_dir().join("events"), to.data_dir().join("events"));
    fs::create_dir_all(&to)?;
    for part in ["archive", "catalog.db"] {
        symlink(from.join(part), to.join(part))?;
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path of ours is UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_adopt_and_drain_nothing_is_lost_or_doubled() -> anyhow::Result<()> {
    let seed = Clock::system().now().millis() as u64;
    println!("seed {seed}");
    let (mut dice, mut summary) = (Dice::new(seed), Summary::default());
    let mut life = Life::new(dice.split())?;
    let around = tempfile::tempdir()?;
    for takeover in 0..TAKEOVERS {
        for _ in 0..2 {
            life.crash(Kill::Loaded(40 + dice.below(120)), false, &mut summary).await?;
            life.lose_power(&mut summary)?;
        }
        let old: PathBuf = around.path().join(takeover.to_string());
        move_journal(&life.machine, &old)?;
        refused(&life.machine, &["JOURNAL_MISMATCH", "annals archive adopt"]).await?;
        run_and_kill(&life, &["archive", "adopt"], &mut dice, &mut summary).await?;
        refused(&life.machine, &["annals archive drain --from"]).await?;
        let drain = ["archive", "drain", "--from", text(&old)?];
        run_and_kill(&life, &drain, &mut dice, &mut summary).await?;
        // All that was acknowledged is there once, the relay goes on, and so does who followed the old journal.
        life.crash(Kill::Loaded(40), true, &mut summary).await?;
        life.lose_power(&mut summary)?;

        // The old writer wakes up on its own directory.
        let woken = Machine::flushing()?;
        share_archive(&life.machine, &woken)?;
        copy(&old, &woken.data_dir().join("events/journal"))?;
        refused(&woken, &["JOURNAL_MISMATCH"]).await?;
        run(&life.machine, &drain).await?;
    }
    println!("{summary}");
    life.end(&mut summary).await
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().context("a file has a name")?);
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to)?;
        }
    }
    Ok(())
}

/// Appends events one by one until one is refused or there were so many; adds what was acknowledged to `stored`.
async fn append(
    client: &mut Client,
    times: usize,
    stored: &mut BTreeMap<String, usize>,
) -> anyhow::Result<Option<Refusal>> {
    for _ in 0..times {
        let event = Event { event_type: "takeover".into(), ..Event::default() };
        match client.events.append(AppendRequest { events: vec![event], relay: None }).await {
            Ok(answer) => stored.extend(answer.into_inner().ulids.into_iter().map(|ulid| (ulid, 1))),
            Err(status) => return Ok(Some(Refusal::from_status(&status))),
        }
    }
    Ok(None)
}

/// How often each event is there.
async fn all(client: &Client) -> anyhow::Result<BTreeMap<String, usize>> {
    let query = QueryRequest { event_types: vec!["takeover".into()], page_size: 1_000, ..QueryRequest::default() };
    Ok(counted(every(client.events.clone(), query).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_writer_at_work_is_refused_and_what_it_took_is_drained() -> anyhow::Result<()> {
    let (old, new) = (Machine::flushing()?, Machine::flushing()?);
    let mut stored = BTreeMap::new();
    let old_server = old.start().await?;
    let mut old_client = Client::connect(old_server.address).await?;
    ensure!(append(&mut old_client, 100, &mut stored).await?.is_none(), "the old writer refuses too early");
    share_archive(&old, &new)?;
    run(&new, &["archive", "adopt", "--journal-lost"]).await?;
    let new_server = new.start().await?;
    let mut new_client = Client::connect(new_server.address).await?;

    // Until it looks at the archive again, the old writer takes what only it has.
    let mut refusal = None;
    while refusal.is_none() {
        refusal = append(&mut old_client, 10, &mut stored).await?;
        ensure!(append(&mut new_client, 10, &mut stored).await?.is_none(), "the new writer refuses");
    }
    ensure!(refusal.is_some_and(|refusal| refusal.reason == Reason::JournalMismatch), "another reason");
    let ready = old_client.http.get("/_/readyz").await.expect(503).text().to_owned();
    ensure!(ready.contains("archive: ") && ready.contains("JOURNAL_MISMATCH"), "{ready}");
    new_client.http.get("/_/readyz").await.expect(200);
    let Some(refusal) = append(&mut old_client, 1, &mut stored).await? else { bail!("it takes events again") };
    ensure!(refusal.reason == Reason::JournalMismatch, "{refusal:?}");

    old_server.running.kill()?;
    new_server.running.kill()?;
    let from = old.data_dir();
    for _ in 0..2 {
        run(&new, &["archive", "drain", "--from", text(&from)?]).await?;
    }
    refused(&old, &["JOURNAL_MISMATCH"]).await?;
    let server = new.start().await?;
    let found = all(&Client::connect(server.address).await?).await?;
    ensure!(found == stored, "{} events are there, {} were acknowledged", found.len(), stored.len());
    Ok(server.running.kill()?)
}
