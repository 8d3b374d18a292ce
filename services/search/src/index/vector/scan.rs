//! Owns how the nearest rows of a segment are found: of those that pass, the signs of all are compared, the bytes of the
//! best of them, and the vectors of the best of those. Never lets a row pass that a filter does not.

use std::borrow::Cow;

use super::{Nearest, bits::Bits, code::Code, kernels::Simd, segment::Segment};

/// For each row that is wanted, so many are compared by their bytes, and by their vectors. Where no more than twice the first
/// pass, their signs are not looked at.
const BYTES: usize = 24;
const VECTORS: usize = 4;
/// The least that are compared by their bytes, and by their vectors.
const LEAST_BYTES: usize = 384;
/// Of those that pass, one in so many is compared by its bytes at least: the more there are, the more signs differ as little as
/// those of the nearest.
const SHARE_BYTES: usize = 50;
const LEAST_VECTORS: usize = 40;

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Of unit length.
    pub(super) vector: Vec<f32>,
    pub(super) code: Code,
}

/// The rows of `live` that fulfil every condition and may be seen.
pub(super) fn passing(segment: &Segment, live: &Bits, wanted: &Nearest<'_>) -> Bits {
    let Nearest { vector: _, filter, sight, among, limit: _ } = *wanted;
    let types: Option<Vec<bool>> = (!filter.types.is_empty())
        .then(|| segment.types.iter().map(|thing_type| filter.types.contains(thing_type)).collect());
    let is_time_asked = filter.updated_from.is_some() || filter.updated_until.is_some();
    let live = among.map_or(Cow::Borrowed(live), |among| Cow::Owned(of_names(segment, live, among)));
    let mut passing = Bits::none(segment.rows());
    for (ns, rows) in &segment.namespaces {
        if !filter.has_namespace(ns) {
            continue;
        }
        let is_readable = sight.reads(ns);
        if is_readable && types.is_none() && !is_time_asked {
            passing.insert_range_from(&live, rows);
            continue;
        }
        passing.insert_from(&live, rows, |row| {
            (is_readable || segment.is_listed(row))
                && types.as_ref().is_none_or(|types| types[segment.thing_type(row)])
                && (!is_time_asked || filter.has_time(segment.updated_at(row)))
        });
    }
    passing
}

/// The rows of `live` whose names have one of these hashes.
fn of_names(segment: &Segment, live: &Bits, among: &[u64]) -> Bits {
    let mut rows = Bits::none(segment.rows());
    let mut wanted = among.iter().peekable();
    for (hash, row) in segment.rows_by_hash() {
        while wanted.next_if(|wanted| **wanted < hash).is_some() {}
        if wanted.peek() == Some(&&hash) && live.has(row) {
            rows.insert(row);
        }
    }
    rows
}

/// The `limit` nearest rows of those that pass, with their cosines, in no order.
pub(super) fn nearest(segment: &Segment, passing: &Bits, query: &Query, limit: usize, simd: Simd) -> Vec<(f32, usize)> {
    let count = passing.count();
    let by_bytes = (limit * BYTES).max(LEAST_BYTES).max(count / SHARE_BYTES);
    let candidates = if count <= 2 * by_bytes {
        passing.iter().collect()
    } else {
        by_signs(segment, passing, &query.code.signs, by_bytes, simd)
    };
    let cosine = |row| {
        let product = simd.dot_bytes(segment.bytes(row), &query.code.bytes);
        (product as f32 * segment.scale(row) * query.code.scale, row)
    };
    let mut best: Vec<(f32, usize)> = candidates.into_iter().map(cosine).collect();
    keep(&mut best, (limit * VECTORS).max(LEAST_VECTORS));
    for (cosine, row) in &mut best {
        *cosine = simd.dot(segment.vector(*row), &query.vector);
    }
    keep(&mut best, limit);
    best
}

/// The `count` rows whose signs differ least, and of those that differ as much as the last of them `count` at most.
fn by_signs(segment: &Segment, passing: &Bits, signs: &[u64], count: usize, simd: Simd) -> Vec<usize> {
    let span = passing.span();
    // Where most pass, going straight through is faster than choosing.
    let is_dense = passing.count() * 4 >= span.len();
    let mut distances = vec![0; if is_dense { span.len() } else { passing.count() }];
    if is_dense {
        simd.hamming(segment.signs(span.clone()), signs, &mut distances);
    } else {
        passing.iter().zip(distances.chunks_exact_mut(1)).for_each(|(row, distance)| {
            simd.hamming(segment.signs(row..row + 1), signs, distance);
        });
    }
    let distance_of = |place: usize, row: usize| distances[if is_dense { row - span.start } else { place }];
    let mut counts = vec![0_usize; signs.len() * 64 + 1];
    passing.iter().enumerate().for_each(|(place, row)| counts[usize::from(distance_of(place, row))] += 1);
    let mut so_far = 0;
    let most = counts.iter().position(|count_of| {
        so_far += count_of;
        so_far >= count
    });
    let most = most.expect("more pass than are wanted") as u16;
    let (mut best, mut as_good) = (Vec::with_capacity(2 * count), Vec::new());
    passing.iter().enumerate().for_each(|(place, row)| {
        let distance = distance_of(place, row);
        if distance < most {
            best.push(row);
        } else if distance == most && as_good.len() < count {
            as_good.push(row);
        }
    });
    best.extend(as_good);
    best
}

/// The best `count`; of what is equally good the first rows.
fn keep(best: &mut Vec<(f32, usize)>, count: usize) {
    if best.len() > count {
        best.select_nth_unstable_by(count, |one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        best.truncate(count);
    }
}
