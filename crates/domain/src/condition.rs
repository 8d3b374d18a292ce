//! Owns what must hold for a write to happen. Never looks at a store.

use crate::Etag;

/// What must hold of a name's present state for a write to happen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// Its etag is one of these.
    Etags(Vec<Etag>),
    /// It has none.
    CreateOnly,
    /// It has one.
    UpdateOnly,
}
