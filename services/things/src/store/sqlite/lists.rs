//! Owns the lists of one tenant: keyset pages over an index, and the relationships at a thing.

use domain::{Key, Name, Relationship, Style, Thing, TypeName};
use rusqlite::params;
use serve::Caller;

use super::failure::Failure;
use super::rows::{self, thing_columns};
use super::tables::{Linked, Tables};
use crate::naming::Target;
use crate::sight::{Way, sees};
use crate::store::{Direction, Page, RelationshipQuery, ThingQuery};

/// Names of relationships that are read at once.
const STEP: usize = 64;

impl Tables<'_> {
    /// A page of the things of one namespace. By a range of the primary key; those that only readers see are skipped.
    pub(super) fn list(&self, caller: &Caller, query: &ThingQuery) -> Result<Page<(Thing, Style)>, Failure> {
        const SQL: &str = concat!(
            "select ",
            thing_columns!("null"),
            ", t.id, t.variant from things t
            where t.tenant = ?1 and t.ns = ?2 and (t.id, t.variant) > (?3, ?4)
                and (?5 is null or t.type = ?5)
                and (?6 or t.visibility = 'public' and (t.variant = '' or exists (
                    select 1 from things c
                    where c.tenant = t.tenant and c.ns = t.ns and c.id = t.id and c.variant = ''
                        and c.visibility = 'public')))
            order by t.id, t.variant"
        );
        let ThingQuery { ns, thing_type, after, limit, room } = query;
        let mut page = Filling::new(*limit, *room);
        let Some((style, _)) = self.namespace(ns)? else { return Ok(page.page) };
        let (id, variant) = after.as_ref().map_or(("", ""), |(id, variant)| (id.as_str(), variant.as_str()));
        let thing_type = thing_type.as_ref().map(TypeName::as_str);
        let mut statement = self.connection.prepare_cached(SQL)?;
        let params = params![self.tenant.as_str(), ns.as_str(), id, variant, thing_type, caller.may_read(ns)];
        let mut things = statement.query(params)?;
        while let Some(row) = things.next()? {
            let key = Key { ns: ns.clone(), id: rows::id(row, 8)?, variant: rows::variant(row, 9)? };
            let thing = rows::thing(row, 0, key)?;
            if !page.takes(rows::weight(&thing), (thing, style)) {
                break;
            }
        }
        Ok(page.page)
    }

    /// A page of the relationships at a thing, if the caller may see it. Names come from the index of the end, in
    /// order; each is looked up and skipped if the caller may not see it.
    pub(super) fn relationships(
        &self,
        caller: &Caller,
        query: &RelationshipQuery,
    ) -> Result<Option<Page<(Relationship, Style)>>, Failure> {
        let RelationshipQuery { thing, direction, relationship_type, after, limit, room } = query;
        let _moment = self.connection.unchecked_transaction()?;
        let Some(Target { key, .. }) = self.place(thing, "thing")?.for_read() else { return Ok(None) };
        let name = key.name();
        if !self.canonical(&name)?.is_some_and(|visibility| sees(caller, Way::ByName, &name.ns, visibility)) {
            return Ok(None);
        }
        let mut page = Filling::new(*limit, *room);
        let mut names = self.names_at(&name, *direction, after.as_ref(), STEP)?;
        'page: while let Some(last) = names.last() {
            for name_at in &names {
                let Some(linked) = self.relationship_at(name_at, &name, *direction)? else { continue };
                let has_type =
                    relationship_type.as_ref().is_none_or(|of| linked.relationship.body.relationship_type == *of);
                if has_type
                    && linked.is_seen_by(caller, Way::Listed)
                    && !page.takes(weight(&linked.relationship), (linked.relationship, linked.style))
                {
                    break 'page;
                }
            }
            names = self.names_at(&name, *direction, Some(last), STEP)?;
        }
        Ok(Some(page.page))
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
        let params = params![self.tenant.as_str(), rows::end_hash(thing), ns, id, limit];
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

/// Names of relationships by the hash of an end. The indexes (relationships_from, relationships_to) are in the order of
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

/// A page that is being filled.
struct Filling<T> {
    page: Page<T>,
    limit: usize,
    room: usize,
}

impl<T> Filling<T> {
    fn new(limit: usize, room: usize) -> Self {
        Self { page: Page { items: Vec::new(), has_more: false }, limit, room }
    }

    /// Takes one more item, unless the page is full.
    fn takes(&mut self, weight: usize, item: T) -> bool {
        let is_first = self.page.items.is_empty();
        if self.page.items.len() == self.limit || (weight > self.room && !is_first) {
            self.page.has_more = true;
            return false;
        }
        self.room = self.room.saturating_sub(weight);
        self.page.items.push(item);
        true
    }
}

/// About how many bytes a relationship takes on the wire.
fn weight(relationship: &Relationship) -> usize {
    let Relationship { name, body, .. } = relationship;
    let names = [&name.id, &body.from.id, &body.to.id].map(|id| id.as_str().len());
    1_024 + names.iter().sum::<usize>() + body.data.as_ref().map_or(0, |data| data.as_str().len())
}
