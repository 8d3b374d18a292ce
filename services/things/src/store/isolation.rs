//! What keeps tenants apart on PostgreSQL, each of its two ways alone: conditions of statements, and row level security.
//!
//! A tenant does random things beside another one that does the same to the same names, and beside one that has those names
//! already and very much of everything. It must be answered as if it were alone: what that is, the embedded store tells, which
//! has nobody else.

mod config;
mod crowd;
mod questions;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::Clock;
use futures::FutureExt as _;
use proptest::strategy::{Strategy as _, ValueTree as _};

use self::crowd::Crowd;
use super::Scope;
use super::conformance::bed::{self, Bed};
use super::conformance::server;
use super::differential::operation::{self, Operation, Tenants};
use super::differential::{Ulids, runner};
use super::postgres::tampering::{self, Tampering, Without};

/// Things that each of the two does.
const OPERATIONS: usize = 240;
/// After how many of them everything is asked.
const ASKED_AFTER: usize = 20;
/// What one of them takes at most: who waits longer waits for ever.
const LONGEST: Duration = Duration::from_secs(20);

/// A database that all runs share, each with tenants of its own.
struct Shared {
    url: String,
    crowd: Crowd,
}

/// Runs of the process: each has tenants of its own, which alone are tampered with.
static RUNS: AtomicUsize = AtomicUsize::new(0);

impl Shared {
    async fn new() -> Self {
        let url = tokio::task::spawn_blocking(|| server::fresh(18)).await.unwrap();
        super::migrate(&url).await.unwrap();
        Self { crowd: Crowd::gather(&url).await, url }
    }

    /// The first operation of a run whose answer tells of other tenants, or that does something to them, if there is one.
    async fn leak(&self, seed: u64, tampering: Tampering) -> Option<String> {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let tenants = ["a", "b"].map(|letter| Tenants::one(format!("{letter}{run}").parse().unwrap()));
        tampering::tamper(tenants.iter().map(|tenants| &tenants.home), tampering);
        let alone = bed::sqlite().await;
        let beside = Bed::open(self.url.clone(), Clock::manual(bed::start()), tempfile::tempdir().unwrap()).await;
        let [other, own] = &tenants;
        let (mut ulids, mut expected_ulids) = (Ulids::default(), Ulids::default());
        let (mut runner, strategy) = (runner(seed), operation::any());
        for number in 0..OPERATIONS {
            let drawn = [(); 2].map(|()| strategy.new_tree(&mut runner).unwrap().current());
            let [of_other, of_own] = drawn.map(forwards);
            if number > 0 {
                answered(of_other.perform(&beside, other)).await;
            }
            let asked = match number {
                0 => questions::first(),
                _ if number % ASKED_AFTER == 0 => questions::all(),
                _ => vec![of_own],
            };
            for operation in asked {
                let apart = beside.clock.now().millis() - alone.clock.now().millis();
                // The time of day is everybody's.
                alone.clock.advance(apart);
                let told = async |bed: &Bed| {
                    let answer = operation.perform(bed, own).await;
                    format!("{answer}\n{:?}", bed.export(&own.owner(), Scope::All, "").await)
                };
                let expected = expected_ulids.left_out_of(&told(&alone).await);
                let told = answered(told(&beside)).await.unwrap_or_else(|| "nothing".into());
                let told = ulids.left_out_of(&told);
                if told != expected {
                    return Some(format!("operation {number}: {operation:?}\n{told}\n{expected}"));
                }
            }
        }
        (!self.crowd.is_untouched().await).then(|| "others have not what they had".to_owned())
    }
}

/// What comes of it, unless it panics or does not end: what a store does that is not itself.
async fn answered<T>(perform: impl Future<Output = T>) -> Option<T> {
    let caught = std::panic::AssertUnwindSafe(perform).catch_unwind();
    tokio::time::timeout(LONGEST, caught).await.ok()?.ok()
}

/// Of which time never goes back: the newest ULID of a process is everybody's, so what follows would tell of it.
fn forwards(operation: Operation) -> Operation {
    match operation {
        Operation::TimePasses(millis) => Operation::TimePasses(millis.abs()),
        operation => operation,
    }
}

fn seed() -> u64 {
    let seed = config::seed().unwrap_or_else(|| Clock::system().ulid().0 as u64);
    println!("seed: {seed}");
    seed
}

#[tokio::test]
async fn row_level_security_alone_keeps_tenants_apart() {
    let (seed, shared) = (seed(), Shared::new().await);
    let alone = Tampering { bypasses: false, without: Without::All };
    assert_eq!(shared.leak(seed, alone).await, None);
    let nothing = Tampering { bypasses: true, ..alone };
    assert!(shared.leak(seed, nothing).await.is_some(), "without either everything is told");
}

#[tokio::test]
async fn conditions_alone_keep_tenants_apart_and_none_of_them_is_too_many() {
    let seed = seed();
    let mut shared = Shared::new().await;
    let conditions_alone = Tampering { bypasses: true, without: Without::None };
    assert_eq!(shared.leak(seed, conditions_alone).await, None);
    let mut conditions = tampering::conditions();
    let (count, wanted) = (conditions.len(), config::conditions());
    conditions.rotate_left(seed as usize % count);
    let mut needless = Vec::new();
    for without in conditions.into_iter().take(wanted) {
        let leak = shared.leak(seed, Tampering { without, ..conditions_alone }).await;
        if leak.is_none() {
            needless.push(without);
        } else if !shared.crowd.is_untouched().await {
            shared.crowd = Crowd::gather(&shared.url).await;
        }
    }
    println!("{} of {count} conditions", wanted.min(count));
    assert!(needless.is_empty(), "nothing is told without these conditions: {needless:#?}");
}

/// Every table of tenants has the column, row level security that its owner is under too, and a policy.
#[tokio::test]
async fn every_table_is_under_row_level_security() {
    let shared = Shared::new().await;
    let tables = crowd::tables(&shared.url).await;
    assert!(tables.len() > 6, "{tables:?}");
    for (table, has_tenant, is_forced, policies) in tables {
        // How far the migrations are is nobody's, and is not granted to who serves.
        let is_right = table == "migrations" || has_tenant && is_forced && policies > 0;
        assert!(is_right, "{table}: {has_tenant} {is_forced} {policies}");
    }
}
