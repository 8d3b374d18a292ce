//! Owns the reading of the environment for the proof of isolation: how much of it, and by which random numbers.

/// `ANNALS_ISOLATION_CONDITIONS`: how many conditions are taken away, each alone; others each time. A few without.
pub(super) fn conditions() -> usize {
    number("ANNALS_ISOLATION_CONDITIONS").unwrap_or(5) as usize
}

/// `ANNALS_ISOLATION_SEED`, of a run that shall be repeated.
pub(super) fn seed() -> Option<u64> {
    number("ANNALS_ISOLATION_SEED")
}

#[expect(clippy::disallowed_methods, reason = "the one home of this test's settings")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
