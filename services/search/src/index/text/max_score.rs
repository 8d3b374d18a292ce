//! Owns the documents of one file that have a part of a plan, in order, each with what its parts give it; those that cannot reach a threshold
//! are not looked at (`MaxScore`: Turtle and Flood, 1995). Never knows which are wanted.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use tantivy::{DocId, TERMINATED};

use super::postings::Postings;

/// So much may a sum be off that is not made in the order of the plan: hundreds of parts, each off by 2⁻²⁴ of it.
const INEXACT: f32 = 1.0001;

/// The postings of a file.
pub(super) struct MaxScore {
    /// By what they can give, the least first.
    postings: Vec<Postings>,
    /// What the postings up to each, and it, can give together.
    bounds: Vec<f32>,
    /// Postings before this one are only asked for documents that others have: they reach the threshold neither alone nor together.
    essential: usize,
    /// Where the essential ones are.
    next: BinaryHeap<Reverse<(DocId, usize)>>,
    /// What each part of the plan gives to one document.
    scores: Vec<f32>,
}

impl MaxScore {
    /// `parts`: how many the plan has.
    pub(super) fn new(mut postings: Vec<Postings>, parts: usize) -> Self {
        postings.sort_unstable_by(|one, other| one.max_score.total_cmp(&other.max_score));
        let mut bounds = Vec::with_capacity(postings.len());
        for postings in &postings {
            bounds.push(bounds.last().unwrap_or(&0.0) + postings.max_score);
        }
        let next = postings.iter().enumerate().map(|(place, postings)| Reverse((postings.document(), place))).collect();
        Self { postings, bounds, essential: 0, next, scores: vec![0.0; parts] }
    }

    /// The next document that may reach `threshold`, which never sinks. It stays until it is passed over or scored.
    pub(super) fn next(&mut self, threshold: f32) -> Option<DocId> {
        while self.bounds.get(self.essential).is_some_and(|bound| bound * INEXACT < threshold) {
            self.essential += 1;
        }
        while let Some(top) = self.next.peek_mut() {
            let Reverse((document, place)) = *top;
            if place >= self.essential {
                return (document != TERMINATED).then_some(document);
            }
            PeekMut::pop(top);
        }
        None
    }

    /// Goes from `document`, which is the next, to the first that is not before `target`.
    pub(super) fn pass_over(&mut self, document: DocId, target: DocId) {
        while let Some(mut top) = self.next.peek_mut()
            && top.0.0 < target
        {
            let Reverse((at, place)) = *top;
            let postings = &mut self.postings[place];
            if at == document && target == document + 1 {
                postings.advance();
            } else {
                postings.seek(target);
            }
            *top = Reverse((postings.document(), place));
        }
    }

    /// What each part gives to `document`, which is the next, in the order of the plan, 0 where it lacks one; none if it does not reach
    /// `threshold`. Goes on behind it.
    pub(super) fn score(&mut self, document: DocId, threshold: f32) -> Option<&[f32]> {
        self.scores.fill(0.0);
        let mut sum = 0.0;
        while let Some(mut top) = self.next.peek_mut()
            && top.0.0 == document
        {
            let Reverse((_, place)) = *top;
            let postings = &mut self.postings[place];
            let score = postings.score();
            self.scores[postings.part] = score;
            sum += score;
            postings.advance();
            *top = Reverse((postings.document(), place));
        }
        for place in (0..self.essential).rev() {
            if (sum + self.bounds[place]) * INEXACT < threshold {
                return None;
            }
            let postings = &mut self.postings[place];
            if let Some(score) = postings.score_of(document) {
                self.scores[postings.part] = score;
                sum += score;
            }
        }
        Some(&self.scores)
    }
}
