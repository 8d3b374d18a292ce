//! Kill -9 under mixed load, on a disk that then forgets what was not synced; again and again. Nothing that was
//! acknowledged is lost or doubled, what was not is there whole or not at all, and the state of every name is the fold
//! of its events.

pub(crate) mod appends;
pub(crate) mod bodies;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod dice;
pub(crate) mod life;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod past;
pub(crate) mod request;
pub(crate) mod shared;
pub(crate) mod streams;
pub(crate) mod world;

use anyhow::Context;
use dice::Dice;
use domain::Clock;
use life::{Kill, Life, Summary};

use crate::config;

/// Rounds after which a new data directory is begun: a start reads all of the journal.
const ROUNDS_OF_A_LIFE: u64 = 40;
/// Rounds after which everything is read and compared, not only what is new.
const ROUNDS_OF_A_FULL_CHECK: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_loop() -> anyhow::Result<()> {
    let rounds = config::crash_rounds()?;
    let seed = config::crash_seed()?.unwrap_or_else(|| Clock::system().now().millis() as u64);
    println!("ANNALS_CRASH_SEED={seed} asks for the same again; the moments are others");
    let mut summary = Summary::default();
    let outcome = run(rounds, &mut Dice::new(seed), &mut summary).await;
    println!("{summary}");
    outcome.with_context(|| format!("seed {seed}, round {}", summary.rounds()))?;
    println!("0 acknowledged writes lost, 0 doubled; every state is the fold of its events");
    Ok(())
}

async fn run(rounds: u64, dice: &mut Dice, summary: &mut Summary) -> anyhow::Result<()> {
    let mut life = Life::new(dice.split())?;
    for round in 1..=rounds {
        life.crash(Kill::any(dice), round % ROUNDS_OF_A_FULL_CHECK == 0, summary).await?;
        match dice.below(4) {
            0 => {}
            1 => life.lose_power_while_writing(summary)?,
            _ => life.lose_power(summary)?,
        }
        if round % ROUNDS_OF_A_LIFE == 0 {
            println!("{summary}");
            life.end(summary).await?;
            life = Life::new(dice.split())?;
        }
    }
    life.end(summary).await
}
