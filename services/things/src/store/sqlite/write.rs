//! Owns how the changes of a write follow each other, and what goes with a deleted thing. Decides nothing: plans do.

use domain::{Condition, Reference, State};
use proto::convert::WriteResult;
use serve::Refusal;

use super::failure::Failure;
use super::tables::Tables;
use super::writer::Transaction;
use crate::atomic::{Terms, result_of};
use crate::change::{Applied, Change, Origin, Plan, Write};
use crate::store::Direction;
use crate::store::facts::Facts as _;
use crate::{delete, refuse, schemas};

/// Names of dependents that are read at once.
const STEP: usize = 256;

impl Transaction<'_> {
    /// Carries out the changes of a write, each for itself.
    pub(super) fn write(&mut self, write: Write) -> Result<Vec<Result<Applied, Refusal>>, Failure> {
        let Write { caller, provenance, changes, sequence: _, part } = write;
        let (clock, now) = (self.clock().clone(), self.clock().now());
        if let Some(part) = &part {
            part.check(self.tables(&caller.tenant).imported(&caller.principal, &part.import_id, now)?)?;
        }
        let origin = Origin { caller: &caller, provenance: &provenance, clock: &clock };
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            // What is refused is refused before anything of it is stored.
            match self.change(origin, change) {
                Ok(applied) => answers.push(Ok(applied)),
                Err(Failure::Refused(refusal)) => answers.push(Err(refusal)),
                Err(failure) => return Err(failure),
            }
        }
        if let Some(part) = part {
            self.tables(&caller.tenant).note_imported(&caller.principal, &part, now)?;
        }
        Ok(answers)
    }

    /// Carries out the changes of a write, all or none.
    pub(super) fn write_atomic(&mut self, write: Write, terms: &Terms) -> Result<Vec<WriteResult>, Failure> {
        let Terms { validate_only, idempotency } = terms;
        let (caller, now) = (write.caller.clone(), self.clock().now());
        if let Some(idempotency) = idempotency
            && let Some(done) = self.tables(&caller.tenant).answered(&caller.principal, idempotency, now)?
        {
            return Ok(done);
        }
        let done = if *validate_only { self.undone(|this| this.all(write)) } else { self.all(write) }?;
        if let Some(idempotency) = idempotency {
            self.tables(&caller.tenant).remember(&caller.principal, idempotency, &done, now)?;
        }
        Ok(done)
    }

    fn all(&mut self, write: Write) -> Result<Vec<WriteResult>, Failure> {
        let Write { caller, provenance, changes, sequence: _, part: _ } = write;
        let clock = self.clock().clone();
        let origin = Origin { caller: &caller, provenance: &provenance, clock: &clock };
        let mut done = Vec::with_capacity(changes.len());
        for (number, change) in changes.into_iter().enumerate() {
            let kind = change.kind();
            match self.change(origin, change) {
                Ok(applied) => done.push(result_of(kind, applied)),
                Err(Failure::Refused(refusal)) => return Err(refuse::of_change(number, refusal).into()),
                Err(failure) => return Err(failure),
            }
        }
        Ok(done)
    }

    fn change(&mut self, origin: Origin<'_>, change: Change) -> Result<Applied, Failure> {
        let plan = self.plan(origin, change)?;
        self.apply(&origin.caller.tenant, &plan)?;
        Ok(plan.applied)
    }

    fn plan(&mut self, origin: Origin<'_>, change: Change) -> Result<Plan, Failure> {
        match change {
            Change::DeleteThing { reference, condition } => self.clear(origin, &reference, &condition),
            Change::PutSchema { ns, thing_type, schema, since } => {
                let facts =
                    self.tables(&origin.caller.tenant).schema_facts(&ns, &thing_type, Some((&schema, since)))?;
                Ok(schemas::plan_put(origin, ns, thing_type, &schema, facts)?)
            }
            Change::DeleteSchema { ns, thing_type } => {
                let facts = self.tables(&origin.caller.tenant).schema_facts(&ns, &thing_type, None)?;
                Ok(schemas::plan_delete(origin.caller, &ns, &thing_type, facts)?)
            }
            other => Tables::new(self.connection, &origin.caller.tenant).plan(origin, other),
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
