//! Events by time, type and entity.

use std::sync::Arc;

use proto::events::v1 as wire;
use serve::{auth::Caller, page, refusal::Refusal};

use crate::{
    EventLog,
    archive::Cost,
    filter::{Filter, Page},
    index::Order,
};

/// Which events to read, and which page of them.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    pub(crate) page_size: usize,
    /// Where the page begins, from the page before.
    pub(crate) position: Option<u64>,
}

/// One page of events.
#[derive(Debug)]
pub(crate) struct QueryPage {
    pub(crate) events: Vec<wire::Event>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<u64>,
    pub(crate) cost: Cost,
}

impl EventLog {
    /// The events that pass the filter and that the caller may see, in commit order or the other way round.
    pub(crate) async fn query(self: &Arc<Self>, caller: &Caller, query: Query) -> Result<QueryPage, Refusal> {
        caller.require_read_events()?;
        let Query { filter, order, page_size, position } = query;
        let mut rest = self.index().taken_in(filter.times.start, filter.times.end);
        match (order, position) {
            (_, None) => {}
            (Order::OldestFirst, Some(position)) => rest.start = rest.start.max(position),
            (Order::NewestFirst, Some(position)) => rest.end = rest.end.min(position),
        }
        let filter = Arc::new(filter);
        let mut page = Page::new(page_size, page::MAX_BYTES);
        while !rest.is_empty() && !page.is_full {
            let (caller, filter) = (caller.clone(), Arc::clone(&filter));
            (rest, page) =
                self.blocking(move |log| Ok((log.step(&caller, &filter, rest, order, &mut page)?, page))).await?;
        }
        let boundary = match order {
            Order::OldestFirst => rest.start,
            Order::NewestFirst => rest.end,
        };
        let events = page.events.into_iter().map(|(_, event)| event).collect();
        Ok(QueryPage { events, next: page.is_full.then_some(boundary), cost: page.cost })
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "query_test.rs"]
mod archived;
#[cfg(test)]
#[path = "query_test.rs"]
mod tests;
