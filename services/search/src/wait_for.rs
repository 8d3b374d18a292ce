//! Waits until a write can be found.

use proto::{common::v1::Reason, events::v1::ResolveCursorRequest};
use serve::{Caller, Refusal, deadline::Deadline};

use crate::{Search, look::Asked};

impl Search {
    /// Returns once the event of a ULID, or everything up to a cursor, is in the indexes that are asked; `UNAVAILABLE
    /// RELAY_BEHIND` a little before the deadline. Empty waits for nothing.
    pub(crate) async fn wait_for(
        &self,
        caller: &Caller,
        wait_for: String,
        asked: &Asked,
        deadline: Deadline,
    ) -> Result<(), Refusal> {
        if wait_for.is_empty() {
            return Ok(());
        }
        let behind = || Refusal::new(Reason::RelayBehind, "the write was not in the index when the deadline came");
        let found = async {
            let mut headers = http::HeaderMap::new();
            self.sources.credentials.sign_for(&mut headers, &caller.tenant);
            let answer = self.events(&headers, deadline).resolve_cursor(ResolveCursorRequest { wait_for }).await;
            let refused = |status| match Refusal::from_status(&status) {
                Refusal { reason: Reason::RelayBehind, .. } => behind(),
                refusal => refusal,
            };
            let cursor = answer.map_err(refused)?.into_inner().cursor;
            let cursor: domain::Cursor = cursor.parse().map_err(Refusal::internal)?;
            let texts = asked.needs_texts().then(|| self.texts.arrived.clone());
            let vectors = asked.needs_vectors().then(|| asked.semantic.vectors.arrived.clone());
            // From here on both followers see that somebody waits.
            for mut arrived in texts.into_iter().chain(vectors) {
                // Without a follower nothing arrives any more.
                arrived.wait_for(|position| *position >= cursor.offset).await.map_err(|_| behind())?;
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline.give_up(), found).await.unwrap_or_else(|_| Err(behind()))
    }
}
