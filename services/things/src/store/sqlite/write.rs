//! Owns which facts a change is planned from. Decides nothing: plans do.

use domain::{Condition, EntityKind, Reference, State};
use proto::convert::NewRelationship;
use serve::Refusal;

use super::failure::Failure;
use super::tables::{Linked, Tables};
use super::writer::Transaction;
use crate::change::{Applied, Change, Origin, Plan, Write};
use crate::delete::DeleteFacts;
use crate::namespaces::NamespaceFacts;
use crate::naming::Target;
use crate::put::ThingFacts;
use crate::relationships::{MAX_OUTGOING, RelationshipFacts};
use crate::store::Direction;
use crate::{delete, namespaces, patch, put, refuse, relationships};

/// Names of dependents that are read at once.
const STEP: usize = 256;

impl Transaction<'_> {
    /// Carries out the changes of a write, each for itself.
    pub(super) fn write(&mut self, write: Write) -> Result<Vec<Result<Applied, Refusal>>, Failure> {
        let Write { caller, provenance, changes, sequence: _ } = write;
        let clock = self.clock().clone();
        let origin = Origin { caller: &caller, provenance: &provenance, clock: &clock };
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            // What is refused is refused before anything of it is stored.
            let plan = match self.plan(origin, change) {
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

    fn plan(&mut self, origin: Origin<'_>, change: Change) -> Result<Plan, Failure> {
        let tables = Tables::new(self.connection, &origin.caller.tenant);
        match change {
            Change::PutThing { reference, body, condition } => {
                let target = tables.place(&reference, "thing.key")?.for_put(&reference, origin.caller)?;
                let facts = tables.thing_facts(&target)?;
                Ok(put::plan(origin, &reference, target, body, &condition, facts)?)
            }
            Change::PatchThing { reference, patch, condition } => {
                let target = tables.to_change(origin, &reference, refuse::thing_not_found)?;
                let before = tables.thing(&target.key, true)?;
                Ok(patch::plan(origin, &reference, target.style, patch, &condition, before)?)
            }
            Change::DeleteThing { reference, condition } => self.clear(origin, &reference, &condition),
            Change::PutRelationship { relationship, condition } => {
                let reference = &relationship.reference;
                let target = tables.place(reference, "relationship.key")?.for_put(reference, origin.caller)?;
                let facts = tables.relationship_facts(&target, &relationship)?;
                Ok(relationships::plan_put(origin, target, relationship, &condition, facts)?)
            }
            Change::DeleteRelationship { reference, condition } => {
                let target = tables.to_change(origin, &reference, refuse::relationship_not_found)?;
                let before = tables.relationship(&target.key.name())?.map(Linked::into_standing);
                Ok(relationships::plan_delete(origin, &reference, &condition, before)?)
            }
            Change::RegisterNamespace { ns, style } => {
                let mut facts = NamespaceFacts { present: tables.namespace(&ns)?, hides_name_of: None };
                for (outer, start) in namespaces::outer(&ns) {
                    if facts.present.is_none() && tables.has_name_below(&outer, &start)? {
                        facts.hides_name_of = Some(outer);
                        break;
                    }
                }
                Ok(namespaces::plan(origin.caller, origin.clock.now(), ns, style, facts)?)
            }
        }
    }

    /// Deletes what depends on a thing, so that no moment of history has a relationship without its end; the plan
    /// deletes the thing itself. Holds one state and some names in memory, however many there are.
    fn clear(&mut self, origin: Origin<'_>, reference: &Reference, condition: &Condition) -> Result<Plan, Failure> {
        let tenant = &origin.caller.tenant;
        let tables = Tables::new(self.connection, tenant);
        let target = tables.to_change(origin, reference, refuse::thing_not_found)?;
        let thing = delete::check(reference, condition, tables.delete_facts(&target)?)?;
        if !target.key.variant.is_canonical() {
            return Ok(delete::plan(origin, thing, 0, 0));
        }
        let (name, mut variants, mut relationships) = (target.key.name(), 0, 0);
        let mut names = tables.names_at(&name, Direction::Both, None, STEP)?;
        while let Some(last) = names.last() {
            for name_at in &names {
                if let Some(linked) = tables.relationship_at(name_at, &name, Direction::Both)? {
                    self.carry_out(tenant, &delete::deletion(origin, State::Relationship(linked.relationship)))?;
                    relationships += 1;
                }
            }
            names = tables.names_at(&name, Direction::Both, Some(last), STEP)?;
        }
        while let Some(variant) = tables.first_variant(&name)? {
            self.carry_out(tenant, &delete::deletion(origin, State::Thing(variant)))?;
            variants += 1;
        }
        Ok(delete::plan(origin, thing, variants, relationships))
    }
}

impl Tables<'_> {
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
        Ok(DeleteFacts { before, dependents: self.dependents(&target.key.name())? })
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
            let before = self.relationship(&target.key.name())?.map(Linked::into_standing);
            (before, self.last(EntityKind::Relationship, &target.key)?.map(|(last, _)| last))
        } else {
            (None, None)
        };
        Ok(RelationshipFacts { before, last, from, to, outgoing })
    }
}
