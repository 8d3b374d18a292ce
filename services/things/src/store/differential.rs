//! Random operations on every store at once: each answers the same and has the same afterwards, to the last field.
//!
//! Owns the comparison. ULIDs are random, so they are told by the order in which they came up.

pub(super) mod ask;
mod config;
pub(super) mod operation;

use std::collections::HashMap;
use std::fmt::Write as _;

use domain::TenantId;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::operation::{Operation, Tenants};
use super::conformance::bed::{self, Bed, foreigner};
use crate::store::Scope;

/// A store.
struct Subject {
    name: &'static str,
    bed: Bed,
    ulids: Ulids,
}

impl Subject {
    fn new(name: &'static str, bed: Bed) -> Self {
        Self { name, bed, ulids: Ulids::default() }
    }

    /// What an operation answers, what it wrote, and what there is then.
    async fn after(&mut self, operation: &Operation, tenants: &Tenants) -> String {
        let mut told = format!("{}\n", operation.perform(&self.bed, tenants).await);
        for mutation in self.bed.mutations().await {
            writeln!(told, "wrote {mutation:?}").expect("a text takes any");
        }
        for who in [tenants.owner(), foreigner()] {
            let there = self.bed.export(&who, Scope::All, "").await.expect("exported");
            for row in there.iter().flat_map(|part| &part.rows) {
                writeln!(told, "has {row:?}").expect("a text takes any");
            }
        }
        self.ulids.left_out_of(&told)
    }
}

/// The ULIDs that were told so far.
#[derive(Default)]
pub(super) struct Ulids(HashMap<String, usize>);

impl Ulids {
    /// The text with a number for each ULID, as digits or in Crockford's base 32.
    pub(super) fn left_out_of(&mut self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            let number = match word.parse::<u128>() {
                Ok(number) if word.len() > 30 => Some(ulid::Ulid(number).to_string()),
                _ if word.len() == ulid::ULID_LEN && ulid::Ulid::from_string(word).is_ok() => Some(word.to_owned()),
                _ => None,
            };
            match number {
                Some(ulid) => {
                    let next = self.0.len();
                    write!(plain, "ulid-{}", self.0.entry(ulid).or_insert(next)).expect("a text takes any");
                }
                None => plain.push_str(word),
            }
            let separator = behind.chars().next().map_or(0, char::len_utf8);
            plain.push_str(&behind[..separator]);
            rest = &behind[separator..];
        }
        plain
    }
}

/// Of which the same seed draws the same.
pub(super) fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[tokio::test]
async fn random_operations_are_the_same_on_every_store() {
    let config::Size { operations, seed } = config::Size::read();
    println!("seed: {seed}");
    let mut runner = runner(seed);
    let tenants = Tenants { home: TenantId::local(), foreign: foreigner().tenant.clone() };
    let strategy = operation::any();
    let mut embedded = Subject::new("sqlite", bed::sqlite().await);
    let mut servers =
        [Subject::new("postgres 16", bed::postgres_16().await), Subject::new("postgres 18", bed::postgres_18().await)];
    let mut carried_out = 0;
    for number in 0..operations {
        let operation = strategy.new_tree(&mut runner).unwrap().current();
        let expected = embedded.after(&operation, &tenants).await;
        for server in &mut servers {
            let told = server.after(&operation, &tenants).await;
            if told != expected {
                let differing = expected.lines().zip(told.lines()).find(|(one, other)| one != other);
                panic!(
                    "operation {number} of seed {seed} on {}:\n{operation:?}\n{differing:#?}\n{} {} lines",
                    server.name,
                    expected.lines().count(),
                    told.lines().count()
                );
            }
        }
        carried_out += u64::from(!expected.starts_with("Err"));
        if number % 1_000 == 999 {
            println!("{} operations, {carried_out} carried out", number + 1);
        }
    }
    println!("{operations} operations, {carried_out} carried out, the same on every store");
    assert!(carried_out > operations / 3, "most operations are of something that is there");
}
