//! Owns the whole name of a thing or relationship within a tenant. Never resolves one.

use std::{borrow::Cow, fmt};

use crate::{Id, Namespace, Variant};

/// The name of one representation of a thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// Namespace.
    pub ns: Namespace,
    /// Id, canonical.
    pub id: Id,
    /// Variant.
    pub variant: Variant,
}

impl Key {
    /// The key of the canonical representation.
    pub fn canonical(ns: Namespace, id: Id) -> Self {
        Self { ns, id, variant: Variant::canonical() }
    }

    /// The name without its variant.
    pub fn name(&self) -> Name {
        Name { ns: self.ns.clone(), id: self.id.clone() }
    }

    /// The key of the same thing's canonical representation.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        Self::from(self.name())
    }

    /// The event column `entity_id`: the id, with `#variant` unless canonical.
    pub fn entity_id(&self) -> Cow<'_, str> {
        if self.variant.is_canonical() {
            Cow::Borrowed(self.id.as_str())
        } else {
            Cow::Owned(format!("{}#{}", self.id, self.variant))
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.ns, self.entity_id())
    }
}

/// The name of a relationship, or of a canonical thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name {
    /// Namespace.
    pub ns: Namespace,
    /// Id, canonical.
    pub id: Id,
}

impl From<Name> for Key {
    fn from(Name { ns, id }: Name) -> Self {
        Self::canonical(ns, id)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.ns, self.id)
    }
}
