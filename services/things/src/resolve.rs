//! Resolving names, as the first half of a read of the past.
//!
//! Owns the promise that a read of the past can be repeated. Never reads the past.

use std::time::Duration;

use domain::{EntityKind, Reference, Timestamp};
use serve::{Caller, Refusal};

use crate::store::Resolved;
use crate::{Things, refuse};

/// How long to wait for the clock to leave the millisecond that is asked for.
const TICK: Duration = Duration::from_millis(1);

impl Things {
    /// The one name that a reference stands for, and its newest mutation. No later mutation gets a ULID at or before
    /// `as_of` (or the time of the call): the clock is past it, and every write that was asked for has ended.
    pub(crate) async fn resolve_name(
        &self,
        caller: &Caller,
        reference: Reference,
        kind: EntityKind,
        as_of: Option<Timestamp>,
    ) -> Result<Resolved, Refusal> {
        self.pass(as_of).await?;
        let resolved = self.store.things.resolve(caller, reference.clone(), kind).await?;
        resolved.ok_or_else(|| match kind {
            EntityKind::Thing => refuse::thing_not_found(&reference),
            EntityKind::Relationship => refuse::relationship_not_found(&reference),
        })
    }

    /// Waits until the clock is past `as_of` (or the time of the call).
    pub(crate) async fn pass(&self, as_of: Option<Timestamp>) -> Result<(), Refusal> {
        let now = self.clock.now();
        let as_of = as_of.unwrap_or(now);
        if as_of > now {
            return Err(refuse::as_of_in_future());
        }
        while self.clock.now() <= as_of {
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }
}
