//! Settling, as the first half of a read of the past without one name.
//!
//! Owns the promise that such a read is not behind what was committed here, and can be repeated. Never reads the past.

use domain::Timestamp;
use proto::common::v1::Reason;
use proto::events::v1::events_service_client::EventsServiceClient;
use serve::Refusal;
use serve::deadline::Deadline;

use crate::{Things, relay};

impl Things {
    /// A position of events behind every mutation that was committed before. No later mutation gets a ULID at or before
    /// `as_of` (or the time of the call). `RELAY_BEHIND` a little before the deadline.
    pub(crate) async fn settle(&self, as_of: Option<Timestamp>, deadline: Deadline) -> Result<String, Refusal> {
        self.pass(as_of).await?;
        let settled = tokio::time::timeout_at(deadline.give_up(), self.store.outbox.settle()).await;
        settled.unwrap_or_else(|_| {
            let behind = "what was written before had not arrived at events when the deadline came";
            Err(Refusal::new(Reason::RelayBehind, behind))
        })?;
        relay::cursor(EventsServiceClient::new(self.events.clone()), deadline).await
    }
}
