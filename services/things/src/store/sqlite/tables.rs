//! Owns the lookups of one tenant: the facts that changes are planned from, and reads by name.

use std::sync::Arc;

use domain::{EntityKind, Key, Name, Namespace, TenantId, Thing, TypeName, Visibility};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serve::Caller;
use ulid::Ulid;

use super::failure::Failure;
use super::rows::{self, thing_columns};
use crate::delete::Dependents;
use crate::namespaces::{self, Registration};
use crate::schema::Schema;
use crate::store::encoding::end_hash;
use crate::store::facts::{Facts, Linked};
use crate::store::{Read, Wanted};

/// What one tenant has.
pub(super) struct Tables<'c> {
    pub(super) connection: &'c Connection,
    pub(super) tenant: &'c TenantId,
}

impl<'c> Tables<'c> {
    pub(super) fn new(connection: &'c Connection, tenant: &'c TenantId) -> Self {
        Self { connection, tenant }
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

    /// What became of each wanted thing, at one moment.
    pub(super) fn read_together(&self, caller: &Caller, wanted: &Wanted) -> Result<Vec<Read>, Failure> {
        // One statement sees one moment by itself.
        let _moment = if wanted.names.len() > 1 { Some(self.connection.unchecked_transaction()?) } else { None };
        self.read(caller, wanted)
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

impl Facts for Tables<'_> {
    type Failure = Failure;

    /// How a namespace is registered. By the primary key.
    fn registration(&self, ns: &Namespace) -> Result<Option<Registration>, Failure> {
        let sql = "select style, created_at, schemas from namespaces where tenant = ?1 and ns = ?2";
        let params = params![self.tenant.as_str(), ns.as_str()];
        self.one(sql, params, |row| {
            Ok(Registration { style: rows::style(row, 0)?, created_at: rows::time(row, 1)?, schemas: row.get(2)? })
        })
    }

    fn schema(&self, ns: &Namespace, thing_type: &TypeName) -> Result<Option<Arc<Schema>>, Failure> {
        let found = self.registered_schema(ns, thing_type)?;
        Ok(found.map(|found| Schema::kept(self.tenant, &found)).transpose()?)
    }

    /// Whether `ns` has or had a name, of a thing or relationship, whose id begins with `start`, which ends in a
    /// slash. By a range of the primary key of names, which compares bytes.
    fn has_name_below(&self, ns: &Namespace, start: &str) -> Result<bool, Failure> {
        let sql = "select 1 from names where tenant = ?1 and kind = ?2 and ns = ?3 and id >= ?4 and id < ?5 limit 1";
        let end = namespaces::end_of(start);
        for kind in [EntityKind::Thing, EntityKind::Relationship] {
            let params = params![self.tenant.as_str(), kind.as_str(), ns.as_str(), start, end];
            if self.one(sql, params, |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The thing of that key. By the primary key.
    fn thing(&self, key: &Key, with_embedding: bool) -> Result<Option<Thing>, Failure> {
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
    fn canonical(&self, name: &Name) -> Result<Option<Visibility>, Failure> {
        let sql = "select visibility from things where tenant = ?1 and ns = ?2 and id = ?3 and variant = ''";
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        self.one(sql, params, |row| rows::visibility(row, 0))
    }

    /// What depends on a canonical thing. Each part is counted until it alone is too many; lengths are read without
    /// the texts.
    fn dependents(&self, name: &Name) -> Result<Dependents, Failure> {
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
        let params = params![self.tenant.as_str(), end_hash(name), ns, id, Dependents::MAX_COUNT + 1];
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params, |row| Ok(Dependents { count: row.get(0)?, bytes: row.get(1)? }))?)
    }

    /// The newest mutation of a name that ever was, and the visibility of its latest state. By the primary key.
    fn last(&self, kind: EntityKind, key: &Key) -> Result<Option<(Ulid, Visibility)>, Failure> {
        let sql = "select last, visibility from names
            where tenant = ?1 and kind = ?2 and ns = ?3 and id = ?4 and variant = ?5";
        let tenant = self.tenant.as_str();
        let params = params![tenant, kind.as_str(), key.ns.as_str(), key.id.as_str(), key.variant.as_str()];
        self.one(sql, params, |row| Ok((rows::ulid(row, 0)?, rows::visibility(row, 1)?)))
    }

    /// The relationship of that name. By primary keys: its own, its namespace's and its ends'.
    fn relationship(&self, name: &Name) -> Result<Option<Linked>, Failure> {
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

    /// How many relationships start from a thing, counted up to `limit`. By the index `relationships_from`.
    fn outgoing(&self, from: &Name, limit: usize) -> Result<usize, Failure> {
        let sql = "select count(*) from
            (select 1 from relationships where tenant = ?1 and from_hash = ?2 limit ?3)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![self.tenant.as_str(), end_hash(from), limit], |row| row.get(0))?)
    }

    /// The ends of a deleted relationship's last state. By the primary key of names.
    fn last_ends(&self, name: &Name) -> Result<Vec<Name>, Failure> {
        let sql = "select from_ns, from_id, to_ns, to_id from names
            where tenant = ?1 and kind = 'relationship' and ns = ?2 and id = ?3 and variant = ''";
        let params = params![self.tenant.as_str(), name.ns.as_str(), name.id.as_str()];
        let ends = self.one(sql, params, |row| Ok(vec![rows::name(row, 0)?, rows::name(row, 2)?]))?;
        Ok(ends.unwrap_or_default())
    }
}
