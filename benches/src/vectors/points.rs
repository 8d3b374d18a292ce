//! Owns points that are as hard to tell apart as texts of a model are, and which of them are nearest exactly. Asks no server.

use std::f32::consts::TAU;

pub(crate) const DIMENSION: usize = 768;
/// Of the space that the centres lie in.
const SUBSPACE: usize = 64;
const CENTRES: usize = 2_000;
/// What filters pass, in percent, one after the other; the rest passes none of them.
pub(crate) const SHARES: [f64; 7] = [50.0, 10.0, 5.0, 2.0, 0.5, 0.1, 0.01];

/// Points around Gaussian centres in a random subspace, spread as far as the centres are, of unit length, with noise of length
/// one in all directions.
pub(crate) struct Points {
    dice: Dice,
    basis: Vec<f32>,
    centres: Vec<f32>,
    /// Of unit length, one after the other.
    vectors: Vec<f32>,
    /// By number of the point: which share it is of by chance, and which by where it lies.
    by_chance: Vec<usize>,
    by_place: Vec<usize>,
}

/// Which points count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Among {
    All,
    /// Those of a share, who lie anywhere.
    ByChance(usize),
    /// Those of a share, who lie around the same centres.
    ByPlace(usize),
}

/// Numbers from a seed: xorshift64*.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Of a normal distribution (Box and Muller 1958).
    fn gaussian(&mut self) -> f32 {
        let mut unit = || ((self.next() >> 40) as f32 + 0.5) / (1 << 24) as f32;
        (-2.0 * unit().ln()).sqrt() * (TAU * unit()).cos()
    }

    fn gaussians(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.gaussian()).collect()
    }
}

impl Points {
    /// So many; the same ones each time.
    pub(crate) fn new(count: usize) -> Self {
        let mut dice = Dice(0x5EED);
        let (basis, centres) = (dice.gaussians(SUBSPACE * DIMENSION), dice.gaussians(CENTRES * SUBSPACE));
        let none = SHARES.len();
        let mut points =
            Self { dice, basis, centres, vectors: Vec::new(), by_chance: Vec::new(), by_place: vec![none; count] };
        let mut lying: Vec<(usize, usize)> = Vec::with_capacity(count);
        for number in 0..count {
            let (centre, vector) = points.point();
            points.vectors.extend(vector);
            lying.push((centre, number));
        }
        lying.sort_unstable();
        points.by_chance = shares(count);
        for (place, share) in shares(count).into_iter().enumerate() {
            points.by_place[lying[place].1] = share;
        }
        for number in (1..count).rev() {
            let other = points.dice.below(number + 1);
            points.by_chance.swap(number, other);
        }
        points
    }

    fn point(&mut self) -> (usize, Vec<f32>) {
        let centre = self.dice.below(CENTRES);
        let spread = self.dice.gaussians(SUBSPACE);
        let mut vector = vec![0.0; DIMENSION];
        for (axis, spread) in spread.into_iter().enumerate() {
            let along = self.centres[centre * SUBSPACE + axis] + spread;
            let basis = &self.basis[axis * DIMENSION..][..DIMENSION];
            vector.iter_mut().zip(basis).for_each(|(number, basis)| *number += along * basis);
        }
        normalize(&mut vector);
        let mut noise = self.dice.gaussians(DIMENSION);
        normalize(&mut noise);
        vector.iter_mut().zip(noise).for_each(|(number, noise)| *number += noise);
        normalize(&mut vector);
        (centre, vector)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_chance.len()
    }

    pub(crate) fn vector(&self, number: usize) -> &[f32] {
        &self.vectors[number * DIMENSION..][..DIMENSION]
    }

    /// Which shares a point is of: by chance, and by where it lies.
    pub(crate) fn shares(&self, number: usize) -> (usize, usize) {
        (self.by_chance[number], self.by_place[number])
    }

    /// What may be looked for: made as points are.
    pub(crate) fn queries(&mut self, count: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| self.point().1).collect()
    }

    /// Puts half of the points elsewhere, and says which.
    pub(crate) fn move_half(&mut self) -> Vec<usize> {
        let moved: Vec<usize> = (0..self.len()).filter(|_| self.dice.below(2) == 0).collect();
        for number in &moved {
            let vector = self.point().1;
            self.vectors[number * DIMENSION..][..DIMENSION].copy_from_slice(&vector);
        }
        moved
    }

    /// The numbers of the `count` points that are nearest, the nearest first.
    pub(crate) fn nearest(&self, query: &[f32], among: Among, count: usize) -> Vec<usize> {
        let counts = |number: &usize| match among {
            Among::All => true,
            Among::ByChance(share) => self.by_chance[*number] == share,
            Among::ByPlace(share) => self.by_place[*number] == share,
        };
        let mut near: Vec<(f32, usize)> =
            (0..self.len()).filter(counts).map(|number| (dot(self.vector(number), query), number)).collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        near.into_iter().take(count).map(|(_, number)| number).collect()
    }
}

fn shares(count: usize) -> Vec<usize> {
    let each = SHARES.iter().enumerate();
    let mut shares: Vec<usize> =
        each.flat_map(|(share, percent)| vec![share; (count as f64 * percent / 100.0).round() as usize]).collect();
    shares.resize(count, SHARES.len());
    shares
}

/// In sixteen sums, which the processor adds at once.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (one, other) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum += one[at] * other[at];
        }
    }
    sums.iter().sum()
}

pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    for number in vector {
        *number /= length;
    }
}
