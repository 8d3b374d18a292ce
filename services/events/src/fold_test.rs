//! States of the past and histories against a fold of the same mutations, wherever they are: in the journal, in fresh
//! files of the archive, in merged ones.

use domain::{AsOf, Entity, EntityKind, Etag, Mutation, State, Visibility};
use proptest::prelude::*;
use serve::Caller;
use ulid::Ulid;

use crate::{
    fixture::{Fixture, after, entity, thing},
    history::History,
};

const NAMES: u64 = 30;
const BATCHES: usize = 40;
const PER_BATCH: u64 = 20;

/// Numbers from a seed: xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn name(number: u64) -> String {
    format!("onet/name {number}")
}

fn named(number: u64) -> Entity {
    entity(EntityKind::Thing, &name(number))
}

/// Relays random mutations, with flushes, merges and restarts in between; answers them by name.
async fn written(fixture: Fixture, dice: &mut Dice) -> (Fixture, Vec<Vec<Mutation>>) {
    let mut fixture = fixture;
    let mut by_name: Vec<Vec<Mutation>> = vec![Vec::new(); NAMES as usize];
    for batch in 0..BATCHES {
        let mut mutations = Vec::new();
        for _ in 0..PER_BATCH {
            let number = dice.below(NAMES);
            let before = by_name[number as usize].last().and_then(|last| last.after.clone());
            let mutation = match &before {
                Some(before) if dice.below(4) == 0 => fixture.delete(before),
                _ => {
                    let content = format!("{batch} {}", dice.below(1_000));
                    fixture.put(before.as_ref(), thing(&name(number), Visibility::Public, &content))
                }
            };
            by_name[number as usize].push(mutation.clone());
            mutations.push(mutation);
        }
        fixture.relay(&mutations).await;
        match dice.below(6) {
            0 => fixture.flush(dice.below(30_000) + 1),
            1 => fixture.flush(u64::MAX),
            2 => fixture.keep_up(),
            3 if batch % 20 == 0 => fixture = fixture.reopened(),
            _ => {}
        }
    }
    (fixture, by_name)
}

/// The state that the newest mutation up to a ULID made.
fn folded(mutations: &[Mutation], until: Ulid) -> Option<State> {
    let count = mutations.partition_point(|mutation| mutation.ulid <= until);
    mutations[..count].last().and_then(|newest| newest.after.clone())
}

async fn check(seed: u64) {
    let mut dice = Dice(seed | 1);
    let (fixture, by_name) = written(Fixture::new(), &mut dice).await;
    let caller = Caller::local();
    let all: Vec<Ulid> = by_name.iter().flatten().map(|mutation| mutation.ulid).collect();
    for (number, mutations) in (0..).zip(&by_name) {
        let history = History { entity: named(number), page_size: 1_000, after: None };
        let told = fixture.log.history(&caller, &history).map(|page| page.mutations).unwrap_or_default();
        assert_eq!(&told, mutations, "{}", name(number));
    }
    for _ in 0..500 {
        let number = dice.below(NAMES);
        let then = all[dice.below(all.len() as u64) as usize];
        let told = fixture.log.state_at(&caller, &named(number), AsOf::Ulid(then)).ok().map(|(state, _)| state);
        assert_eq!(told, folded(&by_name[number as usize], then), "{} as of {then}", name(number));
    }
    // The states say which mutation made them.
    let last = by_name.iter().flatten().filter(|mutation| mutation.after.is_some()).max_by_key(|it| it.ulid);
    let last = last.expect("something was put");
    let State::Thing(state) = after(last) else { unreachable!("only things are put") };
    assert_eq!(state.etag, Etag(last.ulid));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_past_state_and_history_is_the_fold_of_the_mutations(seed in any::<u64>()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check(seed));
    }
}
