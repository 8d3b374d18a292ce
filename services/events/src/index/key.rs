//! Owns how an event becomes what the index keeps of it. The hashes are keyed anew in every process:
//! they narrow a search, the event itself decides.

use std::hash::{BuildHasher as _, RandomState};

use domain::{TenantId, parse_ulid};
use proto::common::v1::EntityKind;
use ulid::Ulid;

use super::{Entry, TenantNo};

/// The columns of `annals.events.v1.Event` that the index needs, and no others: the rest of an event is skipped
/// when the journal is read at start.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Stored {
    #[prost(string, tag = "1")]
    ulid: String,
    #[prost(string, tag = "4")]
    event_type: String,
    #[prost(string, tag = "6")]
    entity_ns: String,
    #[prost(string, tag = "7")]
    entity_id: String,
    #[prost(enumeration = "EntityKind", tag = "9")]
    entity_kind: i32,
    #[prost(string, tag = "37")]
    tenant: String,
}

impl Stored {
    /// Whose it is; nothing if the event is not one of ours.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.tenant.parse().ok()
    }

    /// What it is about.
    pub(crate) fn entity(&self) -> Entity<'_> {
        Entity { kind: self.entity_kind(), ns: &self.entity_ns, id: &self.entity_id }
    }

    /// What the index keeps; nothing if the event is not one of ours.
    pub(crate) fn entry(&self, keys: &Keys, tenant: TenantNo) -> Option<Entry> {
        let ulid = parse_ulid("ulid", &self.ulid).ok()?;
        Some(keys.entry(tenant, ulid, &self.event_type, self.entity()))
    }
}

/// What an event is about; without namespace, nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entity<'a> {
    pub(crate) kind: EntityKind,
    pub(crate) ns: &'a str,
    pub(crate) id: &'a str,
}

/// The event type `mutation`: exact, because what is a mutation and what is not are told apart by it.
pub(crate) const MUTATION: u32 = 1;

/// Makes hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(RandomState);

impl Keys {
    /// What the index keeps of an event.
    pub(crate) fn entry(&self, tenant: TenantNo, ulid: Ulid, event_type: &str, entity: Entity<'_>) -> Entry {
        Entry {
            tenant,
            ulid,
            event_type: self.word(event_type),
            ns: self.word(entity.ns),
            entity: self.entity(tenant, entity),
        }
    }

    /// Of an event type or a namespace; 0 for none, and a number of its own for `mutation`.
    pub(crate) fn word(&self, word: &str) -> u32 {
        match word {
            "" => 0,
            "mutation" => MUTATION,
            _ => (self.0.hash_one(word) as u32).max(MUTATION + 1),
        }
    }

    /// Of an entity; 0 for none.
    pub(crate) fn entity(&self, tenant: TenantNo, entity: Entity<'_>) -> u64 {
        let Entity { kind, ns, id } = entity;
        if ns.is_empty() { 0 } else { self.0.hash_one((tenant.0, kind as i32, ns, id)).max(1) }
    }
    /// Of an event's identity.
    pub(super) fn ulid(&self, tenant: TenantNo, ulid: Ulid) -> u64 {
        self.0.hash_one((tenant.0, ulid.0))
    }
}
