//! States of the past, one by one and listed, histories and differences against a fold of the same mutations, wherever
//! these are: in the journal, in fresh files of the archive, in merged ones.
//!
//! A size that takes an hour (`--nocapture` shows the seed and how far it is):
//! `ANNALS_FOLD_MUTATIONS=100000 ANNALS_FOLD_NAMES=1000 ANNALS_FOLD_INSTANTS=10000 cargo test --release --workspace --lib fold_test`

mod config;

use std::collections::BTreeMap;

use domain::{AsOf, Entity, EntityKind, Etag, Mutation, State, Timestamp, Visibility};
use serve::{
    Caller,
    deadline::{Deadline, UNARY},
};
use ulid::Ulid;

use self::config::Size;
use crate::{
    diff::Diff,
    fixture::{Fixture, after, entity, event_reader, key, thing},
    history::History,
    list_states::ListStates,
};

/// Mutations that are relayed together, at most.
const BATCH: u64 = 500;
/// Batches of a small run.
const FEWEST_BATCHES: u64 = 40;

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

/// Some names continue others, and every fourth is a variant of the one before.
fn name(number: u64) -> String {
    let end = ["", "#es", " and more", "/part"][(number % 4) as usize];
    format!("onet/name {}{end}", number / 4)
}

fn named(number: u64) -> Entity {
    entity(EntityKind::Thing, &name(number))
}

/// What was written: by name, in the order of names.
struct Written {
    fixture: Fixture,
    by_name: Vec<Vec<Mutation>>,
    /// The number of each name, by its id with variant.
    ids: BTreeMap<String, u64>,
    all: Vec<Ulid>,
}

/// Relays random mutations, with flushes, merges and restarts in between.
async fn written(size: Size, dice: &mut Dice) -> Written {
    let mut fixture = Fixture::new();
    let mut by_name: Vec<Vec<Mutation>> = vec![Vec::new(); size.names as usize];
    let batches = size.mutations.div_ceil(BATCH).max(FEWEST_BATCHES.min(size.mutations));
    let mut all = Vec::new();
    for batch in 0..batches {
        let mut mutations = Vec::new();
        for _ in 0..(size.mutations - all.len() as u64).div_ceil(batches - batch) {
            let number = dice.below(size.names);
            let before = by_name[number as usize].last().and_then(|last| last.after.clone());
            let mutation = match &before {
                Some(before) if dice.below(4) == 0 => fixture.delete(before),
                _ => {
                    use Visibility::{Private, Public, Unlisted};
                    let visibility = [Public, Public, Public, Public, Private, Unlisted][dice.below(6) as usize];
                    let content = format!("{batch}\n{}\n", dice.below(1_000));
                    fixture.put(before.as_ref(), thing(&name(number), visibility, &content))
                }
            };
            all.push(mutation.ulid);
            by_name[number as usize].push(mutation.clone());
            mutations.push(mutation);
        }
        fixture.relay(&mutations).await;
        // In the end most is in merged files, some in fresh ones and some in the journal.
        if batch == batches * 9 / 10 {
            fixture.flush(u64::MAX);
            fixture.keep_up();
        }
        match dice.below(6) {
            0 => fixture.flush(dice.below(40 * size.mutations) + 1),
            1 if batch + 2 < batches => fixture.flush(u64::MAX),
            2 => fixture.keep_up(),
            3 if batch % 20 == 0 => fixture = fixture.reopened(),
            _ => {}
        }
    }
    let ids = (0..size.names).map(|number| (key(&name(number)).entity_id().into_owned(), number)).collect();
    Written { fixture, by_name, ids, all }
}

impl Written {
    /// A moment at, just before or just after a mutation, or in its millisecond.
    fn moment(&self, dice: &mut Dice) -> AsOf {
        let ulid = self.all[dice.below(self.all.len() as u64) as usize];
        match dice.below(4) {
            0 => AsOf::Time(Timestamp::of_ulid(ulid)),
            1 => AsOf::Ulid(Ulid(ulid.0 - 1)),
            _ => AsOf::Ulid(ulid),
        }
    }

    /// The newest mutation of a name up to a ULID.
    fn newest(&self, number: u64, until: Ulid) -> Option<&Mutation> {
        let mutations = &self.by_name[number as usize];
        mutations[..mutations.partition_point(|mutation| mutation.ulid <= until)].last()
    }

    /// The state that it made.
    fn state(&self, number: u64, until: Ulid) -> Option<State> {
        self.newest(number, until).and_then(|newest| newest.after.clone())
    }

    /// Whether everybody sees a name listed that has a state then: it and, of a variant, its thing, then and now.
    fn is_listed(&self, number: u64, until: Ulid) -> bool {
        let names = if number % 4 == 1 { vec![number, number - 1] } else { vec![number] };
        names.into_iter().all(|number| {
            [until, Ulid(u128::MAX)].into_iter().all(|until| {
                let latest = self.newest(number, until).and_then(Mutation::latest);
                latest.is_some_and(|latest| latest.visibility() == Visibility::Public)
            })
        })
    }

    fn check_histories(&self) {
        let caller = Caller::local();
        for (number, mutations) in (0..).zip(&self.by_name) {
            let history = History { entity: named(number), page_size: 1_000, after: None };
            let told = self.fixture.log.history(&caller, &history).map(|page| page.mutations).unwrap_or_default();
            assert_eq!(&told, mutations, "{}", name(number));
        }
    }

    fn check_state_and_diff(&self, dice: &mut Dice, then: AsOf) {
        let (caller, number) = (Caller::local(), dice.below(self.by_name.len() as u64));
        let (log, entity) = (&self.fixture.log, named(number));
        let state = self.state(number, then.last_ulid());
        let told = log.state_at(&caller, &entity, then).ok().map(|(state, _)| state);
        assert_eq!(told, state, "{} as of {then}", name(number));
        let to = if dice.below(4) == 0 { None } else { Some(self.moment(dice)) };
        let other = self.state(number, to.map_or(Ulid(u128::MAX), AsOf::last_ulid));
        let told = log.diff(&caller, &Diff { entity, from: then, to }).ok();
        let told = told.map(|told| (told.before, told.after, told.changes));
        let changes = domain::diff(state.as_ref(), other.as_ref());
        let expected = (state.is_some() || other.is_some()).then_some((state, other, changes));
        assert_eq!(told, expected, "{} from {then} to {to:?}", name(number));
    }

    /// A page, or all of them, from anywhere on.
    fn check_list(&self, dice: &mut Dice, as_of: AsOf, is_whole: bool) {
        let until = as_of.last_ulid();
        let (is_reader, page_size) = (dice.below(2) == 0, if is_whole { 1_000 } else { 1 + dice.below(20) as usize });
        let caller = if is_reader { Caller::local() } else { event_reader() };
        let anywhere = |dice: &mut Dice| key(&name(dice.below(self.by_name.len() as u64))).entity_id().into_owned();
        let after = if is_whole || dice.below(4) == 0 { None } else { Some(anywhere(dice)) };
        let prefix = if is_whole || dice.below(4) > 0 { String::new() } else { format!("name {}", dice.below(10)) };
        let from = after.clone().unwrap_or_default();
        let names = self.ids.range(from.clone()..).filter(|(id, _)| **id > from && id.starts_with(&prefix));
        let states = names.filter(|(_, number)| is_reader || self.is_listed(**number, until));
        let states = states.filter_map(|(_, number)| self.state(*number, until));
        let expected: Vec<_> = if is_whole { states.collect() } else { states.take(page_size + 1).collect() };
        let mut list = ListStates {
            ns: "onet".parse().expect("a namespace"),
            kind: EntityKind::Thing,
            state_type: None,
            prefix,
            as_of,
            page_size,
            after,
            deadline: Deadline::after(UNARY * 60),
        };
        let mut told = Vec::new();
        let has_more = loop {
            let page = self.fixture.log.list_states_at(&caller, &list).expect("a page");
            told.extend(page.states);
            list.after = page.next;
            if list.after.is_none() || !is_whole && told.len() >= page_size {
                break list.after.is_some();
            }
            list.page_size = if is_whole { page_size } else { page_size - told.len() };
        };
        let wanted = if is_whole { expected.len() } else { expected.len().min(page_size) };
        assert_eq!(told, expected[..wanted], "as of {as_of} after {from:?}");
        assert!(has_more || wanted == expected.len(), "as of {as_of} after {from:?}: there is more");
    }
}

async fn check(size: Size, seed: u64) {
    let mut dice = Dice(seed | 1);
    let written = written(size, &mut dice).await;
    written.check_histories();
    println!("fold: {} mutations written, histories are right", written.all.len());
    for instant in 0..size.instants {
        let moment = written.moment(&mut dice);
        written.check_state_and_diff(&mut dice, moment);
        written.check_list(&mut dice, moment, instant % 100 == 0);
        if instant % 100 == 99 {
            println!("fold: {} instants are right", instant + 1);
        }
    }
    // The states say which mutation made them.
    let last = written.by_name.iter().flatten().filter(|mutation| mutation.after.is_some()).max_by_key(|it| it.ulid);
    let last = last.expect("something was put");
    assert_eq!(after(last).etag(), Etag(last.ulid));
}

#[test]
fn every_past_state_list_history_and_difference_is_the_fold_of_the_mutations() {
    let size = Size::read();
    let seed = config::seed().unwrap_or_else(rand);
    println!("fold: ANNALS_FOLD_SEED={seed} {size:?}");
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(check(size, seed));
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0_u8)
}
