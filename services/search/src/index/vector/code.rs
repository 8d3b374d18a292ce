//! Owns how a vector is written short: turned at random, then as a sign and as a byte for each number. Never loses the
//! vector itself, which stands beside them.
//!
//! A turn keeps every angle and spreads what a vector is over all of its numbers, so that signs and bytes of any model's
//! vectors tell about as much: one bit a number tells an angle to within some degrees (Charikar 2002; with fast Hadamard
//! turns as in Andoni et al. 2015).

use super::kernels::Simd;

/// Bits of a word of signs.
const WORD: usize = 64;
/// Rounds of a turn.
const ROUNDS: usize = 4;

/// The turn of all vectors of one dimension.
#[derive(Debug)]
pub(crate) struct Coder {
    dimension: usize,
    /// For each round, a sign for each number.
    signs: [Vec<f32>; ROUNDS],
}

/// A vector, short.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Code {
    /// The signs of its numbers, after the turn.
    pub(crate) signs: Vec<u64>,
    /// The numbers after the turn, the largest as 127.
    pub(crate) bytes: Vec<i8>,
    /// What a byte is multiplied with.
    pub(crate) scale: f32,
}

impl Coder {
    /// For vectors of `dimension` numbers.
    pub(crate) fn new(dimension: usize) -> Self {
        let mut state = dimension as u64;
        let signs = [(); ROUNDS].map(|()| {
            let sign = |_| if next(&mut state) & 1 == 0 { 1.0 } else { -1.0 };
            (0..padded(dimension)).map(sign).collect()
        });
        Self { dimension, signs }
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Words of signs of a vector.
    pub(crate) fn words(&self) -> usize {
        padded(self.dimension) / WORD
    }

    /// Bytes of a vector.
    pub(crate) fn bytes(&self) -> usize {
        padded(self.dimension)
    }

    /// A vector of unit length, short.
    pub(crate) fn code(&self, vector: &[f32]) -> Code {
        let turned = self.turn(vector);
        let sign = |word: u64, (at, number): (usize, &f32)| word | u64::from(*number > 0.0) << at;
        let signs = turned.chunks_exact(WORD).map(|word| word.iter().enumerate().fold(0, sign)).collect();
        let largest = turned.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        Code { signs, bytes: turned.iter().map(|number| (number / scale).round() as i8).collect(), scale }
    }

    fn turn(&self, vector: &[f32]) -> Vec<f32> {
        let mut numbers = vector.to_vec();
        numbers.resize(padded(self.dimension), 0.0);
        // The largest power of two: once over the first numbers, once over the last, so that all are mixed.
        let width = 1 << numbers.len().ilog2();
        for (round, signs) in self.signs.iter().enumerate() {
            numbers.iter_mut().zip(signs).for_each(|(number, sign)| *number *= sign);
            let from = if round % 2 == 0 { 0 } else { numbers.len() - width };
            hadamard(&mut numbers[from..from + width]);
        }
        numbers
    }
}

/// A number of numbers that are whole words of signs.
fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(WORD)
}

/// The fast Walsh–Hadamard transform, which keeps the length.
fn hadamard(numbers: &mut [f32]) {
    let mut half = 1;
    while half < numbers.len() {
        for pair in numbers.chunks_exact_mut(2 * half) {
            let (ones, others) = pair.split_at_mut(half);
            for (one, other) in ones.iter_mut().zip(others) {
                (*one, *other) = (*one + *other, *one - *other);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (numbers.len() as f32).sqrt();
    for number in numbers {
        *number *= scale;
    }
}

/// `SplitMix64` (Steele et al. 2014): the same turn on every machine and at every start.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// The vector at unit length; none of one that has no direction, or is not made of numbers.
pub(crate) fn normalized(vector: &[f32]) -> Option<Vec<f32>> {
    let length = Simd::detect().dot(vector, vector).sqrt();
    (length.is_finite() && length > f32::MIN_POSITIVE).then(|| vector.iter().map(|number| number / length).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_turn_keeps_lengths_and_angles(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..500),
        ) {
            let (one, other): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let coder = Coder::new(one.len());
            let dot = |one: &[f32], other: &[f32]| Simd::Portable.dot(one, other);
            let (before, after) = (dot(&one, &other), dot(&coder.turn(&one), &coder.turn(&other)));
            prop_assert!((before - after).abs() < 1e-3, "{} {}", before, after);
        }

        #[test]
        fn bytes_tell_a_product_to_a_hundredth(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 64..500),
        ) {
            let (one, other): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let (Some(one), Some(other)) = (normalized(&one), normalized(&other)) else { return Ok(()) };
            let coder = Coder::new(one.len());
            let (a, b) = (coder.code(&one), coder.code(&other));
            let told = Simd::Portable.dot_bytes(&a.bytes, &b.bytes) as f32 * a.scale * b.scale;
            prop_assert!((told - Simd::Portable.dot(&one, &other)).abs() < 1e-2);
        }
    }

    #[test]
    fn what_has_no_direction_has_no_unit_length() {
        assert_eq!(normalized(&[0.0, 0.0]), None);
        assert_eq!(normalized(&[f32::NAN, 1.0]), None);
        assert_eq!(normalized(&[f32::INFINITY, 1.0]), None);
        assert_eq!(normalized(&[3.0, 4.0]), Some(vec![0.6, 0.8]));
    }
}
