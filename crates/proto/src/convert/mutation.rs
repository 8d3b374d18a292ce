//! Mutations and states of the past.

use domain::{EventType, Invalid, Mutation, MutationType, Provenance, State, TenantId, Timestamp};

use super::{entity_kind_to_wire, event_from_wire, relationship_to_wire, thing_to_wire, timestamp_to_wire};
use crate::events::v1 as wire;

/// On the wire, whole: who may see what of it is the service's to decide before.
pub fn mutation_to_wire(mutation: Mutation) -> wire::Mutation {
    let mutation_type = match mutation.mutation_type() {
        MutationType::Created => wire::MutationType::Created,
        MutationType::Updated => wire::MutationType::Updated,
        MutationType::Deleted => wire::MutationType::Deleted,
    };
    let Mutation { ulid, entity: _, before, after, provenance } = mutation;
    let Provenance { actor, request_id, cause } = provenance;
    wire::Mutation {
        ulid: ulid.to_string(),
        timestamp: Some(timestamp_to_wire(Timestamp::of_ulid(ulid))),
        mutation_type: mutation_type.into(),
        before: before.map(state_to_wire),
        after: after.map(state_to_wire),
        actor: actor.into(),
        request_id: request_id.into(),
        cause: cause.into(),
    }
}

/// On the wire, without URL: only things knows the style of a namespace.
pub fn state_to_wire(state: State) -> wire::State {
    let state = match state {
        State::Thing(thing) => wire::state::State::Thing(thing_to_wire(thing, String::new())),
        State::Relationship(relationship) => {
            wire::state::State::Relationship(relationship_to_wire(relationship, String::new()))
        }
    };
    wire::State { state: Some(state) }
}

/// The event that a relay sends: what `Mutation::from_event` reads back. Columns that say nothing of a mutation are empty.
pub fn mutation_event(tenant: &TenantId, mutation: &Mutation) -> wire::Event {
    let Mutation { ulid, entity, before: _, after: _, provenance: _ } = mutation;
    let domain::Entity { kind, key, entity_type } = entity;
    wire::Event {
        ulid: ulid.to_string(),
        event_timestamp: Some(timestamp_to_wire(Timestamp::of_ulid(*ulid))),
        event_type: EventType::mutation().as_str().into(),
        mutation_type: mutation.mutation_type().as_str().into(),
        entity_ns: key.ns.as_str().into(),
        entity_id: key.entity_id().into(),
        entity_type: entity_type.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        entity_kind: entity_kind_to_wire(*kind).into(),
        data: mutation.data().as_str().into(),
        metadata: mutation.metadata().as_str().into(),
        tenant: tenant.as_str().into(),
        ..wire::Event::default()
    }
}

/// The mutation that such an event says.
pub fn mutation(event: wire::Event) -> Result<Mutation, Invalid> {
    let event = event_from_wire(event)?;
    let missing = |field| Invalid::new(field, "is missing in a stored mutation");
    let entity = event.body.entity.ok_or_else(|| missing("entity_id"))?;
    let data = event.body.data.ok_or_else(|| missing("data"))?;
    let metadata = event.body.metadata.ok_or_else(|| missing("metadata"))?;
    Mutation::from_event(event.ulid, entity, data.as_str(), metadata.as_str())
}
