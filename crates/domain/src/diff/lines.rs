//! Owns which lines of two texts differ: the shortest script of Myers ("An O(ND) Difference Algorithm", 1986), as long as
//! that is cheap. Never knows what a text is.

use std::{collections::HashMap, ops::Range};

/// Lines that differ in one script; more are told as one hunk. What is kept of the search is the square of it.
const MAX_EDITS: i32 = 1_000;
/// Lines that are compared for one script, so that texts of many equal lines cost no more than others.
const MAX_STEPS: usize = 4_000_000;

/// Lines that were replaced by others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hunk {
    /// The first line taken out, from 1; if none was, the one in front of which something was put in.
    pub before_line: usize,
    /// The first line put in, from 1; if none was, the one in front of which something was taken out.
    pub after_line: usize,
    /// The lines taken out, each with its end.
    pub removed: String,
    /// The lines put in, each with its end.
    pub added: String,
}

/// Places of lines before, and of those that take their place.
type Edit = (Range<usize>, Range<usize>);

/// What makes `after` of `before`.
pub(super) fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let prefix = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
    let suffix = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old_rest[..old_rest.len() - suffix], &new_rest[..new_rest.len() - suffix]);

    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number = |line| {
        let next = numbers.len() as u32;
        *numbers.entry(line).or_insert(next)
    };
    let old_numbers: Vec<_> = old_rest.iter().map(|line| number(*line)).collect();
    let new_numbers: Vec<_> = new_rest.iter().map(|line| number(*line)).collect();
    let whole = || vec![(0..old_rest.len(), 0..new_rest.len())];
    let script = script(&old_numbers, &new_numbers).unwrap_or_else(whole);
    let hunk = |(gone, new): Edit| Hunk {
        before_line: prefix + gone.start + 1,
        after_line: prefix + new.start + 1,
        removed: old_rest[gone].concat(),
        added: new_rest[new].concat(),
    };
    script.into_iter().map(hunk).collect()
}

/// Which places of `old` become which of `new`; nothing where that takes too long to say.
fn script(old: &[u32], new: &[u32]) -> Option<Vec<Edit>> {
    let (width, height) = (old.len() as i32, new.len() as i32);
    // The furthest place of `old` on each diagonal, and those of all rounds before.
    let mut furthest = vec![0_i32; 2 * MAX_EDITS as usize + 3];
    let place = |diagonal: i32| (diagonal + MAX_EDITS + 1) as usize;
    let (mut rounds, mut steps): (Vec<Vec<i32>>, _) = (Vec::new(), 0);
    for edits in 0..=MAX_EDITS {
        for diagonal in (-edits..=edits).step_by(2) {
            let mut x = match previous(edits, diagonal, |diagonal| furthest[place(diagonal)]) {
                above if above > diagonal => furthest[place(above)],
                below => furthest[place(below)] + 1,
            };
            let mut y = x - diagonal;
            while x < width && y < height && old[x as usize] == new[y as usize] {
                (x, y) = (x + 1, y + 1);
                steps += 1;
            }
            furthest[place(diagonal)] = x;
            if x >= width && y >= height {
                return Some(ranges(&rounds, edits, width, height));
            }
        }
        steps += edits as usize;
        if steps > MAX_STEPS {
            return None;
        }
        rounds.push(furthest[place(-edits)..=place(edits)].to_vec());
    }
    None
}

/// From which diagonal of the round before the furthest path comes: the one above puts a line in, the one below takes
/// one out.
fn previous(edits: i32, diagonal: i32, furthest: impl Fn(i32) -> i32) -> i32 {
    let is_put_in = diagonal == -edits || diagonal != edits && furthest(diagonal - 1) < furthest(diagonal + 1);
    if is_put_in { diagonal + 1 } else { diagonal - 1 }
}

/// The script that led to the end after `edits` rounds.
fn ranges(rounds: &[Vec<i32>], edits: i32, width: i32, height: i32) -> Vec<Edit> {
    let (mut ranges, mut x, mut y): (Vec<Edit>, _, _) = (Vec::new(), width, height);
    for edits in (1..=edits).rev() {
        let round = &rounds[edits as usize - 1];
        let furthest = |diagonal: i32| round[(diagonal + edits - 1) as usize];
        let from = previous(edits, x - y, furthest);
        let (old, new) = (furthest(from), furthest(from) - from);
        let is_put_in = from > x - y;
        let edit =
            (old as usize..old as usize + usize::from(!is_put_in), new as usize..new as usize + usize::from(is_put_in));
        match ranges.last_mut() {
            Some((gone, put)) if gone.start == edit.0.end && put.start == edit.1.end => {
                (gone.start, put.start) = (edit.0.start, edit.1.start);
            }
            _ => ranges.push(edit),
        }
        (x, y) = (old, new);
    }
    ranges.reverse();
    ranges
}
