//! Owns a name as a caller gives it: a key, or a path whose split is unknown. Never resolves it.

use std::fmt;

use crate::{Invalid, Namespace, Path, Variant};

/// How a caller names a thing or a relationship.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reference {
    /// By its parts. The id is as it was given: only the style of `ns` makes it canonical (`Id::parse`).
    Parts {
        /// Namespace.
        ns: Namespace,
        /// Id, not yet in canonical form.
        id: Box<str>,
        /// Variant.
        variant: Variant,
    },
    /// By a path, `ns/id#variant`.
    Path(Path),
}

impl Reference {
    /// The variant that is named.
    pub fn variant(&self) -> &Variant {
        match self {
            Self::Parts { variant, .. } => variant,
            Self::Path(path) => path.variant(),
        }
    }

    /// Refuses a variant: relationships and their ends have none.
    pub fn without_variant(self) -> Result<Self, Invalid> {
        if self.variant().is_canonical() {
            Ok(self)
        } else {
            Err(Invalid::new("variant", "must be empty: relationships and their ends have no variants"))
        }
    }
}

impl fmt::Display for Reference {
    /// As the caller gave it: `ns/id#variant`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts { ns, id, variant } if variant.is_canonical() => write!(formatter, "{ns}/{id}"),
            Self::Parts { ns, id, variant } => write!(formatter, "{ns}/{id}#{variant}"),
            Self::Path(path) => path.fmt(formatter),
        }
    }
}
