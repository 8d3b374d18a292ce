//! Owns the reading of the environment for these tests: how long the loops run, and by which random
//! numbers.

/// How many times the crash loop kills.
pub(crate) fn crash_rounds() -> anyhow::Result<u64> {
    Ok(number("ANNALS_CRASH_ROUNDS")?.unwrap_or(200))
}

/// The seed of a loop that shall be repeated.
pub(crate) fn crash_seed() -> anyhow::Result<Option<u64>> {
    number("ANNALS_CRASH_SEED")
}

/// How many times each fault of the object store meets each kind of call.
pub(crate) fn store_fault_rounds() -> anyhow::Result<u64> {
    Ok(number("ANNALS_STORE_FAULT_ROUNDS")?.unwrap_or(1))
}

/// The seed of a campaign that shall be repeated.
pub(crate) fn store_fault_seed() -> anyhow::Result<Option<u64>> {
    number("ANNALS_STORE_FAULT_SEED")
}

/// How many times search is killed under load.
pub(crate) fn search_rounds() -> anyhow::Result<u64> {
    Ok(number("ANNALS_SEARCH_FAULT_ROUNDS")?.unwrap_or(6))
}

/// The seed of rounds that shall be repeated.
pub(crate) fn search_seed() -> anyhow::Result<Option<u64>> {
    number("ANNALS_SEARCH_FAULT_SEED")
}

/// How many searches are compared with those where nothing is hidden.
pub(crate) fn tenant_queries() -> anyhow::Result<u64> {
    Ok(number("ANNALS_TENANT_QUERIES")?.unwrap_or(400))
}

/// The seed of searches that shall be repeated.
pub(crate) fn tenant_seed() -> anyhow::Result<Option<u64>> {
    number("ANNALS_TENANT_SEED")
}

/// How many mutations two processes make on one database.
pub(crate) fn replica_mutations() -> anyhow::Result<u64> {
    Ok(number("ANNALS_REPLICA_MUTATIONS")?.unwrap_or(20_000))
}

/// The seed of mutations that shall be repeated.
pub(crate) fn replica_seed() -> anyhow::Result<Option<u64>> {
    number("ANNALS_REPLICA_SEED")
}

#[expect(clippy::disallowed_methods, reason = "the one home of these tests' settings")]
fn number(variable: &str) -> anyhow::Result<Option<u64>> {
    Ok(std::env::var(variable).ok().map(|number| number.parse()).transpose()?)
}
