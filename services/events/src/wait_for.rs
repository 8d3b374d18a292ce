//! Waits until a write can be seen.

use domain::parse_ulid;
use proto::common::v1::Reason;
use serve::{auth::Caller, deadline::Deadline, refusal::Refusal};

use crate::EventLog;

impl EventLog {
    /// Returns once the event of a ULID, or everything up to a cursor, is here; `UNAVAILABLE RELAY_BEHIND` a little
    /// before the deadline. Empty waits for nothing.
    pub(crate) async fn wait_for(
        &self,
        caller: &Caller,
        wait_for: &str,
        deadline: Option<Deadline>,
    ) -> Result<(), Refusal> {
        if wait_for.is_empty() {
            return Ok(());
        }
        // A cursor is given out when everything before it is here, so there is nothing to wait for.
        let Ok(ulid) = parse_ulid("wait_for", wait_for) else {
            return self.offset_of("wait_for", wait_for).map(drop);
        };
        let tenant = self.tenant_number(&caller.tenant);
        let mut end = self.journal.end();
        let arrived = async {
            loop {
                end.borrow_and_update();
                if self.index().offset_of(tenant, ulid).is_some() {
                    return;
                }
                if end.changed().await.is_err() {
                    // The writer has stopped: nothing arrives any more.
                    std::future::pending::<()>().await;
                }
            }
        };
        let deadline = deadline.unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        tokio::time::timeout_at(deadline.give_up(), arrived).await.map_err(|_| {
            Refusal::new(Reason::RelayBehind, format!("event {ulid} had not arrived when the deadline came"))
        })
    }
}

#[cfg(test)]
#[path = "wait_for_test.rs"]
mod tests;
