//! Deleting a thing, with all that cannot be without it.
//!
//! Owns how much may go with a thing. Never reads or writes the store.

use domain::{Condition, Key, Mutation, Reference, State, Thing};
use serve::Refusal;
use ulid::Ulid;

use crate::change::{Applied, Change, Origin, Plan};
use crate::{Call, Things, condition, refuse};

impl Things {
    /// Deletes one thing.
    pub(crate) async fn delete_thing(
        &self,
        call: Call,
        reference: Reference,
        condition: Condition,
    ) -> Result<Deleted, Refusal> {
        let change = Change::DeleteThing { reference, condition };
        Ok(self.change(call, change).await?.into_deleted())
    }
}

/// What was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Deleted {
    /// Its name.
    pub(crate) key: Key,
    /// Its deletion.
    pub(crate) ulid: Ulid,
    /// How many variants went with it.
    pub(crate) variants: usize,
    /// How many relationships went with it.
    pub(crate) relationships: usize,
}

impl Applied {
    /// What the deletion that this answers did.
    pub(crate) fn into_deleted(self) -> Deleted {
        match self {
            Self::Deleted { key, ulid, variants, relationships } => Deleted { key, ulid, variants, relationships },
            other => unreachable!("a deletion answers with what is deleted, not {other:?}"),
        }
    }
}

/// What the store knows about the name of a thing that is deleted.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct DeleteFacts {
    /// Its present state.
    pub(crate) before: Option<Thing>,
    /// What goes with it.
    pub(crate) dependents: Dependents,
}

/// The variants of a canonical thing and the relationships at it; counted until they are too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Dependents {
    pub(crate) count: u64,
    /// Of their content, code and data.
    pub(crate) bytes: u64,
}

impl Dependents {
    /// The most that goes with one thing. A deletion is one transaction, and every other write waits for it: so many
    /// small ones take about a second.
    pub(crate) const MAX_COUNT: u64 = 20_000;
    /// The most bytes that go with one thing: all of them are written once more, into the outbox.
    pub(crate) const MAX_BYTES: u64 = 64 << 20;

    /// Whether they do not go with a thing.
    pub(crate) fn are_too_many(&self) -> bool {
        self.count > Self::MAX_COUNT || self.bytes > Self::MAX_BYTES
    }
}

/// The thing that is deleted, unless that is refused.
pub(crate) fn check(reference: &Reference, condition: &Condition, facts: DeleteFacts) -> Result<Thing, Refusal> {
    let DeleteFacts { before, dependents } = facts;
    let before = before.ok_or_else(|| refuse::thing_not_found(reference))?;
    condition::check(condition, &before.key, Some(before.etag), || refuse::thing_not_found(reference))?;
    if dependents.are_too_many() {
        return Err(refuse::dependents_exceeded(&before.key));
    }
    Ok(before)
}

/// The deletion of one name.
pub(crate) fn deletion(origin: Origin<'_>, before: State) -> Mutation {
    match before {
        State::Thing(thing) => origin.thing(origin.ulid_after(Some(thing.etag.0)), Some(thing), None),
        State::Relationship(relationship) => {
            origin.relationship(origin.ulid_after(Some(relationship.etag.0)), Some(relationship), None)
        }
    }
}

/// What deleting `thing` does, once what depends on it is gone: `variants` and `relationships` of them.
pub(crate) fn plan(origin: Origin<'_>, thing: Thing, variants: usize, relationships: usize) -> Plan {
    let key = thing.key.clone();
    let mutation = deletion(origin, State::Thing(thing));
    let applied = Applied::Deleted { key, ulid: mutation.ulid, variants, relationships };
    Plan { mutations: vec![mutation], ..Plan::nothing(applied) }
}
