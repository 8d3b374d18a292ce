//! Owns rankings that may be asked for again: by the same question while nothing has changed, or for what is behind the hits that
//! were told. Never says what a thing is: hits are read again from things each time.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use serve::Caller;
use sha2::{Digest as _, Sha256};

use crate::{
    combine::Best,
    index::{Counted, Found},
};

/// What all rankings take of memory, at most, about.
const MAX_BYTES: u64 = 32 << 20;
/// What one takes that has nothing, and what each thing in it takes, about, in bytes.
const EMPTY_BYTES: usize = 512;
const FOUND_BYTES: usize = 160;
/// One that nobody has asked for so long is forgotten.
const IDLE: Duration = Duration::from_mins(5);

/// What was found for a question, the best first.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    /// Who asked: for others, things are other ones.
    pub(crate) caller: Caller,
    pub(crate) found: Vec<Found>,
    /// There is no more.
    pub(crate) is_whole: bool,
    pub(crate) best: Best,
    pub(crate) facets: Vec<Counted>,
}

/// Which ranking: who asked what, and what the indexes had then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Id([u8; 16]);

/// Where a page begins: behind so many hits of a ranking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) id: Id,
    pub(crate) told: usize,
}

/// The rankings that are kept.
pub(crate) struct Rankings(Cache<Id, Arc<Ranking>>);

impl Rankings {
    pub(crate) fn new() -> Self {
        let bytes = |_: &Id, ranking: &Arc<Ranking>| {
            let facets: usize = ranking.facets.iter().map(|counted| counted.values.len()).sum();
            u32::try_from(EMPTY_BYTES + FOUND_BYTES * (ranking.found.len() + facets)).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(bytes).time_to_idle(IDLE).build())
    }

    /// The ranking of an id, if it is kept and was made for this caller.
    pub(crate) fn get(&self, id: Id, caller: &Caller) -> Option<Ranking> {
        self.0.get(&id).filter(|ranking| ranking.caller == *caller).map(|ranking| Ranking::clone(&ranking))
    }

    pub(crate) fn keep(&self, id: Id, ranking: Ranking) {
        self.0.insert(id, Arc::new(ranking));
    }
}

impl Id {
    /// Of a question, of whatever makes its answer, and the versions of the indexes before they were looked at.
    pub(crate) fn new(caller: &Caller, question: &[u8], versions: [u64; 2]) -> Self {
        let mut digest = Sha256::new();
        digest.update(format!("{caller:?}\0"));
        for version in versions {
            digest.update(version.to_le_bytes());
        }
        digest.update(question);
        Self(*digest.finalize().first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

impl Page {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { id: Id(id), told } = self;
        [&id[..], &(told as u32).to_le_bytes()].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, told) = bytes.split_first_chunk()?;
        Some(Self { id: Id(*id), told: u32::from_le_bytes(told.try_into().ok()?) as usize })
    }
}
