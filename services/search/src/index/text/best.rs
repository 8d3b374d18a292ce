//! Owns the best of what matches on the disk. What cannot be among the best is not looked at, and a score is the sum in the order of
//! the plan, so that it never depends on what else is there or how many are wanted (`MaxScore`: Turtle and Flood, 1995).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::Range,
};

use tantivy::{DocAddress, DocId, SegmentOrdinal, TERMINATED, query::Scorer};

use super::{
    legs::Leg,
    plan::{Needs, Plan},
};

/// Of what is equally good as the last that is wanted so much is put in order; of more, some comes first.
const MOST_TIED: usize = 2_000;
/// So much may a sum be off that is not made in the order of the plan: hundreds of parts, each off by 2⁻²⁴ of it.
const INEXACT: f32 = 1.0001;

/// The best so far, of all files.
pub(super) struct Best {
    limit: usize,
    /// The scores of the best `limit`; of numbers that are not negative, bits are in their order.
    scores: BinaryHeap<Reverse<u32>>,
    found: Vec<(f32, DocAddress)>,
}

/// What of a file is looked at.
pub(super) struct Looked<'a, S> {
    pub(super) file: SegmentOrdinal,
    pub(super) legs: Vec<Leg>,
    /// What fulfils the conditions; none is everything.
    pub(super) among: Option<Box<dyn Scorer>>,
    pub(super) is_shown: S,
    pub(super) plan: &'a Plan<'a>,
}

impl Best {
    /// Of nothing yet. `limit`: at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, scores: BinaryHeap::new(), found: Vec::new() }
    }

    /// The best, and all that is as good as the last of them, in no order.
    pub(super) fn found(mut self) -> Vec<(f32, DocAddress)> {
        let least = self.least();
        self.found.retain(|(score, _)| *score >= least);
        self.found
    }

    /// What is below it is not among the best.
    fn least(&self) -> f32 {
        let least = self.scores.peek().filter(|_| self.scores.len() == self.limit);
        least.map_or(0.0, |Reverse(bits)| f32::from_bits(*bits))
    }

    fn offer(&mut self, score: f32, address: DocAddress) {
        if score < self.least() {
            return;
        }
        if self.scores.len() < self.limit {
            self.scores.push(Reverse(score.to_bits()));
        } else if let Some(mut least) = self.scores.peek_mut()
            && score.to_bits() > least.0
        {
            *least = Reverse(score.to_bits());
        }
        self.found.push((score, address));
        if self.found.len() >= 2 * (self.limit + MOST_TIED) {
            let (least, mut tied) = (self.least(), 0);
            self.found.retain(|(score, _)| {
                let (is_better, is_below) = (*score > least, *score < least);
                tied += usize::from(!is_better && !is_below);
                is_better || !is_below && tied <= MOST_TIED
            });
        }
    }

    /// Looks at a file.
    pub(super) fn look_at(&mut self, looked: Looked<'_, impl Fn(DocId) -> bool>) {
        let Looked { file, mut legs, mut among, is_shown, plan } = looked;
        let clauses = if plan.needs == Needs::AllInNames { clauses(plan) } else { Vec::new() };
        let mut scores = vec![0.0; plan.parts().count()];
        legs.sort_unstable_by(|one, other| one.most.total_cmp(&other.most));
        // What the legs up to each, and it, give together at most.
        let mut bound = 0.0;
        let bound_with = |leg: &Leg| {
            bound += leg.most;
            bound
        };
        let bounds: Vec<f32> = legs.iter().map(bound_with).collect();
        let mut next: BinaryHeap<_> = (0..legs.len()).map(|leg| Reverse((legs[leg].document(), leg))).collect();
        // Legs before this one are only asked for what another has.
        let mut first = 0;
        loop {
            let least = self.least();
            while first < legs.len() && bounds[first] * INEXACT < least {
                first += 1;
            }
            let Some(&Reverse((document, _))) = next.peek() else { return };
            if document == TERMINATED {
                return;
            }
            let wanted = among
                .as_mut()
                .map_or(document, |among| if among.doc() < document { among.seek(document) } else { among.doc() });
            if wanted == TERMINATED {
                return;
            }
            let is_wanted = wanted == document && is_shown(document);
            let (mut sum, mut has_some) = (0.0, false);
            while let Some(mut top) = next.peek_mut()
                && top.0.0 == document
            {
                let leg = top.0.1;
                if leg < first {
                    PeekMut::pop(top);
                    continue;
                }
                if is_wanted {
                    let score = legs[leg].score();
                    scores[legs[leg].part] = score;
                    sum += score;
                    has_some = true;
                }
                if wanted > document {
                    legs[leg].seek(wanted);
                } else {
                    legs[leg].advance();
                }
                *top = Reverse((legs[leg].document(), leg));
            }
            if !has_some {
                continue;
            }
            let mut rest = first;
            while rest > 0 && (sum + bounds[rest - 1]) * INEXACT >= least {
                rest -= 1;
                if let Some(score) = legs[rest].score_of(document) {
                    scores[legs[rest].part] = score;
                    sum += score;
                }
            }
            if rest == 0 && clauses.iter().all(|parts| scores[parts.clone()].iter().any(|score| *score > 0.0)) {
                self.offer(scores.iter().sum(), DocAddress::new(file, document));
            }
            scores.fill(0.0);
        }
    }
}

/// Which parts of a plan are of each clause.
fn clauses(plan: &Plan<'_>) -> Vec<Range<usize>> {
    let mut end = 0;
    let clause = |parts: &Vec<_>| {
        let start = end;
        end += parts.len();
        start..end
    };
    plan.clauses.iter().map(clause).collect()
}
