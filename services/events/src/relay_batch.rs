//! Takes a relay's numbered batches, each exactly once: the only way in for mutations.

use domain::{Entity, Invalid};
use proto::convert::NewEvent;
use serve::{auth::Caller, refusal::Refusal};
use ulid::Ulid;

use crate::{
    EventLog,
    append::Stored,
    index::TenantNo,
    journal::{Batch, RelayBatch},
};

/// A mutation as it was delivered: whose, and of which name.
struct Delivered {
    ulid: Ulid,
    tenant: TenantNo,
    entity: u64,
}

impl EventLog {
    /// Takes batch last + 1, acknowledges again what is not above the last one, refuses what skips one.
    /// Events that are left over from another relay of the same database are told by their ULIDs.
    ///
    /// A duplicate that is not here under its own name (its ULID is another name's, or its batch's number was another
    /// batch's, of a database that was put back) is lost: the relay goes on, so it is an error in the log.
    pub(crate) async fn append_relayed(
        &self,
        caller: &Caller,
        relay: RelayBatch,
        events: Vec<NewEvent>,
    ) -> Result<Stored, Refusal> {
        caller.require_peer()?;
        let mut batch = Batch::new(Some(relay));
        let mut delivered = Vec::with_capacity(events.len());
        for (place, event) in events.into_iter().enumerate() {
            let within = |invalid: Invalid| invalid.within(&format!("events[{place}]"));
            let tenant =
                event.tenant.clone().ok_or_else(|| within(Invalid::new("tenant", "is required in a relay's batch")))?;
            let ulid = event.ulid.ok_or_else(|| within(Invalid::new("ulid", "is required in a relay's batch")))?;
            let Entity { kind, key, .. } = check_mutation(&event).map_err(within)?;
            let number = self.tenant_number(&tenant);
            let entity = self.entity(number, *kind, key.ns.as_str(), &key.entity_id());
            delivered.push(Delivered { ulid, tenant: number, entity });
            self.put(&mut batch, (number, tenant), ulid, event);
        }
        let appended = self.store(batch).await?;
        for place in &appended.duplicates {
            let mutation = &delivered[*place as usize];
            if !self.is_here(mutation) {
                metrics::counter!("annals_events_lost_mutations_total").increment(1);
                let (ulid, batch) = (mutation.ulid, relay.number);
                tracing::error!(%ulid, relay = %relay.relay, batch, "a mutation was taken for another one and is lost");
            }
        }
        Ok(Stored { ulids: delivered.into_iter().map(|mutation| mutation.ulid).collect(), appended })
    }

    /// Whether the mutation of this name and ULID is in the log.
    fn is_here(&self, mutation: &Delivered) -> bool {
        let (index, word) = (self.index(), self.keys.word("mutation"));
        index
            .of_entity(mutation.entity)
            .any(|(_, row)| row.ulid() == mutation.ulid && row.tenant() == mutation.tenant && row.event_type == word)
    }
}

/// What a mutation is about; refuses one that is not whole.
fn check_mutation(event: &NewEvent) -> Result<&Entity, Invalid> {
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
    if let Some((field, _)) = missing.into_iter().find(|(_, is_missing)| *is_missing) {
        return Err(Invalid::new(field, "is required in a mutation"));
    }
    Ok(body.entity.as_ref().expect("it is not missing"))
}

#[cfg(test)]
#[path = "relay_batch_test.rs"]
mod tests;
