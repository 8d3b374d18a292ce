//! usearch: a graph of vectors in two bytes a number.

use std::time::Instant;

use ::usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::{
    measure::{RECALL, TOP_K, ask, recall},
    points::{DIMENSION, Points},
    vectors::Asked,
};

/// Neighbours of a vector, and how many are looked at to choose them: its defaults.
const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;
/// How many are looked at for a query: the first that finds enough is chosen.
const EXPANSIONS: [usize; 10] = [16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192];

/// A graph of points.
pub(crate) struct Usearch(Index);

impl Usearch {
    /// All points, and how many of them are added a second by one thread.
    pub(crate) fn of(points: &Points) -> anyhow::Result<(Self, f64)> {
        let index = Index::new(&IndexOptions {
            dimensions: DIMENSION,
            metric: MetricKind::Cos,
            quantization: ScalarKind::BF16,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            expansion_search: EXPANSIONS[0],
            multi: false,
        })?;
        index.reserve_capacity_and_threads(points.len(), 1)?;
        eprintln!("usearch {} with {}", ::usearch::version(), index.hardware_acceleration());
        let started = Instant::now();
        for number in 0..points.len() {
            index.add(number as u64, points.vector(number))?;
        }
        Ok((Self(index), points.len() as f64 / started.elapsed().as_secs_f64()))
    }

    /// Chooses how many are looked at for a query, and says it.
    pub(crate) fn tune(&self, asked: &Asked<'_>) -> anyhow::Result<usize> {
        for expansion in EXPANSIONS {
            self.0.change_expansion_search(expansion);
            let found = ask(asked.queries, &mut |query: &Vec<f32>| self.near(query, asked))?.found;
            let found = recall(&found, &asked.exact);
            eprintln!("  usearch with ef {expansion}: recall {found:.4}");
            if found >= RECALL {
                break;
            }
        }
        Ok(self.0.expansion_search())
    }

    /// The numbers of the nearest points that pass.
    pub(crate) fn near(&self, query: &[f32], asked: &Asked<'_>) -> anyhow::Result<Vec<usize>> {
        let near = match &asked.passing {
            None => self.0.search(query, TOP_K)?,
            Some(passing) => self.0.filtered_search(query, TOP_K, |number| passing[number as usize])?,
        };
        Ok(near.keys.into_iter().map(|number| number as usize).collect())
    }
}
