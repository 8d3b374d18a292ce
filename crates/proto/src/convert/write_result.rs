//! What a change did that was written together with others.

use domain::{EntityKind, Invalid, Key};
use ulid::Ulid;

use super::{canonical_key, entity_kind, entity_kind_to_wire, key_to_wire};
use crate::things::v1 as wire;

/// What a change did, without the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriteResult {
    /// Which name it changed.
    pub key: Key,
    /// What that names.
    pub kind: EntityKind,
    /// What happened to it.
    pub effect: Effect,
    /// The newest mutation of the name; none if nothing was kept.
    pub ulid: Option<Ulid>,
}

/// What happened to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It had no state before.
    Created,
    /// It had another state before.
    Replaced,
    /// It was so already; nothing was written.
    Unchanged,
    /// It has no state any more.
    Deleted {
        /// How many variants went with a thing.
        variants: usize,
        /// How many relationships went with it.
        relationships: usize,
    },
}

/// On the wire.
pub fn write_result_to_wire(result: WriteResult) -> wire::WriteResult {
    let WriteResult { key, kind, effect, ulid } = result;
    let (outcome, variants, relationships) = match effect {
        Effect::Created => (wire::WriteOutcome::Created, 0, 0),
        Effect::Replaced => (wire::WriteOutcome::Replaced, 0, 0),
        Effect::Unchanged => (wire::WriteOutcome::Unchanged, 0, 0),
        Effect::Deleted { variants, relationships } => (wire::WriteOutcome::Deleted, variants, relationships),
    };
    wire::WriteResult {
        key: Some(key_to_wire(&key)),
        kind: entity_kind_to_wire(kind).into(),
        outcome: outcome.into(),
        ulid: ulid.map(|ulid| ulid.to_string()).unwrap_or_default(),
        deleted_variants: variants as i32,
        deleted_relationships: relationships as i32,
    }
}

/// One that [`write_result_to_wire`] made.
pub fn write_result(result: wire::WriteResult) -> Result<WriteResult, Invalid> {
    let wire::WriteResult { key, kind, outcome, ulid, deleted_variants, deleted_relationships } = result;
    let key = canonical_key("key", key)?;
    let kind = entity_kind("kind", kind)?.unwrap_or_default();
    let effect = match wire::WriteOutcome::try_from(outcome) {
        Ok(wire::WriteOutcome::Created) => Effect::Created,
        Ok(wire::WriteOutcome::Replaced) => Effect::Replaced,
        Ok(wire::WriteOutcome::Unchanged) => Effect::Unchanged,
        Ok(wire::WriteOutcome::Deleted) => {
            Effect::Deleted { variants: deleted_variants as usize, relationships: deleted_relationships as usize }
        }
        Ok(wire::WriteOutcome::Unspecified) | Err(_) => return Err(Invalid::new("outcome", "is required")),
    };
    let ulid = (!ulid.is_empty()).then(|| ulid.parse()).transpose();
    Ok(WriteResult { key, kind, effect, ulid: ulid.map_err(|_| Invalid::new("ulid", "must be a ULID"))? })
}

impl Effect {
    /// `created`, `replaced`, `unchanged` or `deleted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Deleted { .. } => "deleted",
        }
    }
}
