//! Owns the reading of the environment for these tests: how long the crash loop runs, and by which random numbers.

const ROUNDS: &str = "ANNALS_CRASH_ROUNDS";
const SEED: &str = "ANNALS_CRASH_SEED";

/// How many times the crash loop kills.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn crash_rounds() -> anyhow::Result<u64> {
    Ok(std::env::var(ROUNDS).as_deref().unwrap_or("200").parse()?)
}

/// The seed of a loop that shall be repeated.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn crash_seed() -> anyhow::Result<Option<u64>> {
    Ok(std::env::var(SEED).ok().map(|seed| seed.parse()).transpose()?)
}
