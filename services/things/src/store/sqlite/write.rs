//! Owns which facts a change is planned from. Decides nothing: plans do.

use domain::{EntityKind, Reference};
use proto::convert::NewRelationship;
use serve::Refusal;

use super::failure::Failure;
use super::tables::Tables;
use super::writer::Transaction;
use crate::change::{Applied, Change, Origin, Plan, Write};
use crate::delete::DeleteFacts;
use crate::namespaces::NamespaceFacts;
use crate::naming::Target;
use crate::put::ThingFacts;
use crate::relationships::{MAX_OUTGOING, RelationshipFacts};
use crate::{delete, namespaces, patch, put, refuse, relationships};

impl Transaction<'_> {
    /// Carries out the changes of a write, each for itself.
    pub(super) fn write(&mut self, write: Write) -> Result<Vec<Result<Applied, Refusal>>, Failure> {
        let Write { caller, provenance, changes } = write;
        let clock = self.clock().clone();
        let origin = Origin { caller: &caller, provenance: &provenance, clock: &clock };
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            let plan = match self.tables(&caller.tenant).plan(origin, change) {
                Ok(plan) => plan,
                Err(Failure::Refused(refusal)) => {
                    answers.push(Err(refusal));
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            self.apply(&caller.tenant, &plan)?;
            answers.push(Ok(plan.applied));
        }
        Ok(answers)
    }
}

impl Tables<'_> {
    fn plan(&self, origin: Origin<'_>, change: Change) -> Result<Plan, Failure> {
        match change {
            Change::PutThing { reference, body, condition } => {
                let target = self.place(&reference, "thing.key")?.for_put(&reference, origin.caller)?;
                let facts = self.thing_facts(&target)?;
                Ok(put::plan(origin, &reference, target, body, &condition, facts)?)
            }
            Change::PatchThing { reference, patch, condition } => {
                let target = self.to_change(origin, &reference, refuse::thing_not_found)?;
                let before = self.thing(&target.key, true)?;
                Ok(patch::plan(origin, &reference, target.style, patch, &condition, before)?)
            }
            Change::DeleteThing { reference, condition } => {
                let target = self.to_change(origin, &reference, refuse::thing_not_found)?;
                let facts = self.delete_facts(&target)?;
                Ok(delete::plan(origin, &reference, &condition, facts)?)
            }
            Change::PutRelationship { relationship, condition } => {
                let reference = &relationship.reference;
                let target = self.place(reference, "relationship.key")?.for_put(reference, origin.caller)?;
                let facts = self.relationship_facts(&target, &relationship)?;
                Ok(relationships::plan_put(origin, target, relationship, &condition, facts)?)
            }
            Change::DeleteRelationship { reference, condition } => {
                let target = self.to_change(origin, &reference, refuse::relationship_not_found)?;
                let before = self.relationship(&target.key.name())?.map(|linked| linked.relationship);
                Ok(relationships::plan_delete(origin, &reference, &condition, before)?)
            }
            Change::RegisterNamespace { ns, style } => {
                let mut facts = NamespaceFacts { present: self.namespace(&ns)?, hides_name_of: None };
                for (outer, start) in namespaces::outer(&ns) {
                    if facts.present.is_none() && self.has_name_below(&outer, &start)? {
                        facts.hides_name_of = Some(outer);
                        break;
                    }
                }
                Ok(namespaces::plan(origin.caller, origin.clock.now(), ns, style, facts)?)
            }
        }
    }

    fn to_change(
        &self,
        origin: Origin<'_>,
        reference: &Reference,
        not_found: impl FnOnce(&Reference) -> Refusal,
    ) -> Result<Target, Failure> {
        let target = self.place(reference, "key")?.for_change(reference, origin.caller)?;
        Ok(target.ok_or_else(|| not_found(reference))?)
    }

    fn thing_facts(&self, target: &Target) -> Result<ThingFacts, Failure> {
        let Target { key, is_registered, .. } = target;
        if !is_registered {
            return Ok(ThingFacts::default());
        }
        let before = self.thing(key, true)?;
        if before.is_some() {
            return Ok(ThingFacts { before, last: None, has_canonical: true });
        }
        let last = self.last(EntityKind::Thing, key)?.map(|(last, _)| last);
        let has_canonical = !key.variant.is_canonical() && self.canonical(&key.name())?.is_some();
        Ok(ThingFacts { before, last, has_canonical })
    }

    fn delete_facts(&self, target: &Target) -> Result<DeleteFacts, Failure> {
        let before = self.thing(&target.key, false)?;
        if before.is_none() || !target.key.variant.is_canonical() {
            return Ok(DeleteFacts { before, ..DeleteFacts::default() });
        }
        let name = target.key.name();
        Ok(DeleteFacts { before, variants: self.variants(&name)?, relationships: self.all_at(&name)? })
    }

    fn relationship_facts(
        &self,
        target: &Target,
        relationship: &NewRelationship,
    ) -> Result<RelationshipFacts, Failure> {
        let from = self.end(&relationship.from, "relationship.from")?;
        let to = self.end(&relationship.to, "relationship.to")?;
        let outgoing = match &from {
            Some(from) => self.outgoing(&from.name, MAX_OUTGOING)?,
            None => 0,
        };
        let (before, last) = if target.is_registered {
            let before = self.relationship(&target.key.name())?.map(|linked| linked.relationship);
            (before, self.last(EntityKind::Relationship, &target.key)?.map(|(last, _)| last))
        } else {
            (None, None)
        };
        Ok(RelationshipFacts { before, last, from, to, outgoing })
    }
}
