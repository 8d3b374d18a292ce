//! What requests have in common: who asks and why, by when, and the words of their fields.

use std::time::Duration;

use domain::{Condition, Invalid, Provenance, TypeName, Variant};
use proto::common::v1 as common;
use proto::convert::{condition, reference};
use proto::things::v1 as wire;
use serve::Caller;
use serve::deadline::Deadline;
use tonic::Extensions;

use crate::store::Direction;
use crate::{Call, Things};

impl Things {
    pub(super) fn call(&self, caller: Caller, request_id: String, cause: String) -> Result<Call, Invalid> {
        let provenance = self.provenance(&caller, request_id, cause)?;
        Ok(Call { caller, provenance })
    }

    pub(super) fn provenance(&self, caller: &Caller, request_id: String, cause: String) -> Result<Provenance, Invalid> {
        if request_id.len() > 128 || request_id.chars().any(char::is_control) {
            return Err(Invalid::new("request_id", "must be at most 128 bytes without control characters"));
        }
        if cause.len() > 1_024 || cause.contains('\0') {
            return Err(Invalid::new("cause", "must be at most 1,024 bytes without NUL"));
        }
        let request_id = if request_id.is_empty() { self.clock.ulid().to_string() } else { request_id };
        Ok(Provenance { actor: (*caller.principal).into(), request_id: request_id.into(), cause: cause.into() })
    }
}

/// The caller's deadline, or the longest that an answer may take which holds a moment of the store.
pub(super) fn within(extensions: &Extensions, longest: Duration) -> Deadline {
    let longest = Deadline::after(longest);
    Deadline::of(extensions).map_or(longest, |asked| asked.min(longest))
}

pub(super) fn preferred(variants: &[String]) -> Result<Vec<Variant>, Invalid> {
    let parsed: Result<_, Invalid> = variants.iter().map(|variant| variant.parse()).collect();
    parsed.map_err(|Invalid { rule, .. }| Invalid::new("preferred_variants", rule))
}

pub(super) fn relationship_reference(key: Option<common::Key>) -> Result<domain::Reference, Invalid> {
    reference("key", key)?.without_variant().map_err(|error| error.within("key"))
}

pub(super) fn condition_of_deletion(given: Option<wire::Condition>) -> Result<Condition, Invalid> {
    match condition(given)? {
        Condition::CreateOnly => Err(Invalid::new("condition.create_only", "is not for deletions")),
        condition => Ok(condition),
    }
}

pub(super) fn type_filter(word: &str) -> Result<Option<TypeName>, Invalid> {
    if word.is_empty() { Ok(None) } else { word.parse().map(Some) }
}

pub(super) fn direction(word: i32) -> Result<Direction, Invalid> {
    match wire::Direction::try_from(word) {
        Ok(wire::Direction::Unspecified) => Ok(Direction::Both),
        Ok(wire::Direction::Outgoing) => Ok(Direction::Outgoing),
        Ok(wire::Direction::Incoming) => Ok(Direction::Incoming),
        Err(_) => Err(Invalid::new("direction", "must be outgoing, incoming or both")),
    }
}
