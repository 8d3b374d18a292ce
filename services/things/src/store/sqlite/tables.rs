//! Owns the lookups of one tenant: the facts that changes are planned from, and reads by name.

use domain::{
    EntityKind, Key, Name, Namespace, Reference, Relationship, Style, TenantId, Thing, Timestamp, Visibility,
};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serve::Caller;
use ulid::Ulid;

use super::failure::Failure;
use super::rows::{self, thing_columns};
use crate::delete::Dependents;
use crate::naming::{self, Place, Target};
use crate::relationships::{End, Standing};
use crate::sight::{Way, sees, sees_relationship};
use crate::store::{Read, Resolved, Wanted};

/// What one tenant has.
pub(super) struct Tables<'c> {
    pub(super) connection: &'c Connection,
    pub(super) tenant: &'c TenantId,
}

/// A relationship with what decides who sees it, and the style of its namespace.
pub(super) struct Linked {
    pub(super) relationship: Relationship,
    pub(super) from: Visibility,
    pub(super) to: Visibility,
    pub(super) style: Style,
}

impl Linked {
    pub(super) fn into_standing(self) -> Standing {
        let Self { relationship, from, to, style: _ } = self;
        Standing { relationship, from, to }
    }

    pub(super) fn is_seen_by(&self, caller: &Caller, way: Way) -> bool {
        let Relationship { name, body, .. } = &self.relationship;
        let (from, to) = ((&body.from.ns, self.from), (&body.to.ns, self.to));
        sees_relationship(caller, way, (&name.ns, body.visibility), from, to)
    }
}

impl<'c> Tables<'c> {
    pub(super) fn new(connection: &'c Connection, tenant: &'c TenantId) -> Self {
        Self { connection, tenant }
    }

    /// Where a reference stands among the registered namespaces.
    pub(super) fn place(&self, reference: &Reference, field: &str) -> Result<Place, Failure> {
        let mut longest = None;
        for candidate in naming::candidates(reference) {
            if let Some((style, _)) = self.namespace(&candidate)? {
                longest = Some((candidate, style));
                break;
            }
        }
        Ok(naming::place(reference, longest, field)?)
    }

    /// How and since when a namespace is registered. By the primary key.
    pub(super) fn namespace(&self, ns: &Namespace) -> Result<Option<(Style, Timestamp)>, Failure> {
        let sql = "select style, created_at from namespaces where tenant = ?1 and ns = ?2";
        let params = params![self.tenant.as_str(), ns.as_str()];
        self.one(sql, params, |row| Ok((rows::style(row, 0)?, rows::time(row, 1)?)))
    }

    /// Whether `ns` has or had a name, of a thing or relationship, whose id begins with `start`, which ends in a
    /// slash. By a range of the primary key of names, which compares bytes.
    pub(super) fn has_name_below(&self, ns: &Namespace, start: &str) -> Result<bool, Failure> {
        let sql = "select 1 from names where tenant = ?1 and kind = ?2 and ns = ?3 and id >= ?4 and id < ?5 limit 1";
        // The character after the slash: the end of all that begin with it.
        let end = format!("{}0", start.trim_end_matches('/'));
        for kind in [EntityKind::Thing, EntityKind::Relationship] {
            let params = params![self.tenant.as_str(), kind.as_str(), ns.as_str(), start, end];
            if self.one(sql, params, |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The thing of that key. By the primary key.
    pub(super) fn thing(&self, key: &Key, with_embedding: bool) -> Result<Option<Thing>, Failure> {
        const WITH: &str = concat!(
            "select ",
            thing_columns!("t.embedding"),
            " from things t where t.tenant = ?1 and t.ns = ?2 and t.id = ?3 and t.variant = ?4"
        );
        const WITHOUT: &str = concat!(
            "select ",
            thing_columns!("null"),
            " from things t where t.tenant = ?1 and t.ns = ?2 and t.id = ?3 and t.variant = ?4"
        );
        let sql = if with_embedding { WITH } else { WITHOUT };
        let params = params![self.tenant.as_str(), key.ns.as_str(), key.id.as_str(), key.variant.as_str()];
        self.one(sql, params, |row| rows::thing(row, 0, key.clone()))
    }

    /// Who may see the canonical thing of that name. By the primary key.
    pub(super) fn canonical(&self, name: &Name) -> Result<Option<Visibility>, Failure> {
        let sql = "select visibility from things where tenant = ?1 and ns = ?2 and id = ?3 and variant = ''";
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        self.one(sql, params, |row| rows::visibility(row, 0))
    }

    /// The first variant of a canonical thing, without embedding. By the primary key.
    pub(super) fn first_variant(&self, name: &Name) -> Result<Option<Thing>, Failure> {
        const SQL: &str = concat!(
            "select ",
            thing_columns!("null"),
            ", t.variant from things t where t.tenant = ?1 and t.ns = ?2 and t.id = ?3 and t.variant > '' ",
            "order by t.variant limit 1"
        );
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        self.one(SQL, params, |row| rows::thing(row, 0, Key { variant: rows::variant(row, 8)?, ..name.clone().into() }))
    }

    /// What depends on a canonical thing. Each part is counted until it alone is too many; lengths are read without
    /// the texts.
    pub(super) fn dependents(&self, name: &Name) -> Result<Dependents, Failure> {
        // By the indexes relationships_from and relationships_to, and by the primary key of things.
        let sql = "select count(*), coalesce(sum(bytes), 0) from (
                select coalesce(octet_length(data), 0) as bytes from relationships where rowid in (
                    select * from (select rowid from relationships where tenant = ?1 and from_hash = ?2 limit ?5)
                    union
                    select * from (select rowid from relationships where tenant = ?1 and to_hash = ?2 limit ?5))
                union all
                select * from (
                    select coalesce(octet_length(content), 0) + coalesce(octet_length(code), 0)
                        + coalesce(octet_length(data), 0)
                    from things where tenant = ?1 and ns = ?3 and id = ?4 and variant > '' limit ?5))";
        let (ns, id) = (name.ns.as_str(), name.id.as_str());
        let params = params![self.tenant.as_str(), rows::end_hash(name), ns, id, Dependents::MAX_COUNT + 1];
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params, |row| Ok(Dependents { count: row.get(0)?, bytes: row.get(1)? }))?)
    }

    /// The newest mutation of a name that ever was, and the visibility of its latest state. By the primary key.
    pub(super) fn last(&self, kind: EntityKind, key: &Key) -> Result<Option<(Ulid, Visibility)>, Failure> {
        let sql = "select last, visibility from names
            where tenant = ?1 and kind = ?2 and ns = ?3 and id = ?4 and variant = ?5";
        let tenant = self.tenant.as_str();
        let params = params![tenant, kind.as_str(), key.ns.as_str(), key.id.as_str(), key.variant.as_str()];
        self.one(sql, params, |row| Ok((rows::ulid(row, 0)?, rows::visibility(row, 1)?)))
    }

    /// The relationship of that name. By primary keys: its own, its namespace's and its ends'.
    pub(super) fn relationship(&self, name: &Name) -> Result<Option<Linked>, Failure> {
        let sql = "select r.type, r.from_ns, r.from_id, r.to_ns, r.to_id, r.visibility, r.data, r.created_at, r.etag,
                f.visibility, t.visibility, n.style
            from relationships r
            join namespaces n on n.tenant = r.tenant and n.ns = r.ns
            join things f on f.tenant = r.tenant and f.ns = r.from_ns and f.id = r.from_id and f.variant = ''
            join things t on t.tenant = r.tenant and t.ns = r.to_ns and t.id = r.to_id and t.variant = ''
            where r.tenant = ?1 and r.ns = ?2 and r.id = ?3";
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        self.one(sql, params, |row| {
            Ok(Linked {
                relationship: rows::relationship(row, name.clone())?,
                from: rows::visibility(row, 9)?,
                to: rows::visibility(row, 10)?,
                style: rows::style(row, 11)?,
            })
        })
    }

    /// The thing at an end.
    pub(super) fn end(&self, reference: &Reference, field: &str) -> Result<Option<End>, Failure> {
        let Some(target) = self.place(reference, field)?.for_read() else { return Ok(None) };
        let name = target.key.name();
        Ok(self.canonical(&name)?.map(|visibility| End { name, visibility }))
    }

    /// How many relationships start from a thing, counted up to `limit`. By the index `relationships_from`.
    pub(super) fn outgoing(&self, from: &Name, limit: usize) -> Result<usize, Failure> {
        let sql = "select count(*) from
            (select 1 from relationships where tenant = ?1 and from_hash = ?2 limit ?3)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![self.tenant.as_str(), rows::end_hash(from), limit], |row| row.get(0))?)
    }

    /// The relationship of that name, if the caller may see it.
    pub(super) fn visible_relationship(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Option<(Relationship, Style)>, Failure> {
        let Some(target) = self.place(reference, "key")?.for_read() else { return Ok(None) };
        let found = self.relationship(&target.key.name())?;
        let seen = found.filter(|found| found.is_seen_by(caller, Way::ByName));
        Ok(seen.map(|found| (found.relationship, found.style)))
    }

    /// What became of each wanted thing.
    pub(super) fn read(&self, caller: &Caller, wanted: &Wanted) -> Result<Vec<Read>, Failure> {
        let Wanted { names, with_embedding, room } = wanted;
        // One statement sees one moment by itself.
        let _moment = if names.len() > 1 { Some(self.connection.unchecked_transaction()?) } else { None };
        let mut answers = Vec::with_capacity(names.len());
        let mut used = 0;
        for (reference, field) in names {
            let read = match self.visible_thing(caller, reference, field, *with_embedding)? {
                None => Read::Missing,
                Some((thing, style)) => {
                    let is_first = used == 0;
                    used += rows::weight(&thing);
                    if is_first || used <= *room { Read::Found(Box::new(thing), style) } else { Read::Unread }
                }
            };
            let is_full = read == Read::Unread;
            answers.push(read);
            if is_full {
                break;
            }
        }
        answers.resize(names.len(), Read::Unread);
        Ok(answers)
    }

    fn visible_thing(
        &self,
        caller: &Caller,
        reference: &Reference,
        field: &str,
        with_embedding: bool,
    ) -> Result<Option<(Thing, Style)>, Failure> {
        let Some(Target { key, style, .. }) = self.place(reference, field)?.for_read() else { return Ok(None) };
        if !key.variant.is_canonical() {
            let canonical = self.canonical(&key.name())?;
            if !canonical.is_some_and(|visibility| sees(caller, Way::ByName, &key.ns, visibility)) {
                return Ok(None);
            }
        }
        let found = self.thing(&key, with_embedding)?;
        let seen = found.filter(|thing| sees(caller, Way::ByName, &key.ns, thing.body.visibility));
        Ok(seen.map(|thing| (thing, style)))
    }

    /// What a name stands for, if the caller may know of it.
    pub(super) fn resolve(
        &self,
        caller: &Caller,
        reference: &Reference,
        kind: EntityKind,
    ) -> Result<Option<Resolved>, Failure> {
        let Some(Target { key, style, .. }) = self.place(reference, "key")?.for_read() else { return Ok(None) };
        let Some((last, visibility)) = self.last(kind, &key)? else { return Ok(None) };
        let (exists, depends_on) = match kind {
            EntityKind::Thing => {
                let canonical = (!key.variant.is_canonical()).then(|| key.name());
                (self.thing(&key, false)?.is_some(), canonical.into_iter().collect())
            }
            EntityKind::Relationship => match self.relationship(&key.name())? {
                Some(found) => (true, vec![found.relationship.body.from, found.relationship.body.to]),
                None => (false, self.last_ends(&key.name())?),
            },
        };
        if !sees(caller, Way::ByName, &key.ns, visibility) {
            return Ok(None);
        }
        // Who names a variant names its thing; who names a relationship does not name its ends.
        let way = if kind == EntityKind::Thing { Way::ByName } else { Way::Listed };
        for name in depends_on {
            let ns = name.ns.clone();
            let latest = self.last(EntityKind::Thing, &Key::from(name))?;
            if !latest.is_some_and(|(_, visibility)| sees(caller, way, &ns, visibility)) {
                return Ok(None);
            }
        }
        Ok(Some(Resolved { key, style, exists, visibility, last }))
    }

    /// The ends of a deleted relationship's last state. By the primary key of names.
    fn last_ends(&self, name: &Name) -> Result<Vec<Name>, Failure> {
        let sql = "select from_ns, from_id, to_ns, to_id from names
            where tenant = ?1 and kind = 'relationship' and ns = ?2 and id = ?3 and variant = ''";
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        let ends = self.one(sql, params, |row| Ok(vec![rows::name(row, 0)?, rows::name(row, 2)?]))?;
        Ok(ends.unwrap_or_default())
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Failure> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }
}
