//! What differs between the states of one name at two moments.

use domain::{AsOf, Change, Entity, State};
use serve::{auth::Caller, refusal::Refusal};
use ulid::Ulid;

use crate::{EventLog, archive::Cost, visibility::Sight};

/// Which states to compare.
#[derive(Clone, Debug)]
pub(crate) struct Diff {
    pub(crate) entity: Entity,
    pub(crate) from: AsOf,
    /// Now, without.
    pub(crate) to: Option<AsOf>,
}

/// Two states and what differs.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) before: Option<State>,
    pub(crate) after: Option<State>,
    pub(crate) changes: Vec<Change>,
    pub(crate) cost: Cost,
}

impl EventLog {
    /// What differs between the states that the caller may see at two moments; one that there is not, or that is hidden,
    /// counts as absent. Refuses with `NOT_FOUND` where both are. Blocks.
    pub(crate) fn diff(&self, caller: &Caller, diff: &Diff) -> Result<Compared, Refusal> {
        let Diff { entity, from, to } = diff;
        for as_of in [Some(*from), *to].into_iter().flatten() {
            self.check_as_of(caller, as_of)?;
        }
        let mut sight = Sight::new(self, caller, self.tenant_number(&caller.tenant));
        let before = sight.state(entity, from.last_ulid())?;
        let after = sight.state(entity, to.map_or(Ulid(u128::MAX), AsOf::last_ulid))?;
        if before.is_none() && after.is_none() {
            return Err(Refusal::not_found(entity.kind.as_str(), &entity.key));
        }
        let changes = domain::diff(before.as_ref(), after.as_ref());
        Ok(Compared { before, after, changes, cost: sight.past.cost() })
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "diff_test.rs"]
mod archived;
#[cfg(test)]
#[path = "diff_test.rs"]
mod tests;
