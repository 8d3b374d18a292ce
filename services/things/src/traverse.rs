//! Walking relationships from a thing.
//!
//! Owns the order of a walk, what it has seen, and when it ends. Never reads the store: that says where a thing leads.

use std::collections::HashSet;

use domain::{Name, Reference, TypeName};
use futures::Stream;
use serve::deadline::Deadline;
use serve::{Caller, Refusal};

use crate::store::Direction;
use crate::summary::Summary;
use crate::{Things, stream};

/// The most relationships on the way to a thing.
pub(crate) const MAX_DEPTH: u32 = 6;
/// The most things that one walk reaches: their names are in memory.
pub(crate) const MAX_THINGS: usize = 10_000;
/// The most types of relationships that one walk follows.
pub(crate) const MAX_TYPES: usize = 16;
/// Things of one part of the answer.
const PART: usize = 100;

/// Where to walk.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Traversal {
    pub(crate) thing: Reference,
    pub(crate) direction: Direction,
    /// Of relationships; none: all.
    pub(crate) types: Vec<TypeName>,
    pub(crate) max_depth: u32,
    pub(crate) max_things: usize,
}

/// A thing that was reached, and the last step there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reached {
    pub(crate) thing: Summary,
    pub(crate) depth: u32,
    pub(crate) step: Step,
}

/// The way along one relationship.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// Where it begins.
    pub(crate) via: Name,
    pub(crate) relationship: Name,
    pub(crate) relationship_type: TypeName,
    /// Which end of the relationship `via` is.
    pub(crate) direction: Direction,
    /// Where it ends.
    pub(crate) to: Name,
}

/// Some of what is reached.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Part {
    pub(crate) things: Vec<Reached>,
    /// Whether there is more, which the walk does not reach.
    pub(crate) is_truncated: bool,
}

impl Things {
    /// What is reached from a thing. `NOT_FOUND` if the caller may not see it.
    pub(crate) async fn traverse(
        &self,
        caller: &Caller,
        traversal: Traversal,
        deadline: Deadline,
    ) -> Result<impl Stream<Item = Result<Part, Refusal>> + Send + use<>, Refusal> {
        let (relationships, caller) = (self.store.relationships.clone(), caller.clone());
        stream::parts(Some(deadline), |sink| async move { relationships.traverse(&caller, traversal, sink).await })
            .await
    }
}

/// A walk under way: breadth first, each thing once.
pub(crate) struct Walk {
    max_depth: u32,
    /// Things that may still be reached.
    left: usize,
    /// Of the things that are ahead.
    depth: u32,
    /// Things of this depth whose relationships were not asked for, the next one last.
    ahead: Vec<Name>,
    /// Things of the next depth, in their order.
    reached: Vec<Name>,
    seen: HashSet<Name>,
    /// The steps to things that were not told yet, with the depth there.
    untold: Vec<(u32, Step)>,
    is_truncated: bool,
}

impl Walk {
    /// From a thing.
    pub(crate) fn new(from: Name, traversal: &Traversal) -> Self {
        Self {
            max_depth: traversal.max_depth,
            left: traversal.max_things,
            depth: 0,
            ahead: vec![from.clone()],
            reached: Vec::new(),
            seen: HashSet::from([from]),
            untold: Vec::new(),
            is_truncated: false,
        }
    }

    /// The things to go on from, in their order, all of one depth, at most `most`; none where the walk has ended.
    pub(crate) fn next(&mut self, most: usize) -> Vec<Name> {
        if self.is_truncated {
            return Vec::new();
        }
        if self.ahead.is_empty() && self.depth + 1 < self.max_depth {
            self.depth += 1;
            self.ahead = std::mem::take(&mut self.reached);
            self.ahead.reverse();
        }
        let first = self.ahead.len() - most.min(self.ahead.len());
        let mut next = self.ahead.split_off(first);
        next.reverse();
        next
    }

    /// Takes a step that the caller may see; whether the walk goes on.
    pub(crate) fn takes(&mut self, step: Step) -> bool {
        if self.has_seen(&step.to) {
            return true;
        }
        if self.left == 0 {
            self.is_truncated = true;
            return false;
        }
        self.left -= 1;
        self.seen.insert(step.to.clone());
        if self.depth + 1 < self.max_depth {
            self.reached.push(step.to.clone());
        }
        self.untold.push((self.depth + 1, step));
        true
    }

    /// Whether it has come to a thing before.
    pub(crate) fn has_seen(&self, thing: &Name) -> bool {
        self.seen.contains(thing)
    }

    /// Whether enough is untold to be told.
    pub(crate) fn has_part(&self) -> bool {
        self.untold.len() >= PART
    }

    /// Whether something is untold at the end.
    pub(crate) fn has_last_part(&self) -> bool {
        !self.untold.is_empty() || self.is_truncated
    }

    /// The steps that were not told yet, each with the depth that it leads to, and whether there is more to reach than the walk may.
    pub(crate) fn part(&mut self) -> (Vec<(u32, Step)>, bool) {
        (std::mem::take(&mut self.untold), self.is_truncated)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: usize) -> Name {
        let Reference::Parts { ns, id, .. } = crate::store::conformance::bed::name(&format!("n:{number:02}")) else {
            unreachable!("it is a key")
        };
        Name { ns, id: domain::Id::from_canonical(&id).unwrap() }
    }

    /// What a walk over these edges reaches, with its depth, asking for `most` things at once.
    fn walked(edges: &[(usize, usize)], max_depth: u32, max_things: usize, most: usize) -> (Vec<(String, u32)>, bool) {
        let (thing, direction) = (Reference::Path("n/00".parse().unwrap()), Direction::Outgoing);
        let traversal = Traversal { thing, direction, types: Vec::new(), max_depth, max_things };
        let mut walk = Walk::new(name(0), &traversal);
        'walk: loop {
            let next = walk.next(most);
            if next.is_empty() {
                break;
            }
            for via in next {
                for (from, to) in edges.iter().filter(|(from, _)| name(*from) == via) {
                    let step = Step {
                        via: via.clone(),
                        relationship: name(from * 10 + to),
                        relationship_type: "leads".parse().unwrap(),
                        direction: Direction::Outgoing,
                        to: name(*to),
                    };
                    if !walk.takes(step) {
                        break 'walk;
                    }
                }
            }
        }
        let (steps, is_truncated) = walk.part();
        (steps.into_iter().map(|(depth, step)| (step.to.id.as_str().to_owned(), depth)).collect(), is_truncated)
    }

    #[test]
    fn a_walk_is_breadth_first_and_comes_to_each_thing_once() {
        let edges = [(0, 2), (0, 1), (1, 3), (2, 3), (3, 0), (3, 4), (4, 5)];
        let told = |names: &[(&str, u32)]| names.iter().map(|(name, depth)| ((*name).to_owned(), *depth)).collect();
        let near: Vec<_> = told(&[("02", 1), ("01", 1), ("03", 2)]);
        assert_eq!(walked(&edges, 2, 100, 1), (near, false));
        let far: Vec<_> = told(&[("02", 1), ("01", 1), ("03", 2), ("04", 3), ("05", 4)]);
        assert_eq!(walked(&edges, 6, 100, 9), (far, false));
    }

    #[test]
    fn a_walk_that_is_full_says_whether_there_is_more() {
        let (_, is_truncated) = walked(&[(0, 1), (1, 2), (2, 1)], 6, 2, 1);
        assert!(!is_truncated);
        let (told, is_truncated) = walked(&[(0, 1), (1, 2), (2, 1)], 6, 1, 1);
        assert_eq!((told.len(), is_truncated), (1, true));
    }

    proptest! {
        #[test]
        fn each_thing_comes_at_its_least_distance(
            edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..40),
            max_depth in 1..=MAX_DEPTH,
            most in 1..4_usize,
        ) {
            let mut distances = BTreeMap::from([(0, 0)]);
            for depth in 1..=max_depth {
                for (from, to) in &edges {
                    if distances.get(from) == Some(&(depth - 1)) {
                        distances.entry(*to).or_insert(depth);
                    }
                }
            }
            distances.remove(&0);
            let (told, is_truncated) = walked(&edges, max_depth, 100, most);
            prop_assert!(!is_truncated && told.is_sorted_by_key(|(_, depth)| *depth));
            let told: BTreeMap<usize, u32> = told.into_iter().map(|(id, depth)| (id.parse().unwrap(), depth)).collect();
            prop_assert_eq!(told, distances);
        }
    }
}
