//! Writing many changes together, all or none.
//!
//! Owns what such a write is asked and answers, and which request it repeats. Never carries out a change.

use domain::EntityKind;
use proto::convert::{Effect, WriteResult};
use serve::Refusal;

use crate::change::{Applied, Change, Outcome, Sequence, Write};
use crate::{Call, Things, refuse};

/// The most changes of one write.
pub(crate) const MAX_CHANGES: usize = 1_000;
/// How long a request id stands for what it was first given for.
pub(crate) const REMEMBERED_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// How many that are too old a remembered one takes with it: more than come, so that they end, and few, so that no write waits for them.
pub(crate) const LET_GO: i64 = 100;

/// How changes are written together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Terms {
    /// Whether nothing is kept.
    pub(crate) validate_only: bool,
    /// What is carried out once, however often it is asked for.
    pub(crate) idempotency: Option<Idempotency>,
}

/// A request that its principal may repeat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Idempotency {
    /// What the principal calls it.
    pub(crate) request_id: Box<str>,
    /// SHA-256 of all that it asks.
    pub(crate) digest: [u8; 32],
}

impl Idempotency {
    /// Whether a remembered request of this id is this one; another one refuses it.
    pub(crate) fn check(&self, remembered: &[u8]) -> Result<(), Refusal> {
        if remembered == self.digest { Ok(()) } else { Err(refuse::request_id_reused(&self.request_id)) }
    }
}

/// What a change to a thing or a relationship did.
pub(crate) fn result_of(kind: EntityKind, applied: Applied) -> WriteResult {
    let effect_of = |outcome| match outcome {
        Outcome::Created => Effect::Created,
        Outcome::Replaced => Effect::Replaced,
        Outcome::Unchanged => Effect::Unchanged,
    };
    let (key, effect, ulid) = match applied {
        Applied::Thing { thing, outcome, .. } => (thing.key, effect_of(outcome), thing.etag.0),
        Applied::Relationship { relationship, outcome, .. } => {
            (relationship.name.into(), effect_of(outcome), relationship.etag.0)
        }
        Applied::Deleted { key, ulid, variants, relationships } => {
            (key, Effect::Deleted { variants, relationships }, ulid)
        }
        Applied::Namespace { .. } | Applied::Schema { .. } => {
            unreachable!("no write registers a namespace or a schema beside others")
        }
    };
    WriteResult { key, kind, effect, ulid: Some(ulid) }
}

impl Things {
    /// Carries out changes in order, all or none.
    pub(crate) async fn write_things(
        &self,
        call: Call,
        changes: Vec<Change>,
        terms: Terms,
    ) -> Result<Vec<WriteResult>, Refusal> {
        let Call { caller, provenance } = call;
        let write = Write { caller, provenance, changes, sequence: Sequence::default(), part: None };
        let is_kept = !terms.validate_only;
        let mut results = self.store.things.write_atomic(write, terms).await?;
        if !is_kept {
            for result in &mut results {
                result.ulid = None;
            }
        }
        Ok(results)
    }
}
