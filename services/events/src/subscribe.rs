//! Follows events in commit order.
//!
//! A subscriber reads the journal at its own pace: there is no queue to fill, and a slow one only lags.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use proto::events::v1 as wire;
use serve::{auth::Caller, refusal::Refusal};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    EventLog,
    filter::{Filter, Page},
    index::Order,
};

/// The longest silence.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// Events and bytes that are held for one subscriber, besides what its connection holds.
const AHEAD_EVENTS: usize = 256;
const AHEAD_BYTES: usize = 1 << 20;

/// Where to begin.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// With what is committed after the call.
    Now,
    /// With the oldest event that is kept.
    Beginning,
    /// After a position that an answer gave.
    After(String),
}

/// What a subscriber is sent.
#[derive(Debug)]
pub(crate) struct Sign {
    /// An event; none is a sign of life.
    pub(crate) event: Option<wire::Event>,
    /// Resume at this offset.
    pub(crate) resume: u64,
}

struct Subscription {
    log: Arc<EventLog>,
    caller: Caller,
    filter: Arc<Filter>,
    end: watch::Receiver<u64>,
    /// Read up to here.
    position: u64,
    ahead: VecDeque<(u64, wire::Event)>,
    draining: CancellationToken,
    _counted: Counted,
}

impl EventLog {
    /// The events that pass the filter and that the caller may see, as they are committed; first of all a sign of
    /// life with the position where it begins. Ends when the server drains.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        caller: &Caller,
        filter: Filter,
        start: &Start,
        draining: CancellationToken,
    ) -> Result<impl Stream<Item = Result<Sign, Refusal>> + use<>, Refusal> {
        caller.require_read_events()?;
        if filter.all_tenants {
            caller.require_peer()?;
        }
        let position = match start {
            Start::Now => self.index().end(),
            Start::Beginning => 0,
            Start::After(cursor) => self.offset_of("cursor", cursor)?,
        };
        let subscription = Subscription {
            log: Arc::clone(self),
            caller: caller.clone(),
            filter: Arc::new(filter),
            end: self.journal.end(),
            position,
            ahead: VecDeque::new(),
            draining,
            _counted: Counted::new(),
        };
        let begin = Ok(Sign { event: None, resume: position });
        let follow = stream::try_unfold(subscription, async |mut subscription| {
            Ok(subscription.next().await?.map(|sign| (sign, subscription)))
        });
        Ok(stream::StreamExt::chain(stream::iter([begin]), follow))
    }
}

impl Subscription {
    /// The next event or sign of life; nothing when the server drains.
    async fn next(&mut self) -> Result<Option<Sign>, Refusal> {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if let Some((offset, event)) = self.ahead.pop_front() {
                return Ok(Some(Sign { event: Some(event), resume: offset + 1 }));
            }
            if self.draining.is_cancelled() {
                return Ok(None);
            }
            if Instant::now() >= heartbeat {
                return Ok(Some(Sign { event: None, resume: self.position }));
            }
            let end = *self.end.borrow_and_update();
            if self.position < end {
                self.read_ahead(end).await?;
                continue;
            }
            tokio::select! {
                () = self.draining.cancelled() => {}
                () = tokio::time::sleep_until(heartbeat) => {}
                changed = self.end.changed() => if changed.is_err() { return Ok(None) },
            }
        }
    }

    async fn read_ahead(&mut self, end: u64) -> Result<(), Refusal> {
        let (caller, filter, position) = (self.caller.clone(), Arc::clone(&self.filter), self.position);
        let (rest, page) = self
            .log
            .blocking(move |log| {
                let mut page = Page::new(AHEAD_EVENTS, AHEAD_BYTES);
                Ok((log.step(&caller, &filter, position..end, Order::OldestFirst, &mut page)?, page))
            })
            .await?;
        self.position = rest.start;
        self.ahead = page.events.into();
        Ok(())
    }
}

/// Counts a subscriber as long as it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("annals_events_subscribers").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("annals_events_subscribers").decrement(1);
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "subscribe_test.rs"]
mod archived;
#[cfg(test)]
#[path = "subscribe_test.rs"]
mod tests;
