//! Owns the lookups of namespaces themselves: what one has, and which there are.

use std::ops::Range;

use domain::{Namespace, Style, Timestamp};
use rusqlite::{Row, params};
use serve::Caller;
use ulid::Ulid;

use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{Contents, NamespacePage, NamespaceQuery};

impl Tables<'_> {
    /// How and since when a namespace is registered, and what it has. By the primary keys.
    pub(super) fn describe(&self, ns: &Namespace) -> Result<Option<(Style, Timestamp, Contents)>, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        let Some((style, created_at)) = self.namespace(ns)? else { return Ok(None) };
        let counted = |row: &Row<'_>| {
            let first = row.get::<_, Option<i64>>(1)?.map(|_| rows::time(row, 1)).transpose()?;
            Ok((row.get::<_, u64>(0)?, first))
        };
        let count = |sql| -> Result<_, Failure> {
            let found = self.one(sql, params![self.tenant.as_str(), ns.as_str()], counted)?;
            Ok(found.unwrap_or_default())
        };
        let (things, first_thing) =
            count("select count(*), min(created_at) from things where tenant = ?1 and ns = ?2")?;
        let (relationships, first_relationship) =
            count("select count(*), min(created_at) from relationships where tenant = ?1 and ns = ?2")?;
        let sql = "select max(last) from names where tenant = ?1 and kind in ('thing', 'relationship') and ns = ?2";
        let last = self.one(sql, params![self.tenant.as_str(), ns.as_str()], |row| {
            let last: Option<[u8; 16]> = row.get(0)?;
            Ok(last.map(|last| Ulid(u128::from_be_bytes(last))))
        })?;
        let first = [first_thing, first_relationship].into_iter().flatten().min();
        Ok(Some((style, created_at, Contents { things, relationships, first, last: last.flatten() })))
    }

    /// A page of namespaces. By the primary key.
    pub(super) fn namespaces(&self, caller: &Caller, query: &NamespaceQuery) -> Result<NamespacePage, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
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
