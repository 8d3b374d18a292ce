//! Owns the lookups of namespaces themselves: what one has, and which there are.

use std::ops::Range;

use domain::{EntityKind, Namespace, Style, Timestamp};
use rusqlite::params;
use serve::Caller;
use ulid::Ulid;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{Contents, NamespacePage, NamespaceQuery};

impl Tables<'_> {
    /// How and since when a namespace is registered, and what it has. By ranges of the namespace in the indexes.
    pub(super) fn describe(
        &self,
        caller: &Caller,
        ns: &Namespace,
    ) -> Result<Option<(Style, Timestamp, Contents)>, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let Some((style, created_at)) = self.namespace(ns)? else { return Ok(None) };
        let (things, first, last) = self.contents("things", EntityKind::Thing, ns)?;
        let mut contents = Contents { things, relationships: None, first, last };
        if caller.may_read_all() {
            let (relationships, first, last) = self.contents("relationships", EntityKind::Relationship, ns)?;
            contents.relationships = Some(relationships);
            contents.first = [contents.first, first].into_iter().flatten().min();
            contents.last = contents.last.max(last);
        }
        Ok(Some((style, created_at, contents)))
    }

    /// How many, the oldest's creation, and the newest mutation.
    fn contents(
        &self,
        table: &str,
        kind: EntityKind,
        ns: &Namespace,
    ) -> Result<(u64, Option<Timestamp>, Option<Ulid>), Failure> {
        let sql = format!(
            "select count(*), min(created_at),
                (select max(last) from names where tenant = ?1 and kind = ?3 and ns = ?2)
            from {table} where tenant = ?1 and ns = ?2"
        );
        let found = self.one(&sql, params![self.tenant.as_str(), ns.as_str(), kind.as_str()], |row| {
            let first = row.get::<_, Option<i64>>(1)?.map(|_| rows::time(row, 1)).transpose()?;
            let last: Option<[u8; 16]> = row.get(2)?;
            Ok((row.get(0)?, first, last.map(|last| Ulid(u128::from_be_bytes(last)))))
        })?;
        Ok(found.unwrap_or_default())
    }

    /// A page of namespaces. By the primary key.
    pub(super) fn namespaces(&self, caller: &Caller, query: &NamespaceQuery) -> Result<NamespacePage, Failure> {
        let mut page = Filling::new(query.limit, usize::MAX, query.scan);
        let sql = "select ns, style, created_at from namespaces where tenant = ?1 and ns >= ?2 and ns < ?3 order by ns";
        let mut statement = self.connection.prepare_cached(sql)?;
        for Range { start, end } in query.ranges() {
            let mut found = statement.query(params![self.tenant.as_str(), start, end])?;
            while let Some(row) = found.next()? {
                if page.is_spent() {
                    return Ok(page.cut());
                }
                let ns = rows::namespace(row, 0)?;
                let item = (ns.clone(), rows::style(row, 1)?, rows::time(row, 2)?);
                if caller.may_read(&ns) && !page.takes(0, item) {
                    return Ok(page.cut());
                }
                page.passes(ns, 0);
            }
        }
        Ok(page.end())
    }
}
