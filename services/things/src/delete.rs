//! Deleting a thing, with all that cannot be without it.
//!
//! Owns what goes with a thing and in which order. Never reads or writes the store.

use domain::{Condition, Key, Reference, Relationship, Thing};
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
    /// The variants of a canonical thing.
    pub(crate) variants: Vec<Thing>,
    /// The relationships at a canonical thing, each once.
    pub(crate) relationships: Vec<Relationship>,
}

/// What deleting the thing of that name does.
pub(crate) fn plan(
    origin: Origin<'_>,
    reference: &Reference,
    condition: &Condition,
    facts: DeleteFacts,
) -> Result<Plan, Refusal> {
    let DeleteFacts { before, variants, relationships } = facts;
    let before = before.ok_or_else(|| refuse::thing_not_found(reference))?;
    condition::check(condition, &before.key, Some(before.etag), || refuse::thing_not_found(reference))?;
    let gone = (variants.len(), relationships.len());
    // What depends on the thing goes first, so that no moment of history has a relationship without its end.
    let mut mutations = Vec::with_capacity(gone.0 + gone.1 + 1);
    for relationship in relationships {
        mutations.push(origin.relationship(origin.ulid_after(Some(relationship.etag.0)), Some(relationship), None));
    }
    for thing in variants.into_iter().chain([before.clone()]) {
        mutations.push(origin.thing(origin.ulid_after(Some(thing.etag.0)), Some(thing), None));
    }
    let ulid = mutations.last().expect("the thing itself is deleted").ulid;
    let applied = Applied::Deleted { key: before.key, ulid, variants: gone.0, relationships: gone.1 };
    Ok(Plan { register: None, mutations, applied })
}
