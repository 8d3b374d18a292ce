//! Owns rankings that may be asked for again: by the same question while nothing has changed, or for what is behind the hits that
//! were told. Never says what a thing is: hits are read again from things each time.

use std::{sync::Arc, time::Duration};

use domain::Clock;
use moka::{policy::EvictionPolicy, sync::Cache};
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
    pub(crate) found: Vec<Found>,
    /// There is no more.
    pub(crate) is_whole: bool,
    pub(crate) best: Best,
    pub(crate) facets: Vec<Counted>,
}

/// Who asks what, but for the page. For others things are other ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) caller: Caller,
    /// All that makes the answer.
    pub(crate) text: Vec<u8>,
}

/// Where a page begins: behind so many hits of a ranking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    id: Id,
    pub(crate) told: usize,
}

/// The rankings that are kept.
pub(crate) struct Rankings {
    kept: Cache<Id, Arc<Kept>>,
    clock: Clock,
}

type Id = [u8; 16];

struct Kept {
    question: Question,
    ranking: Ranking,
}

impl Rankings {
    pub(crate) fn new(clock: Clock) -> Self {
        let bytes = |_: &Id, Kept { question, ranking }: &Kept| {
            let facets: usize = ranking.facets.iter().map(|counted| counted.values.len()).sum();
            let bytes = EMPTY_BYTES + question.text.len() + FOUND_BYTES * (ranking.found.len() + facets);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(move |id, kept: &Arc<Kept>| bytes(id, kept))
            // The newest is always taken: its next page is asked for first.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        Self { kept, clock }
    }

    /// What the same question has found while the indexes had these versions.
    pub(crate) fn answer(&self, question: &Question, versions: [u64; 2]) -> Option<Ranking> {
        self.of(question.id(versions), question)
    }

    /// Keeps it for the same question. `versions`: before the indexes were looked at, so that it is at least as new.
    pub(crate) fn keep_answer(&self, question: &Question, versions: [u64; 2], ranking: Ranking) {
        self.kept.insert(question.id(versions), Arc::new(Kept { question: question.clone(), ranking }));
    }

    /// What was told from before a page.
    pub(crate) fn page(&self, page: Page, question: &Question) -> Option<Ranking> {
        self.of(page.id, question)
    }

    /// Keeps it for the page behind the hits that are told. Whatever else is asked or written, the page says nothing of it.
    pub(crate) fn keep_page(&self, question: &Question, ranking: Ranking, told: usize) -> Page {
        let id = self.clock.ulid().0.to_be_bytes();
        self.kept.insert(id, Arc::new(Kept { question: question.clone(), ranking }));
        Page { id, told }
    }

    fn of(&self, id: Id, question: &Question) -> Option<Ranking> {
        // Somebody may make up a page.
        self.kept.get(&id).filter(|kept| kept.question == *question).map(|kept| kept.ranking.clone())
    }
}

impl Question {
    fn id(&self, versions: [u64; 2]) -> Id {
        let mut digest = Sha256::new_with_prefix(format!("{:?}\0", self.caller));
        for version in versions {
            digest.update(version.to_le_bytes());
        }
        *digest.chain_update(&self.text).finalize().first_chunk().expect("SHA-256 has 32 bytes")
    }
}

impl Page {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { id, told } = self;
        [&id[..], &(told as u32).to_le_bytes()].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, told) = bytes.split_first_chunk()?;
        Some(Self { id: *id, told: u32::from_le_bytes(told.try_into().ok()?) as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> Question {
        Question { caller: Caller::local(), text: text.into() }
    }

    #[test]
    fn a_ranking_is_for_its_own_question_only() {
        let rankings = Rankings::new(Clock::system());
        let ranking =
            Ranking { found: Vec::new(), is_whole: true, best: Best::default(), facets: vec![Counted::default()] };
        let (one, other) = (question("one"), question("other"));
        let page = rankings.keep_page(&one, ranking.clone(), 7);
        rankings.keep_answer(&one, [1, 2], ranking);
        let anonymous = Question { caller: Caller::anonymous("default".parse().unwrap()), ..question("one") };
        for foreign in [&other, &anonymous] {
            assert!(rankings.page(page, foreign).is_none() && rankings.answer(foreign, [1, 2]).is_none());
        }
        assert!(rankings.page(page, &one).is_some() && rankings.answer(&one, [1, 2]).is_some());
        assert!(rankings.answer(&one, [1, 3]).is_none());
        assert_eq!(Page::from_bytes(&page.to_bytes()), Some(page));
        assert_eq!(Page::from_bytes(b"short"), None);
    }
}
