//! Owns how a refusal of input is said: which field breaks which rule. Never decides what is legal.

/// A field breaks a rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct Invalid {
    /// Path of the field, for example `thing.key.id`.
    pub field: String,
    /// The rule, as it continues the field's name: `must be at most 1 MiB`.
    pub rule: String,
}

impl Invalid {
    /// `field` breaks `rule`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }

    /// The same, seen from around: `parent.field`.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), rule: self.rule }
    }
}
