//! The state of one name as of a time or ULID.

use domain::{AsOf, Entity, State};
use proto::common::v1::Reason;
use serve::{auth::Caller, refusal::Refusal};

use crate::{EventLog, archive::Cost, visibility::Sight};

impl EventLog {
    /// What the newest mutation at or before `as_of` made of the name. Refuses with `NOT_FOUND` where there was no
    /// state, or none that the caller may see both then and now. Blocks.
    pub(crate) fn state_at(&self, caller: &Caller, entity: &Entity, as_of: AsOf) -> Result<(State, Cost), Refusal> {
        self.check_as_of(caller, as_of)?;
        let mut sight = Sight::new(self, caller, self.tenant_number(&caller.tenant));
        let state = sight.state(entity, as_of.last_ulid())?;
        let state = state.ok_or_else(|| Refusal::not_found(entity.kind.as_str(), &entity.key))?;
        Ok((state, sight.past.cost()))
    }

    /// Refuses a moment that has not come yet with `AS_OF_IN_FUTURE`. An event that is here is not in the future, even if
    /// its maker's clock is ahead of ours. May read files.
    pub(crate) fn check_as_of(&self, caller: &Caller, as_of: AsOf) -> Result<(), Refusal> {
        let is_ahead = as_of.time() > self.clock.now();
        if is_ahead && !matches!(as_of, AsOf::Ulid(ulid) if self.knows(&caller.tenant, ulid)?) {
            return Err(Refusal::new(Reason::AsOfInFuture, format!("{as_of} has not come yet")));
        }
        Ok(())
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "state_at_test.rs"]
mod archived;
#[cfg(test)]
#[path = "state_at_test.rs"]
mod tests;
