//! Takes a relay's numbered batches, each exactly once: the only way in for mutations.

use std::sync::Arc;

use domain::{Entity, Invalid, Timestamp};
use proto::convert::NewEvent;
use serve::{auth::Caller, refusal::Refusal};
use ulid::Ulid;

use crate::{
    EventLog,
    append::Stored,
    archive::Table,
    index::TenantNo,
    journal::{Batch, RelayBatch, WINDOW},
};

/// A mutation as it was delivered: where in the request, whose, and of which name.
struct Delivered {
    place: u32,
    ulid: Ulid,
    tenant: TenantNo,
    entity: u64,
}

impl EventLog {
    /// Takes batch last + 1, acknowledges again what is not above the last one, refuses what skips one.
    /// Events that are left over from another relay of the same database are told by their ULIDs, however old.
    ///
    /// A duplicate that is another name's mutation is lost: the relay goes on, so it is an error in the log.
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
        // What is in the batch, and where it stands in the request; what is archived is not in it.
        let (mut delivered, mut archived) = (Vec::with_capacity(events.len()), Vec::new());
        for (place, event) in events.into_iter().enumerate() {
            let within = |invalid: Invalid| invalid.within(&format!("events[{place}]"));
            let tenant =
                event.tenant.clone().ok_or_else(|| within(Invalid::new("tenant", "is required in a relay's batch")))?;
            let ulid = event.ulid.ok_or_else(|| within(Invalid::new("ulid", "is required in a relay's batch")))?;
            let Entity { kind, key, .. } = check_mutation(&event).map_err(within)?;
            let number = self.tenant_number(&tenant);
            let entity = self.entity(number, *kind, key.ns.as_str(), &key.entity_id());
            ulids.push(ulid);
            if Timestamp::of_ulid(ulid).millis() < oldest {
                // Among mutations only: a client's event of the same ULID must not keep this one out.
                let (tenant, id) = (tenant.clone(), key.entity_id().into_owned());
                let is_archived = move |log: &Self| log.is_archived(Table::History, &tenant, ulid, Some(&id));
                if self.blocking(is_archived).await? {
                    archived.push(place as u32);
                    continue;
                }
            }
            delivered.push(Delivered { place: place as u32, ulid, tenant: number, entity });
            self.put(&mut batch, (number, tenant), ulid, event);
        }
        let mut appended = self.store(batch).await?;
        for place in &appended.duplicates {
            let mutation = &delivered[*place as usize];
            archived.push(mutation.place);
            if self.is_anothers(mutation) {
                metrics::counter!("annals_events_lost_mutations_total").increment(1);
                let (ulid, batch) = (mutation.ulid, relay.number);
                tracing::error!(%ulid, relay = %relay.relay, batch, "a mutation was taken for another one and is lost");
            }
        }
        archived.sort_unstable();
        appended.duplicates = archived;
        Ok(Stored { ulids, appended })
    }

    /// Whether the journal has another name's mutation under this ULID.
    fn is_anothers(&self, mutation: &Delivered) -> bool {
        let index = self.index();
        let found = index.mutation_of(mutation.tenant, mutation.ulid);
        found.is_some_and(|row| row.entity != mutation.entity)
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

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "relay_batch_test.rs"]
mod archived;
#[cfg(test)]
#[path = "relay_batch_test.rs"]
mod tests;
