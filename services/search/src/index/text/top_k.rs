//! Owns the best of what matches on the disk. A score is the sum in the order of the plan, so that it never depends on what else is there
//! or how many are wanted.

use std::{cmp::Reverse, collections::BinaryHeap};

use tantivy::{DocAddress, DocId, DocSet as _, SegmentOrdinal, query::Scorer};

use super::{
    max_score::MaxScore,
    plan::{Needs, Plan},
    postings::Postings,
};

/// Of what is equally good as the last that is wanted so much is put in order; of more, some comes first.
const MOST_TIED: usize = 2_000;

/// The best so far, of all files.
pub(super) struct TopK {
    limit: usize,
    /// The scores of the best `limit`; of numbers that are not negative, bits are in their order.
    scores: BinaryHeap<Reverse<u32>>,
    found: Vec<(f32, DocAddress)>,
}

/// The documents of a file that are looked at.
pub(super) struct Candidates<'a, S> {
    pub(super) file: SegmentOrdinal,
    pub(super) postings: Vec<Postings>,
    /// What fulfils the conditions; none is everything.
    pub(super) among: Option<Box<dyn Scorer>>,
    pub(super) is_shown: S,
    pub(super) plan: &'a Plan<'a>,
}

impl TopK {
    /// Of nothing yet. `limit`: at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, scores: BinaryHeap::new(), found: Vec::new() }
    }

    /// The best, and all that is as good as the last of them, in no order.
    pub(super) fn found(mut self) -> Vec<(f32, DocAddress)> {
        let threshold = self.threshold();
        self.found.retain(|(score, _)| *score >= threshold);
        self.found
    }

    /// Looks at a file.
    pub(super) fn collect(&mut self, candidates: Candidates<'_, impl Fn(DocId) -> bool>) {
        let Candidates { file, postings, mut among, is_shown, plan } = candidates;
        let mut documents = MaxScore::new(postings, plan.parts().count());
        while let Some(document) = documents.next(self.threshold()) {
            let wanted = among
                .as_mut()
                .map_or(document, |among| if among.doc() < document { among.seek(document) } else { among.doc() });
            if wanted > document || !is_shown(document) {
                documents.pass_over(document, wanted.max(document + 1));
            } else if let Some(scores) = documents.score(document, self.threshold())
                && has_needed(plan, scores)
            {
                self.offer(scores.iter().sum(), DocAddress::new(file, document));
            }
        }
    }

    /// What is below it is not among the best.
    fn threshold(&self) -> f32 {
        let last = self.scores.peek().filter(|_| self.scores.len() == self.limit);
        last.map_or(0.0, |Reverse(bits)| f32::from_bits(*bits))
    }

    fn offer(&mut self, score: f32, address: DocAddress) {
        if score < self.threshold() {
            return;
        }
        if self.scores.len() < self.limit {
            self.scores.push(Reverse(score.to_bits()));
        } else if let Some(mut last) = self.scores.peek_mut()
            && score.to_bits() > last.0
        {
            *last = Reverse(score.to_bits());
        }
        self.found.push((score, address));
        if self.found.len() >= 2 * (self.limit + MOST_TIED) {
            let (threshold, mut tied) = (self.threshold(), 0);
            self.found.retain(|(score, _)| {
                let (is_better, is_below) = (*score > threshold, *score < threshold);
                tied += usize::from(!is_better && !is_below);
                is_better || !is_below && tied <= MOST_TIED
            });
        }
    }
}

/// Whether a document with these scores has the clauses that it needs: one has been found by one.
fn has_needed(plan: &Plan<'_>, scores: &[f32]) -> bool {
    let mut scores = scores.iter();
    plan.needs == Needs::Any
        || plan.clauses.iter().all(|parts| scores.by_ref().take(parts.len()).filter(|score| **score > 0.0).count() > 0)
}
