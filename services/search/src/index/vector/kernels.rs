//! Owns the inner loops over vectors, each made for the widest instructions that the processor may have and chosen when
//! the program runs. Never differs in what it answers, but for the order in which floats are added.

/// What the processor has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Simd {
    /// Nothing but the baseline.
    Portable,
    /// 256 bits, fused multiply and add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits, bytes and words, counts of bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// Everything that can be chosen here, the widest last.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let has_avx2 = has!("avx2") && has!("fma") && has!("popcnt");
            if has_avx2 {
                all.push(Self::Avx2);
            }
            if has_avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vpopcntdq") {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// The widest.
    pub(crate) fn detect() -> Self {
        *Self::all().last().expect("the baseline is there")
    }
}

/// Makes of each loop one for every kind of processor, and one that chooses.
macro_rules! kernels {
    ($($(#[doc = $doc:literal])+ fn $name:ident($($argument:ident: $type:ty),+) -> $output:ty = $portable:ident;)+) => {
        impl Simd {
            $(
                $(#[doc = $doc])+
                pub(crate) fn $name(self, $($argument: $type),+) -> $output {
                    #[cfg(target_arch = "x86_64")]
                    #[target_feature(enable = "avx2,fma,popcnt")]
                    fn avx2($($argument: $type),+) -> $output {
                        $portable($($argument),+)
                    }
                    #[cfg(target_arch = "x86_64")]
                    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx2,fma,popcnt")]
                    fn avx512($($argument: $type),+) -> $output {
                        $portable($($argument),+)
                    }
                    match self {
                        Self::Portable => $portable($($argument),+),
                        #[cfg(target_arch = "x86_64")]
                        #[expect(unsafe_code, reason = "the processor has been asked: `all` is the only maker")]
                        // SAFETY: a value that is not `Portable` comes from `all`, which gives what the processor has.
                        Self::Avx2 => unsafe { avx2($($argument),+) },
                        #[cfg(target_arch = "x86_64")]
                        #[expect(unsafe_code, reason = "the processor has been asked: `all` is the only maker")]
                        // SAFETY: as above.
                        Self::Avx512 => unsafe { avx512($($argument),+) },
                    }
                }
            )+
        }
    };
}

kernels! {
    /// In how many bits each code differs from `query`. `codes`: as many codes of the query's length as `distances` are.
    fn hamming(codes: &[u64], query: &[u64], distances: &mut [u16]) -> () = hamming;
    /// The sum of products. Both of one length, at most 2^16 long.
    fn dot_bytes(one: &[i8], other: &[i8]) -> i32 = dot_bytes;
    /// The sum of products. Both of one length.
    fn dot(one: &[f32], other: &[f32]) -> f32 = dot;
}

#[expect(clippy::inline_always, reason = "only so it is made of its caller's instructions")]
#[inline(always)]
fn hamming(codes: &[u64], query: &[u64], distances: &mut [u16]) {
    for (code, distance) in codes.chunks_exact(query.len()).zip(distances) {
        let differing: u32 = code.iter().zip(query).map(|(one, other)| (one ^ other).count_ones()).sum();
        *distance = differing as u16;
    }
}

#[expect(clippy::inline_always, reason = "only so it is made of its caller's instructions")]
#[inline(always)]
fn dot_bytes(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// Sums that are added to at once, so that they can be done side by side.
const LANES: usize = 16;

#[expect(clippy::inline_always, reason = "only so it is made of its caller's instructions")]
#[inline(always)]
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (ones, one_rest) = one.as_chunks::<LANES>();
    let (others, other_rest) = other.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in ones.iter().zip(others) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f32 = one_rest.iter().zip(other_rest).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_processor_counts_the_same_bits(
            query in prop::collection::vec(any::<u64>(), 1..20), seed in any::<u64>(), count in 0_usize..20,
        ) {
            let codes: Vec<u64> = (0..count * query.len()).map(|at| seed.wrapping_mul(at as u64 * 2 + 1)).collect();
            let expected: Vec<u16> = codes
                .chunks_exact(query.len())
                .map(|code| {
                    let bit = |word: u64, at: usize| word >> at & 1;
                    let differs = |(one, other): (&u64, &u64)| (0..64).filter(|at| bit(*one, *at) != bit(*other, *at)).count();
                    code.iter().zip(&query).map(differs).sum::<usize>() as u16
                })
                .collect();
            for simd in Simd::all() {
                let mut distances = vec![0; count];
                simd.hamming(&codes, &query, &mut distances);
                prop_assert_eq!(&distances, &expected, "{:?}", simd);
            }
        }

        #[test]
        fn every_processor_multiplies_the_same(pairs in prop::collection::vec((any::<i8>(), any::<i8>()), 0..300)) {
            let (one, other): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            let expected: i64 = pairs.iter().map(|(one, other)| i64::from(*one) * i64::from(*other)).sum();
            let floats = |bytes: &[i8]| bytes.iter().map(|byte| f32::from(*byte) / 16.0).collect::<Vec<_>>();
            for simd in Simd::all() {
                prop_assert_eq!(i64::from(simd.dot_bytes(&one, &other)), expected);
                let sum = f64::from(simd.dot(&floats(&one), &floats(&other)));
                prop_assert!((sum - expected as f64 / 256.0).abs() < 1e-2, "{:?}: {} {}", simd, sum, expected);
            }
        }
    }
}
