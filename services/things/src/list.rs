//! Listing things, page by page.
//!
//! Owns how pages follow each other. Never says what there is that the caller may not see: a page may end there, and then
//! its token is sealed.

use domain::{Style, Thing};
use serve::page::{Binding, MAX_BYTES};
use serve::{Caller, Refusal};

use crate::Things;
use crate::page::Position;
use crate::store::{Order, Page, ThingFilter, ThingQuery};

/// Which page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PageRequest {
    /// Items on it, at most.
    pub(crate) size: usize,
    /// Token of the page; empty for the first one.
    pub(crate) token: String,
    /// All that makes the question but the page, which the token is bound to.
    pub(crate) question: Vec<u8>,
}

/// One page.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Listed<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub(crate) next_page_token: String,
}

/// Rows that are looked at for one page, so that a list of little among much costs no more than one of everything. A row
/// that is looked at and not shown counts once more for every 4 KiB that were read of it.
pub(crate) const SCAN: usize = 10_000;

impl<T> Listed<T> {
    /// Of what the store found; `token` is of the page that begins after a position.
    pub(crate) fn new<P>(page: Page<T, P>, token: impl FnOnce(P) -> String) -> Self {
        let Page { items, next } = page;
        Self { items, next_page_token: next.map(token).unwrap_or_default() }
    }
}

impl Things {
    /// A page of the things that the caller may see listed and that pass the filter.
    pub(crate) async fn list_things(
        &self,
        caller: &Caller,
        filter: ThingFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Listed<(Thing, Style)>, Refusal> {
        let binding = Binding::new(&caller.tenant, &[b"things", &page.question]);
        let after = self.store.seal.position(binding, &page.token, Position::from_bytes)?;
        let query =
            ThingQuery { filter, order, after, limit: page.size, room: MAX_BYTES, scan: SCAN, with_embedding: false };
        let found = self.store.things.list(caller, query).await?;
        Ok(Listed::new(found, |next| self.store.seal.token(binding, &next.to_bytes())))
    }

    /// How many things the caller may see listed that pass the filter.
    pub(crate) async fn count_things(&self, caller: &Caller, filter: ThingFilter) -> Result<u64, Refusal> {
        self.store.things.count(caller, filter).await
    }
}
