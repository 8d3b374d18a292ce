//! Takes a relay's numbered batches, each exactly once: the only way in for mutations.

use std::sync::Arc;

use domain::{Invalid, Timestamp};
use proto::convert::NewEvent;
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    append::{Stored, refusal},
    journal::{Batch, RelayBatch, WINDOW},
};

impl EventLog {
    /// Takes batch last + 1, acknowledges again what is not above the last one, refuses what skips one.
    /// Events that are left over from another relay of the same database are told by their ULIDs, however old.
    pub(crate) async fn append_relayed(
        self: &Arc<Self>,
        caller: &Caller,
        relay: RelayBatch,
        events: Vec<NewEvent>,
    ) -> Result<Stored, Refusal> {
        caller.require_peer()?;
        let mut batch = Batch::new(Some(relay));
        let mut ulids = Vec::with_capacity(events.len());
        let oldest = self.clock.now().millis() - WINDOW;
        // Where the events of the batch stand in the request; those that are archived are not in it.
        let (mut places, mut archived) = (Vec::with_capacity(events.len()), Vec::new());
        for (place, event) in events.into_iter().enumerate() {
            let within = |invalid: Invalid| invalid.within(&format!("events[{place}]"));
            let tenant =
                event.tenant.clone().ok_or_else(|| within(Invalid::new("tenant", "is required in a relay's batch")))?;
            let ulid = event.ulid.ok_or_else(|| within(Invalid::new("ulid", "is required in a relay's batch")))?;
            check_mutation(&event).map_err(within)?;
            ulids.push(ulid);
            if Timestamp::of_ulid(ulid).millis() < oldest {
                let (log, tenant) = (Arc::clone(self), tenant.clone());
                if self.blocking(move |_| log.knows(&tenant, ulid)).await? {
                    archived.push(place as u32);
                    continue;
                }
            }
            places.push(place as u32);
            self.put(&mut batch, (self.tenant_number(&tenant), tenant), ulid, event);
        }
        let mut appended = self.journal.append(batch).await.map_err(|error| refusal(&error))?;
        archived.extend(appended.duplicates.iter().map(|place| places[*place as usize]));
        archived.sort_unstable();
        appended.duplicates = archived;
        Ok(Stored { ulids, appended })
    }
}

fn check_mutation(event: &NewEvent) -> Result<(), Invalid> {
    let body = &event.body;
    let missing = [
        ("mutation_type", body.mutation_type.is_none()),
        ("entity_id", body.entity.is_none()),
        ("data", body.data.is_none()),
        ("metadata", body.metadata.is_none()),
    ];
    if !body.event_type.is_mutation() {
        return Err(Invalid::new("event_type", "must be mutation in a relay's batch"));
    }
    match missing.into_iter().find(|(_, is_missing)| *is_missing) {
        Some((field, _)) => Err(Invalid::new(field, "is required in a mutation")),
        None => Ok(()),
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "relay_batch_test.rs"]
mod archived;
#[cfg(test)]
#[path = "relay_batch_test.rs"]
mod tests;
