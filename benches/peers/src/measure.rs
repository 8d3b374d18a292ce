//! Owns how engines are compared: asked the same in turns, by how much they find and how fast. Knows none of them.

use std::{collections::HashSet, hash::Hash, time::Instant};

use crate::report::median;

/// How many are wanted of each query.
pub(crate) const TOP_K: usize = 10;
/// How much of what is nearest every engine is to find.
pub(crate) const RECALL: f64 = 0.99;
/// How often each engine is asked all queries.
const TURNS: usize = 3;

/// Answers a query.
pub(crate) type Engine<'a, Q, A> = &'a mut dyn FnMut(&Q) -> anyhow::Result<Vec<A>>;

/// What an engine did.
pub(crate) struct Measured<A> {
    /// Queries a second.
    pub(crate) rate: f64,
    /// For each query.
    pub(crate) found: Vec<Vec<A>>,
}

/// Asks each engine all of the queries, one engine after the other, and again; a rate is the middle one.
pub(crate) fn in_turns<Q, A, const N: usize>(
    queries: &[Q],
    mut engines: [Engine<'_, Q, A>; N],
) -> anyhow::Result<[Measured<A>; N]> {
    let mut measured = [const { (Vec::new(), Vec::new()) }; N];
    for _ in 0..TURNS {
        for (engine, (rates, found)) in engines.iter_mut().zip(&mut measured) {
            let turn = ask(queries, *engine)?;
            rates.push(turn.rate);
            *found = turn.found;
        }
    }
    Ok(measured.map(|(rates, found)| Measured { rate: median(rates), found }))
}

/// Asks an engine all of the queries once.
pub(crate) fn ask<Q, A>(queries: &[Q], engine: Engine<'_, Q, A>) -> anyhow::Result<Measured<A>> {
    let started = Instant::now();
    let found = queries.iter().map(engine).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Measured { rate: queries.len() as f64 / started.elapsed().as_secs_f64(), found })
}

/// Which share of what is wanted is found.
pub(crate) fn recall<A: Eq + Hash>(found: &[Vec<A>], wanted: &[Vec<A>]) -> f64 {
    let hits = found.iter().zip(wanted).map(|(found, wanted)| {
        let wanted: HashSet<_> = wanted.iter().collect();
        found.iter().filter(|found| wanted.contains(found)).count()
    });
    hits.sum::<usize>() as f64 / wanted.iter().map(Vec::len).sum::<usize>() as f64
}
