//! Owns how two rankings become one. Never looks for anything.

use std::collections::HashMap;

use domain::Key;

use crate::index::Found;

/// What the scores of two rankings are shares of.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(crate) struct Best {
    pub(crate) words: f32,
    pub(crate) cosine: f32,
}

/// One ranking of two, the best first: each thing's score in words, as a share of the best one's, and its cosine, as a share
/// of the best one's (`but` is not looked at for that); words count `weight` of one, vectors the rest. What is in one only
/// has nothing in words, or the cosine that `cosines` tells.
///
/// Scores of one ranking cannot be added to those of another as they are: BM25 has no upper end. Ranks alone forget how
/// much better the first is than the second.
pub(crate) fn combine(
    lexical: &[Found],
    semantic: &[Found],
    but: Option<&Key>,
    weight: f32,
    cosines: impl FnOnce(&[&Key]) -> Vec<Option<f32>>,
) -> (Vec<Found>, Best) {
    let known: HashMap<&Key, f32> = semantic.iter().map(|found| (&found.key, found.score)).collect();
    let unknown: Vec<&Key> = lexical.iter().map(|found| &found.key).filter(|key| !known.contains_key(key)).collect();
    let cosine_of: HashMap<&Key, f32> =
        unknown.iter().copied().zip(cosines(&unknown)).filter_map(|(key, cosine)| Some((key, cosine?))).collect();
    // Without the thing that the others are to be like: it is the best by far, and no hit.
    let counts = |found: &&Found| but.is_none_or(|but| (&but.ns, &but.id) != (&found.key.ns, &found.key.id));
    let most = |found: &[Found]| found.iter().filter(counts).map(|found| found.score).fold(f32::MIN_POSITIVE, f32::max);
    let best = Best { words: most(lexical), cosine: most(semantic) };
    let score = |words: f32, cosine: f32| weight * words / best.words + (1.0 - weight) * cosine.max(0.0) / best.cosine;
    let words: HashMap<&Key, f32> = lexical.iter().map(|found| (&found.key, found.score)).collect();
    let in_words = lexical.iter().map(|Found { key, score: words }| {
        let cosine = known.get(key).or_else(|| cosine_of.get(key)).copied().unwrap_or(0.0);
        Found { key: key.clone(), score: score(*words, cosine) }
    });
    let in_vectors_only = semantic.iter().filter(|found| !words.contains_key(&found.key));
    let in_vectors_only =
        in_vectors_only.map(|Found { key, score: cosine }| Found { key: key.clone(), score: score(0.0, *cosine) });
    let mut both: Vec<Found> = in_words.chain(in_vectors_only).collect();
    both.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| one.key.cmp(&other.key)));
    (both, best)
}

#[cfg(test)]
mod tests {
    use domain::{Id, Variant};

    use super::*;

    fn found(id: &str, score: f32) -> Found {
        let key = Key { ns: "n".parse().unwrap(), id: Id::from_canonical(id).unwrap(), variant: Variant::canonical() };
        Found { key, score }
    }

    #[test]
    fn what_is_good_in_both_is_before_what_is_best_in_one() {
        let lexical = vec![found("words", 10.0), found("both", 9.0), found("far", 5.0)];
        let semantic = [found("vector", 0.5), found("both", 0.45)];
        let cosines = |keys: &[&Key]| keys.iter().map(|key| (key.id.as_str() == "far").then_some(-0.2)).collect();
        let (both, _) = combine(&lexical, &semantic, None, 0.7, cosines);
        let ids: Vec<_> = both.iter().map(|found| found.key.id.as_str().to_owned()).collect();
        assert_eq!(ids, ["both", "words", "far", "vector"]);
    }

    #[test]
    fn what_others_are_to_be_like_makes_none_of_them_less() {
        let (like, one) = (found("like", 40.0), found("one", 10.0));
        let semantic = [found("like", 1.0), found("one", 0.5)];
        let (both, best) = combine(&[like.clone(), one.clone()], &semantic, Some(&like.key), 0.7, |_| vec![]);
        let score = both.iter().find(|found| found.key == one.key).map(|found| found.score);
        assert_eq!(score, Some(1.0));
        assert_eq!(best, Best { words: 10.0, cosine: 0.5 });
    }

    #[test]
    fn nothing_and_nothing_is_nothing() {
        assert_eq!(combine(&[], &[], None, 0.7, |_| vec![]).0, []);
    }
}
