//! Owns `hash-v1`, which needs no model: it hashes words and parts of words. What it finds has words in common with what is
//! looked for, in whatever form; of meaning it knows nothing.

use crate::{
    document::{Field, Texts},
    index::Analyzer,
};

/// Numbers of a vector of `hash-v1`.
pub(super) const DIMENSION: usize = 768;
/// Letters of the parts of a word, of which each has all that there are.
const PART: usize = 3;
/// How much the parts of a word count together, where the word counts one.
const PARTS_WEIGHT: f32 = 1.0;
/// Words that say nothing about what a text is about.
const EMPTY: [&str; 32] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into", "is", "it", "its",
    "not", "of", "on", "or", "such", "that", "the", "their", "they", "this", "to", "using", "was", "which", "with",
];

/// The vector of a thing: its fields, each by its weight, however long they are. Zero where it has no words.
pub(super) fn of_thing(texts: &Texts) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSION];
    for (field, text) in Field::ALL.into_iter().zip(texts) {
        let vector = of_text(text);
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().zip(&vector).for_each(|(sum, number)| *sum += field.weight() * number / length);
        }
    }
    sum
}

/// The vector of a text. Zero where it has no words.
pub(super) fn of_text(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    if text.is_empty() {
        return vector;
    }
    let mut analyzer = Analyzer::new();
    let mut counts = std::collections::BTreeMap::<String, f32>::new();
    for word in analyzer.folded(text).into_iter().filter(|word| !EMPTY.contains(&word.as_str())) {
        *counts.entry(word).or_default() += 1.0;
    }
    for (word, count) in counts {
        // The tenth time says less than the first.
        let weight = 1.0 + count.ln();
        for stem in analyzer.terms(&word) {
            add(&mut vector, &[b"w", stem.as_bytes()].concat(), weight);
        }
        let letters: Vec<char> = format!("^{word}$").chars().collect();
        let parts = letters.windows(PART);
        let each = weight * PARTS_WEIGHT / (parts.len().max(1) as f32).sqrt();
        for part in parts {
            add(&mut vector, &[b"p", part.iter().collect::<String>().as_bytes()].concat(), each);
        }
    }
    vector
}

/// Adds a feature at the place and with the sign that its hash says (Weinberger et al. 2009).
fn add(vector: &mut [f32], feature: &[u8], weight: f32) {
    let hash = hash(feature);
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    vector[(hash % DIMENSION as u64) as usize] += sign;
}

/// FNV-1a, mixed as `SplitMix64` ends: the same for ever, since vectors that are stored are made of it.
fn hash(feature: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    let mut word = feature.iter().fold(0xCBF2_9CE4_8422_2325, fnv);
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &str, other: &str) -> f32 {
        let [one, other] = [one, other].map(of_text);
        let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f32>();
        dot(&one, &other) / (dot(&one, &one) * dot(&other, &other)).sqrt()
    }

    #[test]
    fn texts_with_words_or_parts_of_words_in_common_are_near() {
        assert!((cosine("software developers", "the developer of software") - 1.0).abs() < 0.2);
        assert!(cosine("programmer", "programming") > 0.3);
        assert!(cosine("programmer", "gardener") < 0.4);
        assert!(cosine("programmer", "quay").abs() < 0.2);
    }

    #[test]
    fn a_vector_is_the_same_for_ever() {
        let vector = of_text("a lighthouse keeper");
        let places: Vec<_> = (0..DIMENSION).filter(|at| vector[*at] != 0.0).collect();
        let sum =
            vector.iter().fold(0, |sum: u64, number| sum.wrapping_mul(31).wrapping_add(u64::from(number.to_bits())));
        assert_eq!((places.len(), sum), (18, 5_549_736_955_260_557_622));
    }

    #[test]
    fn what_has_no_words_is_zero() {
        assert_eq!(of_text("– of the …"), vec![0.0; DIMENSION]);
    }
}
