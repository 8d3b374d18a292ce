//! Waits until a write can be seen.

use std::sync::Arc;

use domain::parse_ulid;
use proto::common::v1::Reason;
use serve::{auth::Caller, deadline::Deadline, refusal::Refusal};

use crate::EventLog;

impl EventLog {
    /// A position behind a write, once that is here: of a ULID or a cursor.
    pub(crate) async fn resolve_cursor(
        self: &Arc<Self>,
        caller: &Caller,
        wait_for: &str,
        deadline: Option<Deadline>,
    ) -> Result<u64, Refusal> {
        caller.require_read_events()?;
        if wait_for.is_empty() {
            return Err(Refusal::invalid_field("wait_for", "is required"));
        }
        self.wait_for(caller, wait_for, deadline).await?;
        let Ok(ulid) = parse_ulid("wait_for", wait_for) else { return self.offset_of("wait_for", wait_for) };
        let tenant = self.tenant_number(&caller.tenant);
        let index = self.index();
        // What is not in the journal any more is in front of it.
        Ok(index.offset_of(tenant, ulid).map_or(index.beginning(), |offset| offset + 1))
    }

    /// Returns once the event of a ULID, or everything up to a cursor, is here; `UNAVAILABLE RELAY_BEHIND` a little
    /// before the deadline. Empty waits for nothing.
    pub(crate) async fn wait_for(
        self: &Arc<Self>,
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
        let here =
            || Ok::<_, Refusal>(self.index().offset_of(tenant, ulid).is_some() || self.has_lately(tenant, ulid)?);
        let arrived = async {
            // One that left the journal long ago is looked for once: it does not arrive any more.
            end.borrow_and_update();
            let (log, name) = (Arc::clone(self), caller.tenant.clone());
            if here()? || self.blocking(move |_| log.knows(&name, ulid)).await? {
                return Ok(());
            }
            loop {
                end.borrow_and_update();
                if here()? {
                    return Ok(());
                }
                if end.changed().await.is_err() {
                    // The writer has stopped: nothing arrives any more.
                    std::future::pending::<()>().await;
                }
            }
        };
        let deadline = deadline.unwrap_or_else(|| Deadline::after(serve::deadline::UNARY));
        tokio::time::timeout_at(deadline.give_up(), arrived).await.unwrap_or_else(|_| {
            let behind = format!("event {ulid} had not arrived when the deadline came");
            Err(Refusal::new(Reason::RelayBehind, behind))
        })
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "wait_for_test.rs"]
mod archived;
#[cfg(test)]
#[path = "wait_for_test.rs"]
mod tests;
