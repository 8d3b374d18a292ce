//! Owns the reading of the environment for the fold: how much it writes and asks, and by which random numbers.

/// How large the test is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) mutations: u64,
    pub(super) names: u64,
    pub(super) instants: u64,
}

impl Size {
    /// `ANNALS_FOLD_MUTATIONS`, `ANNALS_FOLD_NAMES` and `ANNALS_FOLD_INSTANTS`; small without.
    pub(super) fn read() -> Self {
        Self {
            mutations: number("ANNALS_FOLD_MUTATIONS").unwrap_or(600),
            names: number("ANNALS_FOLD_NAMES").unwrap_or(40),
            instants: number("ANNALS_FOLD_INSTANTS").unwrap_or(100),
        }
    }
}

/// `ANNALS_FOLD_SEED`, of a run that shall be repeated.
pub(super) fn seed() -> Option<u64> {
    number("ANNALS_FOLD_SEED")
}

#[expect(clippy::disallowed_methods, reason = "the one home of this test's settings")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
