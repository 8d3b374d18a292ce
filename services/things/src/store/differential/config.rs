//! Owns the reading of the environment for the comparison: how long it is, and by which random numbers.

use domain::Clock;

/// How much is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) operations: u64,
    pub(super) seed: u64,
}

impl Size {
    /// `ANNALS_DIFFERENTIAL_OPERATIONS` (600 without) and `ANNALS_DIFFERENTIAL_SEED` (another each time).
    pub(super) fn read() -> Self {
        Self {
            operations: number("ANNALS_DIFFERENTIAL_OPERATIONS").unwrap_or(600),
            seed: number("ANNALS_DIFFERENTIAL_SEED").unwrap_or_else(|| Clock::system().ulid().0 as u64),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of this test's settings")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
