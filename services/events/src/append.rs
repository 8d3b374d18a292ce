//! Stores events: identity, derived columns, journal.

use domain::{Event, Invalid, Keep, TenantId, Timestamp};
use prost::Message as _;
use proto::{
    common::v1::{EntityKind, Reason},
    convert::{NewEvent, event_to_wire},
};
use serve::{auth::Caller, refusal::Refusal};
use std::time::Duration;
use ulid::Ulid;

use crate::{
    EventLog, derive,
    index::{Entity, TenantNo},
    journal::{AppendError, Appended, Batch},
};

/// How old a client's own ULID may be.
const OLDEST_ULID: i64 = 24 * 3_600_000;
/// How far ahead a client's own ULID may be.
const NEWEST_ULID: i64 = 5 * 60_000;
/// When a full queue or a failing disk is worth another try.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The ULIDs of a batch, and where it is.
#[derive(Debug)]
pub(crate) struct Stored {
    /// In the order of the request.
    pub(crate) ulids: Vec<Ulid>,
    pub(crate) appended: Appended,
}

impl EventLog {
    /// Stores a client's events, all or none. When it returns they are on disk.
    pub(crate) async fn append(&self, caller: &Caller, events: Vec<NewEvent>) -> Result<Stored, Refusal> {
        caller.require_write_events()?;
        let (ulids, batch) = self.batch(caller, events)?;
        Ok(Stored { ulids, appended: self.store(batch).await? })
    }

    /// A client's events as the journal takes them, and their ULIDs.
    pub(crate) fn batch(&self, caller: &Caller, events: Vec<NewEvent>) -> Result<(Vec<Ulid>, Batch), Refusal> {
        if events.iter().any(|event| event.body.event_type.is_mutation()) {
            caller.require_peer()?;
            return Err(Refusal::invalid_field("relay", "is required: mutations come from a relay only"));
        }
        let now = self.clock.now();
        let mut violations = Vec::new();
        for (place, event) in events.iter().enumerate() {
            if let Err(invalid) = check_client_event(event, now) {
                violations.push(invalid.within(&format!("events[{place}]")));
            }
        }
        if !violations.is_empty() {
            return Err(Refusal::invalid(violations));
        }
        let tenant = self.tenant_number(&caller.tenant);
        let mut batch = Batch::new(None);
        let mut ulids = Vec::with_capacity(events.len());
        for event in events {
            let ulid = event.ulid.unwrap_or_else(|| self.clock.ulid());
            ulids.push(ulid);
            self.put(&mut batch, (tenant, caller.tenant.clone()), ulid, event);
        }
        Ok((ulids, batch))
    }

    /// Has the journal store a batch.
    pub(crate) async fn store(&self, batch: Batch) -> Result<Appended, Refusal> {
        self.told(self.journal.append(batch).await)
    }

    /// Tells whether the journal can be written, by what became of an append.
    pub(crate) fn told<T>(&self, stored: Result<T, AppendError>) -> Result<T, Refusal> {
        match &stored {
            Ok(_) => self.readiness.clear("journal"),
            Err(error @ AppendError::Unavailable(_)) => self.readiness.failed("journal", error.to_string()),
            Err(_) => {}
        }
        stored.map_err(|error| refusal(&error))
    }

    /// Encodes an event into a batch: from here on its bytes do not change.
    pub(crate) fn put(&self, batch: &mut Batch, (number, tenant): (TenantNo, TenantId), ulid: Ulid, event: NewEvent) {
        let NewEvent { ulid: _, tenant: _, mut body } = event;
        derive::fill(&mut body);
        let keep = Keep::of(&body.event_type);
        let epoch = self.journal.identity().epoch;
        // The writer knows when it takes the event in, and where; readers add both.
        let event = Event { ulid, tenant, timestamp: Timestamp::MIN, body, keep, epoch, journal_offset: 0 };
        let mut event = event_to_wire(event);
        event.timestamp = None;
        self.push(batch, number, ulid, &event);
    }

    /// Encodes an event, which has no `timestamp`, into a batch.
    pub(crate) fn push(&self, batch: &mut Batch, number: TenantNo, ulid: Ulid, event: &proto::events::v1::Event) {
        let kind = EntityKind::try_from(event.entity_kind).unwrap_or_default();
        let entity = Entity { kind, ns: &event.entity_ns, id: &event.entity_id };
        let entry = self.keys.entry(number, ulid, &event.event_type, entity);
        batch.push(entry, |bytes| event.encode(bytes).expect("a vector grows"));
    }
}

fn check_client_event(event: &NewEvent, now: Timestamp) -> Result<(), Invalid> {
    if event.body.mutation_type.is_some() {
        return Err(Invalid::new("mutation_type", "must be empty: it is of mutations only"));
    }
    let Some(ulid) = event.ulid else { return Ok(()) };
    let age = now.millis() - Timestamp::of_ulid(ulid).millis();
    if (-NEWEST_ULID..=OLDEST_ULID).contains(&age) {
        return Ok(());
    }
    Err(Invalid::new("ulid", "must be at most 24 hours old and 5 minutes ahead"))
}

/// What a caller is told when the journal did not take a batch.
fn refusal(error: &AppendError) -> Refusal {
    match error {
        AppendError::Full => Refusal::overloaded("the journal's queue", RETRY_AFTER),
        AppendError::Unavailable(_) => {
            Refusal::new(Reason::JournalUnavailable, error.to_string()).retry_after(RETRY_AFTER)
        }
        AppendError::Superseded(_) => Refusal::new(Reason::JournalMismatch, error.to_string()),
        AppendError::Gap { last, .. } => Refusal::new(Reason::RelayGap, error.to_string()).with("last_batch", last),
    }
}

/// The same cases with everything but the newest append in the archive: see `Fixture`.
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the module's name says where the events are")]
#[path = "append_test.rs"]
mod archived;
#[cfg(test)]
#[path = "append_test.rs"]
mod tests;
