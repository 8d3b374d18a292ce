//! The state of one name as of a time or ULID.

use domain::{AsOf, Entity, State};
use proto::common::v1::Reason;
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    archive::Cost,
    visibility::{Asked, Sight},
};

impl EventLog {
    /// What the newest mutation at or before `as_of` made of the name. Refuses with `NOT_FOUND` where there was no
    /// state, or none that the caller may see both then and now. Blocks.
    pub(crate) fn state_at(&self, caller: &Caller, entity: &Entity, as_of: AsOf) -> Result<(State, Cost), Refusal> {
        let tenant = self.tenant_number(&caller.tenant);
        // An event that is here is not in the future, even if its maker's clock is ahead of ours.
        let is_ahead = as_of.time() > self.clock.now();
        if is_ahead && !matches!(as_of, AsOf::Ulid(ulid) if self.knows(&caller.tenant, ulid)?) {
            return Err(Refusal::new(Reason::AsOfInFuture, format!("{as_of} has not come yet")));
        }
        let absent = || Refusal::not_found(entity.kind.as_str(), &entity.key);
        let mut sight = Sight::new(self, caller, tenant);
        let mutation = sight.past.newest(tenant, entity, as_of.last_ulid())?;
        let state = mutation.and_then(|mutation| mutation.after).ok_or_else(absent)?;
        if sight.shows(entity, &state, as_of.last_ulid(), Asked::ByName)? {
            Ok((state, sight.past.cost()))
        } else {
            Err(absent())
        }
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
