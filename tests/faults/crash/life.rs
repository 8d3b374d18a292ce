//! Owns the life of one data directory, from crash to crash: what was done to it and what it must therefore hold.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use harness::restore::Undone;
use proto::common::v1::{Reason, Style};
use proto::things::v1::RegisterNamespaceRequest;

use super::appends::Appends;
use super::check;
use super::client::{Client, Way};
use super::dice::Dice;
use super::load::{Clients, From, Load};
use super::machine::{Machine, Server};
use super::past::{Past, Round, Tally};
use super::request::{Answer, Asked};
use super::shared::Shared;
use super::world;

/// A data directory and what is known of it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) machine: Machine,
    past: Past,
    /// What was done since the last check.
    round: Round,
    shared: Arc<Shared>,
    /// How many loads there were.
    turn: u64,
    dice: Dice,
}

/// When a server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// Before it is ready.
    Starting,
    /// As soon as it is ready.
    Ready,
    /// After so many answers.
    Loaded(u64),
    /// After so many answers, while it ends because it was asked to.
    Draining(u64),
    /// After so many answers, it ends because it was asked to.
    Stopped(u64),
}

/// What a loop did.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    starting: u64,
    ready: u64,
    loaded: u64,
    draining: u64,
    stopped: u64,
    late: u64,
    power_cuts: u64,
    undone_writes: usize,
    undone_names: usize,
    appends_survived: usize,
    tally: Tally,
    began: Option<Instant>,
}

impl Kill {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let answers = dice.below(120);
        match dice.below(20) {
            0 => Self::Starting,
            1 => Self::Ready,
            2 => Self::Draining(answers),
            3 => Self::Stopped(answers),
            _ => Self::Loaded(answers),
        }
    }
}

impl Life {
    pub(crate) fn new(dice: Dice) -> anyhow::Result<Self> {
        let (past, round) = (Past::default(), Round::default());
        Ok(Self { machine: Machine::flushing()?, past, round, shared: Arc::new(Shared::new()), turn: 0, dice })
    }

    /// Starts the server, checks what it has, loads it and kills it.
    pub(crate) async fn crash(&mut self, kill: Kill, is_full: bool, summary: &mut Summary) -> anyhow::Result<()> {
        summary.began.get_or_insert_with(Instant::now);
        let answers = match kill {
            Kill::Starting => {
                let starting = self.machine.spawn()?;
                tokio::time::sleep(Duration::from_micros(self.dice.below(150_000))).await;
                summary.starting += 1;
                return Ok(starting.kill()?);
            }
            Kill::Ready => {
                summary.ready += 1;
                return Ok(self.machine.start().await?.running.kill()?);
            }
            Kill::Loaded(answers) | Kill::Draining(answers) | Kill::Stopped(answers) => answers,
        };
        let server = self.revive(is_full, summary).await?;
        let mut clients = self.load(Load::Mixed, &server).await?;
        clients.answered(answers, &mut self.dice).await.with_context(|| self.machine.log())?;
        match kill {
            Kill::Draining(_) => {
                summary.draining += 1;
                terminate(server.running.id())?;
                tokio::time::sleep(Duration::from_micros(self.dice.below(30_000))).await;
                server.running.kill()?;
            }
            Kill::Stopped(_) => {
                summary.stopped += 1;
                terminate(server.running.id())?;
                let status = tokio::task::spawn_blocking(|| server.running.wait()).await??;
                // On a machine with too much to do; what was not done in time is as after a kill.
                let is_late = self.machine.log().contains("the drain took too long");
                ensure!(status.success() || is_late, "it ends with {status}:\n{}", self.machine.log());
                summary.late += u64::from(!status.success());
            }
            _ => {
                summary.loaded += 1;
                server.running.kill()?;
            }
        }
        clients.stop(&mut self.round).await
    }

    /// Puts large contents, for the engines' files to fill up.
    pub(crate) async fn fill(&mut self, server: &Server, puts: u64) -> anyhow::Result<()> {
        let mut client = Client::connect(server.address).await?;
        for put in 0..puts {
            let id = format!("r{}.large{put}", self.round.number);
            let body = world::large_body(&id);
            let asked = Asked::Put { key: world::large(), body, condition: domain::Condition::None };
            let request = client.ask(&self.shared, id, asked, Way::Grpc).await?;
            self.round.requests.push(request);
        }
        Ok(())
    }

    /// Lets clients work on a server that runs, until so many requests have been answered.
    pub(crate) async fn work(&mut self, load: Load, server: &Server, answers: u64) -> anyhow::Result<()> {
        let mut clients = self.load(load, server).await?;
        clients.answered(answers, &mut self.dice).await.with_context(|| self.machine.log())?;
        clients.stop(&mut self.round).await
    }

    /// The same, until the journal has been cut and its directory synced: another segment has been begun since.
    pub(crate) async fn work_until_cut(&mut self, server: &Server) -> anyhow::Result<()> {
        let first = self.machine.segments()?.into_iter().next().context("a journal has a segment")?;
        while self.machine.segments()?.contains(&first) {
            self.work(Load::Appends, server, 30).await?;
        }
        let cut = self.machine.segments()?;
        while self.machine.segments()?.iter().all(|segment| cut.contains(segment)) {
            self.work(Load::Appends, server, 30).await?;
        }
        Ok(())
    }

    /// Undoes whatever no sync covered. The server must be dead.
    pub(crate) fn lose_power(&self, summary: &mut Summary) -> anyhow::Result<()> {
        summary.power_cuts += 1;
        summary.undo(self.machine.disk.lose_power()?);
        Ok(())
    }

    /// Undoes a random part of what no sync covered, so that files are torn. The server must be dead.
    pub(crate) fn lose_power_while_writing(&mut self, summary: &mut Summary) -> anyhow::Result<()> {
        summary.power_cuts += 1;
        summary.undo(self.machine.disk.lose_power_while_writing(|bound| self.dice.below(bound))?);
        Ok(())
    }

    /// Checks everything, for the last time.
    pub(crate) async fn end(mut self, summary: &mut Summary) -> anyhow::Result<()> {
        let server = self.revive(true, summary).await?;
        Ok(server.running.kill()?)
    }

    async fn load(&mut self, load: Load, server: &Server) -> anyhow::Result<Clients> {
        let turn = self.turn;
        self.turn += 1;
        let from = From {
            address: server.address,
            cursor: self.past.cursor.clone(),
            label: format!("t{turn}"),
            number: turn * 10_000_000,
        };
        Clients::start(load, &from, Arc::clone(&self.shared), &mut self.dice).await
    }

    /// Starts the server and checks that it has all that was acknowledged, and nothing that nobody asked for.
    pub(crate) async fn revive(&mut self, is_full: bool, summary: &mut Summary) -> anyhow::Result<Server> {
        let server = self.machine.start().await?;
        let checked = self.check(&server, is_full, summary).await;
        checked.with_context(|| format!("after the start of round {}\n{}", self.round.number, self.machine.log()))?;
        Ok(server)
    }

    /// Checks a server that runs; nobody else may write.
    pub(crate) async fn check(&mut self, server: &Server, is_full: bool, summary: &mut Summary) -> anyhow::Result<()> {
        let mut client = Client::connect(server.address).await?;
        if self.past.log.is_empty() && self.round.requests.is_empty() {
            register(&mut client, Style::Literal).await?;
        } else {
            let refused = register(&mut client, Style::Wiki).await.err().context("the namespace is lost")?;
            let reason = serve::Refusal::from_status(&refused).reason;
            ensure!(reason == Reason::NamespaceStyleFixed, "the namespace is lost: {refused:?}");
        }
        check::barrier(&mut client, &self.past).await?;
        let signs = check::follow(&mut client, &self.past).await?;
        summary.appends_survived += self.round.appends.retry(&mut client).await?;
        Appends::repeat(&mut client, &mut self.dice, &self.past.appended).await?;
        let last = self.barrier(&mut client).await?;
        let news = tokio::select! {
            news = check::news(signs, &mut self.past, last) => news?,
            () = self.machine.logged("RELAY_GAP") => bail!("events has lost batches of the relay"),
        };
        let tally = self.past.learn(news, &self.round)?;
        check::present(&mut client, &self.past).await?;
        if is_full {
            check::all(&mut client, &self.past).await?;
        }
        summary.add(tally);
        self.round = Round { number: self.round.number + 1, ..Round::default() };
        self.shared = Arc::new(Shared::new());
        for (subject, name) in &self.past.names {
            if let Some(state) = &name.state {
                self.shared.knows(subject.clone(), state.etag());
            }
        }
        Ok(())
    }

    /// A write after all others: when events has its mutation, it has all of those.
    async fn barrier(&mut self, client: &mut Client) -> anyhow::Result<ulid::Ulid> {
        let id = format!("r{}.barrier", self.round.number);
        let body = world::body(&mut self.dice, &id);
        let asked = Asked::Put { key: world::barrier(), body, condition: domain::Condition::None };
        let request = client.ask(&self.shared, id, asked, Way::Grpc).await?;
        let Answer::Written { ulid, .. } = request.answer else {
            bail!("a write is not carried out: {:?}", request.answer);
        };
        self.round.requests.push(request);
        Ok(ulid)
    }
}

impl Summary {
    pub(crate) fn rounds(&self) -> u64 {
        self.starting + self.ready + self.loaded + self.draining + self.stopped
    }

    fn undo(&mut self, undone: Undone) {
        self.undone_writes += undone.writes;
        self.undone_names += undone.names;
    }

    fn add(&mut self, tally: Tally) {
        let Tally { acknowledged, appended, refused, unanswered, survived, events } = tally;
        self.tally.acknowledged += acknowledged;
        self.tally.appended += appended;
        self.tally.refused += refused;
        self.tally.unanswered += unanswered;
        self.tally.survived += survived;
        self.tally.events += events;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starting, ready, loaded, draining, stopped, late, power_cuts, .. } = self;
        let Self { undone_writes, undone_names, .. } = self;
        let Tally { acknowledged, appended, refused, unanswered, survived, events } = self.tally;
        let seconds = self.began.map_or(0, |began| began.elapsed().as_secs());
        write!(
            out,
            "{rounds} rounds ({loaded} killed under load, {draining} while draining, {starting} while starting, {ready} when \
             just ready, {stopped} stopped, {late} of them too late) in {seconds} s; \
             {power_cuts} power cuts undid {undone_writes} writes and {undone_names} names; \
             {acknowledged} writes acknowledged, {refused} refused, {unanswered} unanswered ({survived} took effect); \
             {appended} appended events acknowledged, {appends} unanswered appends took effect; {events} events in all",
            rounds = self.rounds(),
            appends = self.appends_survived,
        )
    }
}

/// Asks for the literal namespace with a style.
async fn register(client: &mut Client, style: Style) -> Result<(), tonic::Status> {
    let request = RegisterNamespaceRequest { ns: world::LITERAL.into(), style: style.into() };
    client.things.register_namespace(request).await.map(drop)
}

/// Asks a process to end.
fn terminate(process: u32) -> anyhow::Result<()> {
    // The shell's own `kill`: a machine need not have it as a program.
    let kill = format!("kill -TERM {process}");
    let status = std::process::Command::new("sh").args(["-c", &kill]).status()?;
    ensure!(status.success(), "{kill}: {status}");
    Ok(())
}
