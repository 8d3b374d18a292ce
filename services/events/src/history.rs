//! The mutations of one name, oldest first.

use domain::{Entity, Mutation};
use serve::{auth::Caller, page, refusal::Refusal};
use ulid::Ulid;

use crate::{
    EventLog, log,
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
}

impl EventLog {
    /// The mutations of a name that the caller may see. Refuses with `NOT_FOUND` where none is visible. Blocks.
    pub(crate) fn history(&self, caller: &Caller, history: &History) -> Result<HistoryPage, Refusal> {
        let History { entity, page_size, after } = history;
        let tenant = self.tenant_number(&caller.tenant);
        let mut sight = Sight::new(self, caller, tenant);
        let mut reader = self.journal.reader();
        let mut locations: Vec<_> = self.mutations(&self.index(), tenant, entity, Ulid(u128::MAX)).collect();
        locations.reverse();
        let (mut mutations, mut bytes): (Vec<Mutation>, _) = (Vec::new(), 0);
        for location in locations.into_iter().filter(|location| after.is_none_or(|after| location.ulid > after)) {
            let mutation = log::mutation(log::read(&mut reader, location)?)?;
            if !log::is_same(&mutation.entity, entity) {
                continue;
            }
            let Some(mutation) = sight.of_mutation(mutation, Asked::ByName)? else { continue };
            bytes += location.length as usize;
            if let Some(last) = mutations.last()
                && (mutations.len() == *page_size || bytes > page::MAX_BYTES)
            {
                let next = Some(last.ulid);
                return Ok(HistoryPage { mutations, next });
            }
            mutations.push(mutation);
        }
        if mutations.is_empty() && after.is_none() {
            return Err(Refusal::not_found(entity.kind.as_str(), &entity.key));
        }
        Ok(HistoryPage { mutations, next: None })
    }
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
