//! Owns whether the condition of a write holds. Never reads the state that it is about.

use domain::{Condition, Etag, Key};
use serve::Refusal;

use crate::refuse;

/// Refuses a put of `key`, whose state has the etag `present`, where `condition` does not hold.
/// `not_found` is the refusal of an update of nothing.
pub(crate) fn check(
    condition: &Condition,
    key: &Key,
    present: Option<Etag>,
    not_found: impl FnOnce() -> Refusal,
) -> Result<(), Refusal> {
    match (condition, present) {
        (Condition::None, _) | (Condition::CreateOnly, None) | (Condition::UpdateOnly, Some(_)) => Ok(()),
        (Condition::Etags(etags), Some(present)) if etags.contains(&present) => Ok(()),
        (Condition::Etags(_), present) => Err(refuse::etag_stale(key, present)),
        (Condition::CreateOnly, Some(present)) => Err(refuse::already_exists(key, present)),
        (Condition::UpdateOnly, None) => Err(not_found()),
    }
}
