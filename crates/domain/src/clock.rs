//! Owns the time of day and the making of ULIDs. Nothing else in the workspace reads the clock or draws a ULID.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use ulid::Ulid;

use crate::Timestamp;

/// Where time and ULIDs come from. Clones share one state.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    last: Arc<Mutex<Option<Ulid>>>,
}

#[derive(Clone, Debug)]
enum Source {
    /// Wrong by so many milliseconds.
    System(i64),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self::wrong_by(0)
    }

    /// The clock of a machine that is ahead by `millis`; for tests.
    pub fn wrong_by(millis: i64) -> Self {
        Self { source: Source::System(millis), last: Arc::default() }
    }

    /// A clock that stands at `start` until it is advanced; for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self { source: Source::Manual(Arc::new(AtomicI64::new(start.millis()))), last: Arc::default() }
    }

    /// Moves a manual clock by `millis`; a system clock does not move.
    pub fn advance(&self, millis: i64) {
        if let Source::Manual(now) = &self.source {
            now.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let millis = match &self.source {
            Source::System(millis) => system_millis() + millis,
            Source::Manual(now) => now.load(Ordering::SeqCst),
        };
        Timestamp::MIN.plus_millis(millis)
    }

    /// Lets no ULID be from before `time`, which another clock shows that several machines go by. A manual clock goes by
    /// nothing else.
    pub fn not_before(&self, time: Timestamp) {
        let floor = Ulid::from_parts(time.millis() as u64, 0);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.source, Source::System(_)) && last.is_none_or(|last| last < floor) {
            *last = Some(Ulid::from_parts(time.millis() as u64, random_80_bits() >> 1));
        }
    }

    /// A new ULID of now, above every one that this clock has made before.
    pub fn ulid(&self) -> Ulid {
        self.ulid_after(None)
    }

    /// A new ULID of now, above every one that this clock has made before and above `floor`:
    /// the history of a name never runs backwards, whatever the clock does.
    pub fn ulid_after(&self, floor: Option<Ulid>) -> Ulid {
        let now = self.now().millis() as u64;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match *last {
            Some(last) if last.timestamp_ms() >= now => successor(last),
            _ => Ulid::from_parts(now, random_80_bits()),
        };
        *last = Some(next);
        // The floor is one name's; it must not drag the ULIDs of other names along.
        match floor {
            Some(floor) if floor >= next => beyond(floor),
            _ => next,
        }
    }
}

fn successor(ulid: Ulid) -> Ulid {
    step(ulid, 1)
}

/// A ULID soon after `floor` that no other name has: the next one may be another's, because those of one millisecond
/// follow each other. 64 random bits, so that thousands of such steps stay in the floor's millisecond.
fn beyond(floor: Ulid) -> Ulid {
    step(floor, 1 + (random_80_bits() >> 16))
}

fn step(ulid: Ulid, by: u128) -> Ulid {
    Ulid(ulid.0.checked_add(by).expect("the last ULID is drawn in the year 10889"))
}

#[expect(clippy::disallowed_methods, reason = "the one home of the clock")]
fn system_millis() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn random_80_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes[6..]).expect("the operating system gives random bytes");
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::manual("2026-01-31T09:30:00Z".parse().unwrap())
    }

    #[test]
    fn ulids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let clock = clock();
        let mut last = clock.ulid();
        for step in 0..1_000 {
            if step == 500 {
                clock.advance(-60_000);
            }
            let next = clock.ulid();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn a_ulid_is_above_its_floor_and_the_floor_stays_with_its_name() {
        let clock = clock();
        let ahead = Ulid::from_parts(clock.now().plus_millis(3_600_000).millis() as u64, 7);
        let after = clock.ulid_after(Some(ahead));
        assert!(after > ahead && after.timestamp_ms() == ahead.timestamp_ms(), "{after} after {ahead}");
        assert_eq!(Timestamp::of_ulid(clock.ulid()), clock.now());
    }

    #[test]
    fn a_ulid_above_a_floor_is_not_one_that_the_clock_drew_for_another_name() {
        let clock = clock();
        let drawn: Vec<_> = (0..1_000).map(|_| clock.ulid()).collect();
        let restarted = Clock::manual(clock.now().plus_millis(-1_000));
        assert!(!drawn.contains(&restarted.ulid_after(Some(drawn[0]))));
    }

    #[test]
    fn no_ulid_is_from_before_a_time_that_others_go_by() {
        let clock = Clock::wrong_by(-60_000);
        let others = clock.now().plus_millis(60_000);
        assert!(Timestamp::of_ulid(clock.ulid()) < others);
        clock.not_before(others);
        let next = clock.ulid();
        assert_eq!(Timestamp::of_ulid(next), others);
        clock.not_before(others.plus_millis(-1));
        assert!(clock.ulid() > next);
    }

    #[test]
    fn a_ulid_carries_the_time_of_its_clock() {
        let clock = clock();
        clock.advance(1_500);
        assert_eq!(Timestamp::of_ulid(clock.ulid()).to_string(), "2026-01-31T09:30:01.500Z");
    }
}
