//! Owns the relationships at a thing of one tenant: keyset pages over the indexes of their ends.

use domain::Name;
use rusqlite::params;
use serve::Caller;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::naming::Target;
use crate::sight::{Way, sees};
use crate::store::encoding::end_hash;
use crate::store::facts::{Facts as _, Linked};
use crate::store::filling::Filling;
use crate::store::{Direction, RelationshipPage, RelationshipQuery};
use crate::summary::Summary;

/// Names of relationships that are read at once.
const STEP: usize = 64;

impl Tables<'_> {
    /// A page of the relationships at a thing and what is at their other ends, if the caller may see it. Names come from the index of the end, in
    /// order; each is looked up and skipped if the caller may not see it.
    pub(super) fn relationships(
        &self,
        caller: &Caller,
        query: &RelationshipQuery,
    ) -> Result<Option<(RelationshipPage, Vec<Summary>)>, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let Some(Target { key, .. }) = self.place(&query.thing, "thing")?.for_read() else { return Ok(None) };
        let name = key.name();
        if !self.canonical(&name)?.is_some_and(|visibility| sees(caller, Way::ByName, &name.ns, visibility)) {
            return Ok(None);
        }
        let page = self.relationships_at(caller, &name, query)?;
        let others = query.others(&name, &page).into_iter().map(|name| self.summary(name));
        let others = others.collect::<Result<_, _>>()?;
        Ok(Some((page, others)))
    }

    fn relationships_at(
        &self,
        caller: &Caller,
        name: &Name,
        query: &RelationshipQuery,
    ) -> Result<RelationshipPage, Failure> {
        let RelationshipQuery { thing: _, direction, relationship_type, after, limit, room, scan, with_others: _ } =
            query;
        let mut page = Filling::new(*limit, *room, *scan);
        let mut names = self.names_at(name, *direction, after.as_ref(), STEP)?;
        while let Some(last) = names.last().cloned() {
            for name_at in names {
                if page.is_spent() {
                    return Ok(page.cut());
                }
                let linked = self.relationship_at(&name_at, name, *direction)?;
                if !Linked::pass(linked, name_at, (caller, relationship_type.as_ref()), &mut page) {
                    return Ok(page.cut());
                }
            }
            names = self.names_at(name, *direction, Some(&last), STEP)?;
        }
        Ok(page.end())
    }

    /// The names of the relationships at a thing, in order, at most `limit`. Two names of things may have one hash:
    /// [`Self::relationship_at`] tells.
    pub(super) fn names_at(
        &self,
        thing: &Name,
        direction: Direction,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Name>, Failure> {
        let mut statement = self.connection.prepare_cached(names_at(direction))?;
        let (ns, id) = after.map_or(("", ""), |after| (after.ns.as_str(), after.id.as_str()));
        let params = params![self.tenant.as_str(), end_hash(thing), ns, id, limit];
        let names = statement.query_map(params, |row| rows::name(row, 0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// The relationship of that name, if `thing` is such an end of it.
    pub(super) fn relationship_at(
        &self,
        name: &Name,
        thing: &Name,
        direction: Direction,
    ) -> Result<Option<Linked>, Failure> {
        let found = self.relationship(name)?;
        Ok(found.filter(|Linked { relationship, .. }| {
            let (from, to) = (relationship.body.from == *thing, relationship.body.to == *thing);
            match direction {
                Direction::Outgoing => from,
                Direction::Incoming => to,
                Direction::Both => from || to,
            }
        }))
    }
}

/// Names of relationships by the hash of an end. The indexes (`relationships_from`, `relationships_to`) are in the order of
/// the list.
fn names_at(direction: Direction) -> &'static str {
    match direction {
        Direction::Outgoing => {
            "select ns, id from relationships
            where tenant = ?1 and from_hash = ?2 and (ns, id) > (?3, ?4)
            order by ns, id limit ?5"
        }
        Direction::Incoming => {
            "select ns, id from relationships
            where tenant = ?1 and to_hash = ?2 and (ns, id) > (?3, ?4)
            order by ns, id limit ?5"
        }
        Direction::Both => {
            "select ns, id from relationships
            where tenant = ?1 and from_hash = ?2 and (ns, id) > (?3, ?4)
            union
            select ns, id from relationships
            where tenant = ?1 and to_hash = ?2 and (ns, id) > (?3, ?4)
            order by ns, id limit ?5"
        }
    }
}
