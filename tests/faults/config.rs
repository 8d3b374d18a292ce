//! Owns the reading of the environment for these tests: how long the loops run, and by which random
//! numbers.

const ROUNDS: &str = "ANNALS_CRASH_ROUNDS";
const SEED: &str = "ANNALS_CRASH_SEED";
const STORE_FAULT_ROUNDS: &str = "ANNALS_STORE_FAULT_ROUNDS";
const STORE_FAULT_SEED: &str = "ANNALS_STORE_FAULT_SEED";
const SEARCH_ROUNDS: &str = "ANNALS_SEARCH_FAULT_ROUNDS";
const SEARCH_SEED: &str = "ANNALS_SEARCH_FAULT_SEED";

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

/// How many times each fault of the object store meets each kind of call.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn store_fault_rounds() -> anyhow::Result<u64> {
    Ok(std::env::var(STORE_FAULT_ROUNDS).as_deref().unwrap_or("1").parse()?)
}

/// The seed of a campaign that shall be repeated.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn store_fault_seed() -> anyhow::Result<Option<u64>> {
    Ok(std::env::var(STORE_FAULT_SEED).ok().map(|seed| seed.parse()).transpose()?)
}

/// How many times search is killed under load.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn search_rounds() -> anyhow::Result<u64> {
    Ok(std::env::var(SEARCH_ROUNDS).as_deref().unwrap_or("6").parse()?)
}

/// The seed of rounds that shall be repeated.
#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
pub(crate) fn search_seed() -> anyhow::Result<Option<u64>> {
    Ok(std::env::var(SEARCH_SEED).ok().map(|seed| seed.parse()).transpose()?)
}
