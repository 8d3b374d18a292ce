//! Takes a relay's numbered batches, each exactly once: the only way in for mutations.

use domain::Invalid;
use proto::convert::NewEvent;
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    append::{Stored, refusal},
    journal::{Batch, RelayBatch},
};

impl EventLog {
    /// Takes batch last + 1, acknowledges again what is not above the last one, refuses what skips one.
    /// Events that are left over from another relay of the same database are told by their ULIDs.
    pub(crate) async fn append_relayed(
        &self,
        caller: &Caller,
        relay: RelayBatch,
        events: Vec<NewEvent>,
    ) -> Result<Stored, Refusal> {
        caller.require_peer()?;
        let mut batch = Batch::new(Some(relay));
        let mut ulids = Vec::with_capacity(events.len());
        for (place, event) in events.into_iter().enumerate() {
            let within = |invalid: Invalid| invalid.within(&format!("events[{place}]"));
            let tenant =
                event.tenant.clone().ok_or_else(|| within(Invalid::new("tenant", "is required in a relay's batch")))?;
            let ulid = event.ulid.ok_or_else(|| within(Invalid::new("ulid", "is required in a relay's batch")))?;
            check_mutation(&event).map_err(within)?;
            ulids.push(ulid);
            self.put(&mut batch, (self.tenant_number(&tenant), tenant), ulid, event);
        }
        let appended = self.journal.append(batch).await.map_err(|error| refusal(&error))?;
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

#[cfg(test)]
#[path = "relay_batch_test.rs"]
mod tests;
