//! Writing many changes together, all or none.
//!
//! Owns what such a write is asked and answers, and which request it repeats. Never carries out a change.

use domain::{EntityKind, Key};
use serve::Refusal;
use ulid::Ulid;

use crate::change::{Applied, Change, Outcome, Sequence, Write};
use crate::{Call, Things, refuse};

/// The most changes of one write.
pub(crate) const MAX_CHANGES: usize = 1_000;
/// How long a request id stands for what it was first given for.
pub(crate) const REMEMBERED_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// How changes are written together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Terms {
    /// Whether nothing is kept.
    pub(crate) validate_only: bool,
    /// What is carried out once, however often it is asked for.
    pub(crate) once: Option<Once>,
}

/// A request that its principal may repeat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Once {
    /// What the principal calls it.
    pub(crate) request_id: Box<str>,
    /// SHA-256 of all that it asks.
    pub(crate) digest: [u8; 32],
}

impl Once {
    /// Whether a remembered request of this id is this one; another one refuses it.
    pub(crate) fn check(&self, remembered: &[u8]) -> Result<(), Refusal> {
        if remembered == self.digest { Ok(()) } else { Err(refuse::request_id_reused(&self.request_id)) }
    }
}

/// What a change did, without the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    pub(crate) key: Key,
    pub(crate) kind: EntityKind,
    pub(crate) effect: Effect,
    /// The newest mutation of the name; none if nothing was kept.
    pub(crate) ulid: Option<Ulid>,
}

/// What happened to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// It has a state.
    Put(Outcome),
    /// It has none any more, and neither have these.
    Deleted {
        /// How many variants went with it.
        variants: usize,
        /// How many relationships went with it.
        relationships: usize,
    },
}

impl Done {
    /// What was applied to a thing or a relationship.
    pub(crate) fn of(kind: EntityKind, applied: Applied) -> Self {
        let (key, effect, ulid) = match applied {
            Applied::Thing { thing, outcome, .. } => (thing.key, Effect::Put(outcome), thing.etag.0),
            Applied::Relationship { relationship, outcome, .. } => {
                (relationship.name.into(), Effect::Put(outcome), relationship.etag.0)
            }
            Applied::Deleted { key, ulid, variants, relationships } => {
                (key, Effect::Deleted { variants, relationships }, ulid)
            }
            Applied::Namespace { .. } => unreachable!("no write registers a namespace beside others"),
        };
        Self { key, kind, effect, ulid: Some(ulid) }
    }
}

impl Things {
    /// Carries out changes in order, all or none.
    pub(crate) async fn write_things(
        &self,
        call: Call,
        changes: Vec<Change>,
        terms: Terms,
    ) -> Result<Vec<Done>, Refusal> {
        let Call { caller, provenance } = call;
        let write = Write { caller, provenance, changes, sequence: Sequence::default() };
        let is_kept = !terms.validate_only;
        let mut done = self.store.things.write_whole(write, terms).await?;
        if !is_kept {
            for done in &mut done {
                done.ulid = None;
            }
        }
        Ok(done)
    }
}
