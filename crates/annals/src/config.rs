//! Owns the reading of the environment for the client commands. `serve` reads its own settings.

/// The value of `ANNALS_SERVER` or `ANNALS_KEY`, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "the one home of the client's environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
