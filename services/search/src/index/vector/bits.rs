//! Owns a set of rows of a segment. Never knows what they are.

use std::ops::Range;

/// A set of rows, by number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// None of `rows` rows.
    pub(crate) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(64)])
    }

    /// All of `rows` rows.
    pub(crate) fn all(rows: usize) -> Self {
        let mut bits = Self::none(rows);
        bits.insert_all(0..rows);
        bits
    }

    pub(crate) fn insert_all(&mut self, rows: Range<usize>) {
        for at in rows.start / 64..rows.end.div_ceil(64) {
            self.0[at] |= word_of(&rows, at);
        }
    }

    pub(crate) fn insert(&mut self, row: usize) {
        self.0[row / 64] |= 1 << (row % 64);
    }

    pub(crate) fn remove(&mut self, row: usize) {
        self.0[row / 64] &= !(1 << (row % 64));
    }

    pub(crate) fn has(&self, row: usize) -> bool {
        self.0[row / 64] & 1 << (row % 64) != 0
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// From the first row to the last one.
    pub(crate) fn span(&self) -> Range<usize> {
        let Some(first) = self.0.iter().position(|word| *word != 0) else { return 0..0 };
        let last = self.0.iter().rposition(|word| *word != 0).unwrap_or(first);
        let start = first * 64 + self.0[first].trailing_zeros() as usize;
        start..last * 64 + (u64::BITS - self.0[last].leading_zeros()) as usize
    }

    /// Adds the rows of a range that `other` has and that are `kept`.
    pub(crate) fn insert_from(&mut self, other: &Self, rows: &Range<usize>, mut kept: impl FnMut(usize) -> bool) {
        for at in rows.start / 64..rows.end.div_ceil(64) {
            let mut word = other.0[at] & word_of(rows, at);
            let mut left = word;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                if !kept(at * 64 + bit as usize) {
                    word &= !(1 << bit);
                }
            }
            self.0[at] |= word;
        }
    }

    /// Adds the rows of a range that `other` has.
    pub(crate) fn insert_range_from(&mut self, other: &Self, rows: &Range<usize>) {
        for at in rows.start / 64..rows.end.div_ceil(64) {
            self.0[at] |= other.0[at] & word_of(rows, at);
        }
    }

    /// The rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

/// Of the word at `at`, the bits of rows.
fn word_of(rows: &Range<usize>, at: usize) -> u64 {
    let bits = |end: usize| match end.saturating_sub(at * 64) {
        64.. => u64::MAX,
        bits => (1 << bits) - 1,
    };
    bits(rows.end) & !bits(rows.start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_has_what_was_put_into_it(from in 0_usize..300, length in 0_usize..300, gone in 0_usize..300) {
            let mut bits = Bits::none(600);
            bits.insert_all(from..from + length);
            bits.remove(gone);
            let expected: Vec<_> = (from..from + length).filter(|row| *row != gone).collect();
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(bits.count(), expected.len());
            prop_assert!(expected.iter().all(|row| bits.has(*row)));
            let span = expected.first().map_or(0..0, |first| *first..expected[expected.len() - 1] + 1);
            prop_assert_eq!(bits.span(), span);
            let mut even = Bits::none(600);
            even.insert_from(&bits, &(10..200), |row| row % 2 == 0);
            let expected: Vec<_> = expected.into_iter().filter(|row| (10..200).contains(row) && row % 2 == 0).collect();
            prop_assert_eq!(even.iter().collect::<Vec<_>>(), expected);
        }
    }
}
