//! The state of one name as of a time or ULID.

use domain::{AsOf, Entity, State};
use proto::common::v1::Reason;
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    visibility::{Asked, Sight},
};

impl EventLog {
    /// What the newest mutation at or before `as_of` made of the name. Refuses with `NOT_FOUND` where there was no
    /// state, or none that the caller may see both then and now. Blocks.
    pub(crate) fn state_at(&self, caller: &Caller, entity: &Entity, as_of: AsOf) -> Result<State, Refusal> {
        let tenant = self.tenant_number(&caller.tenant);
        // An event that is here is not in the future, even if its maker's clock is ahead of ours.
        let is_known = matches!(as_of, AsOf::Ulid(ulid) if self.index().offset_of(tenant, ulid).is_some());
        if !is_known && as_of.time() > self.clock.now() {
            return Err(Refusal::new(Reason::AsOfInFuture, format!("{as_of} has not come yet")));
        }
        let absent = || Refusal::not_found(entity.kind.as_str(), &entity.key);
        let mutation = self.newest(&mut self.journal.reader(), tenant, entity, as_of.last_ulid())?;
        let state = mutation.and_then(|mutation| mutation.after).ok_or_else(absent)?;
        let mut sight = Sight::new(self, caller, tenant);
        if sight.shows(entity, &state, as_of.last_ulid(), Asked::ByName)? { Ok(state) } else { Err(absent()) }
    }
}

#[cfg(test)]
#[path = "state_at_test.rs"]
mod tests;
