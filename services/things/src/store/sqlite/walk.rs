//! Owns walking along the relationships of one tenant, and what things are in short.

use domain::{Name, TypeName, Visibility};
use rusqlite::{Row, params};
use serve::Caller;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::naming::Target;
use crate::refuse;
use crate::sight::{Way, sees};
use crate::store::Direction;
use crate::store::encoding::end_hash;
use crate::store::facts::Facts as _;
use crate::stream::Sink;
use crate::summary::{self, Summary};
use crate::traverse::{Part, Reached, Step, Traversal, Walk};

impl Tables<'_> {
    /// Gives what a walk reaches. It asks for the relationships of one thing after the other.
    pub(super) fn traverse(&self, caller: &Caller, traversal: &Traversal, sink: &Sink<Part>) -> Result<(), Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let not_found = || refuse::thing_not_found(&traversal.thing);
        let Target { key, .. } = self.place(&traversal.thing, "thing")?.for_read().ok_or_else(not_found)?;
        let from = key.name();
        let visibility = self.canonical(&from)?;
        let is_seen = |way| visibility.is_some_and(|visibility| sees(caller, way, &from.ns, visibility));
        if !is_seen(Way::ByName) {
            return Err(not_found().into());
        }
        let mut walk = Walk::new(from.clone(), traversal);
        while is_seen(Way::Listed)
            && let Some(via) = walk.next(1).pop()
        {
            self.walk_from(caller, &via, traversal, &mut walk, sink)?;
        }
        if walk.has_last_part() { self.tell(&mut walk, sink) } else { Ok(()) }
    }

    fn walk_from(
        &self,
        caller: &Caller,
        via: &Name,
        traversal: &Traversal,
        walk: &mut Walk,
        sink: &Sink<Part>,
    ) -> Result<(), Failure> {
        let mut statement = self.connection.prepare_cached(steps(traversal.direction))?;
        let params = params![self.tenant.as_str(), end_hash(via), via.ns.as_str(), via.id.as_str()];
        let mut found = statement.query(params)?;
        while let Some(row) = found.next()? {
            let (step, visibility) = step(row, via)?;
            let is_asked = traversal.types.is_empty() || traversal.types.contains(&step.relationship_type);
            if !is_asked || walk.has_seen(&step.to) || !sees(caller, Way::Listed, &step.relationship.ns, visibility) {
                continue;
            }
            let is_listed = |visibility| sees(caller, Way::Listed, &step.to.ns, visibility);
            if !self.canonical(&step.to)?.is_some_and(is_listed) {
                continue;
            }
            if !walk.takes(step) {
                break;
            }
            if walk.has_part() {
                self.tell(walk, sink)?;
            }
        }
        Ok(())
    }

    fn tell(&self, walk: &mut Walk, sink: &Sink<Part>) -> Result<(), Failure> {
        let (steps, is_truncated) = walk.part();
        let mut things = Vec::with_capacity(steps.len());
        for (depth, step) in steps {
            things.push(Reached { thing: self.summary(&step.to)?, depth, step });
        }
        Ok(sink.give_here(Part { things, is_truncated })?)
    }

    /// A thing in short, which is there. By primary keys.
    pub(super) fn summary(&self, name: &Name) -> Result<Summary, Failure> {
        let sql = "select n.style, t.type, t.visibility,
                case when octet_length(t.data) <= ?4 then t.data end
            from things t join namespaces n on n.tenant = t.tenant and n.ns = t.ns
            where t.tenant = ?1 and t.ns = ?2 and t.id = ?3 and t.variant = ''";
        let mut statement = self.connection.prepare_cached(sql)?;
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str(), summary::MAX_DATA];
        Ok(statement.query_row(params, |row| {
            Ok(Summary {
                name: name.clone(),
                style: rows::style(row, 0)?,
                thing_type: rows::type_name(row, 1)?,
                visibility: rows::visibility(row, 2)?,
                title: summary::title(rows::data(row, 3)?.as_ref()),
            })
        })?)
    }
}

/// The step that a row is, and who sees its relationship.
fn step(row: &Row<'_>, via: &Name) -> rusqlite::Result<(Step, Visibility)> {
    let relationship_type: TypeName = rows::type_name(row, 2)?;
    let direction = if row.get(6)? { Direction::Outgoing } else { Direction::Incoming };
    let (relationship, to) = (rows::name(row, 0)?, rows::name(row, 4)?);
    Ok((Step { via: via.clone(), relationship, relationship_type, direction, to }, rows::visibility(row, 3)?))
}

/// The relationships at a thing by name, with their other ends. The indexes (`relationships_from`, `relationships_to`) are in this
/// order.
fn steps(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => {
            "select ns, id, type, visibility, to_ns, to_id, 1 from relationships
            where tenant = ?1 and from_hash = ?2 and from_ns = ?3 and from_id = ?4
            order by ns, id"
        }
        Direction::Incoming => {
            "select ns, id, type, visibility, from_ns, from_id, 0 from relationships
            where tenant = ?1 and to_hash = ?2 and to_ns = ?3 and to_id = ?4
            order by ns, id"
        }
        Direction::Both => {
            "select ns, id, type, visibility, to_ns, to_id, 1 from relationships
            where tenant = ?1 and from_hash = ?2 and from_ns = ?3 and from_id = ?4
            union all
            select ns, id, type, visibility, from_ns, from_id, 0 from relationships
            where tenant = ?1 and to_hash = ?2 and to_ns = ?3 and to_id = ?4
            order by ns, id"
        }
    }
}
