//! Listing things, page by page.
//!
//! Owns how pages follow each other. Never says how many things there are that the caller may not see.

use domain::{Namespace, Style, Thing, TypeName};
use serve::page::{Binding, MAX_BYTES};
use serve::{Caller, Refusal};

use crate::Things;
use crate::page::Position;
use crate::store::{Page, ThingQuery};

/// Which page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PageRequest {
    /// Items on it.
    pub(crate) size: usize,
    /// Token of the page; empty for the first one.
    pub(crate) token: String,
}

/// One page.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Listed<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub(crate) next_page_token: String,
}

impl<T> Listed<T> {
    pub(crate) fn new(page: Page<T>, token_after: impl FnOnce(&T) -> String) -> Self {
        let Page { items, has_more } = page;
        let last = items.last().filter(|_| has_more);
        Self { next_page_token: last.map(token_after).unwrap_or_default(), items }
    }
}

impl Things {
    /// A page of the things of one namespace that the caller may see listed, by id, then variant.
    pub(crate) async fn list_things(
        &self,
        caller: &Caller,
        ns: Namespace,
        thing_type: Option<TypeName>,
        page: &PageRequest,
    ) -> Result<Listed<(Thing, Style)>, Refusal> {
        let type_name = thing_type.as_ref().map_or("", TypeName::as_str);
        let question = ["things", ns.as_str(), type_name].map(str::as_bytes);
        let binding = Binding::new(&caller.tenant, &question);
        let after = binding.position(&page.token, Position::from_bytes)?;
        let query = ThingQuery { ns, thing_type, after, limit: page.size, room: MAX_BYTES };
        let found = self.store.things.list(caller, query).await?;
        Ok(Listed::new(found, |(last, _)| binding.token(&(last.key.id.clone(), last.key.variant.clone()).to_bytes())))
    }
}
