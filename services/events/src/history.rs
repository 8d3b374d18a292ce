//! The mutations of one name, oldest first.

use domain::{Entity, Mutation};
use serve::{auth::Caller, page, refusal::Refusal};
use ulid::Ulid;

use crate::{
    EventLog,
    archive::Cost,
    visibility::{Asked, Sight},
};

/// Whose mutations to read, and which page of them.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) entity: Entity,
    pub(crate) page_size: usize,
    /// The last ULID of the page before.
    pub(crate) after: Option<Ulid>,
}

/// One page of mutations.
#[derive(Debug)]
pub(crate) struct HistoryPage {
    pub(crate) mutations: Vec<Mutation>,
    /// The last ULID of this page, if there is another page.
    pub(crate) next: Option<Ulid>,
    pub(crate) cost: Cost,
}

impl EventLog {
    /// The mutations of a name that the caller may see. Refuses with `NOT_FOUND` where none is visible. Blocks.
    pub(crate) fn history(&self, caller: &Caller, history: &History) -> Result<HistoryPage, Refusal> {
        let History { entity, page_size, after } = history;
        let tenant = self.tenant_number(&caller.tenant);
        let mut sight = Sight::new(self, caller, tenant);
        let (mut mutations, mut bytes): (Vec<Mutation>, _) = (Vec::new(), 0);
        let mut rest = 0..self.index().end();
        while !rest.is_empty() {
            let first = after.map_or(Ulid(0), |after| Ulid(after.0.saturating_add(1)));
            let wanted = page_size + 1 - mutations.len();
            let (found, left) = sight.past.history(tenant, entity, first, rest, wanted)?;
            rest = left;
            for mutation in found {
                let Some(mutation) = sight.of_mutation(mutation, Asked::ByName)? else { continue };
                bytes += mutation.data().as_str().len();
                if let Some(last) = mutations.last()
                    && (mutations.len() == *page_size || bytes > page::MAX_BYTES)
                {
                    let next = Some(last.ulid);
                    return Ok(HistoryPage { mutations, next, cost: sight.past.cost() });
                }
                mutations.push(mutation);
            }
        }
        if mutations.is_empty() && after.is_none() {
            return Err(Refusal::not_found(entity.kind.as_str(), &entity.key));
        }
        Ok(HistoryPage { mutations, next: None, cost: sight.past.cost() })
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "history_test.rs"]
mod archived;
#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
