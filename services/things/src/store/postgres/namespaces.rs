//! Owns the lookups of namespaces themselves: what one has, and which there are.

use std::ops::Range;

use domain::{Namespace, Style, Timestamp};
use serve::Caller;
use sqlx::Row as _;
use ulid::Ulid;

use super::failure::Failure;
use super::picture::Picture;
use super::rows;
use super::tenant::TenantTx;
use crate::store::facts::Facts as _;
use crate::store::filling::Filling;
use crate::store::{Contents, NamespacePage, NamespaceQuery};

/// Namespaces that are read at once.
const STEP: usize = 1_024;

/// How and since when a namespace is registered, and what it has. By ranges of the namespace in the primary keys.
pub(super) async fn describe(
    tx: &mut TenantTx,
    caller: &Caller,
    ns: &Namespace,
) -> Result<Option<(Style, Timestamp, Contents)>, Failure> {
    let mut picture = Picture::default();
    picture.load_namespaces(tx, [ns.clone()]).await?;
    let Some((style, created_at)) = picture.namespace(ns)? else { return Ok(None) };
    let of_things = "select count(*), min(created_at),
            (select max(encode(last, 'hex') collate \"C\") from names where tenant = $1 and kind = 'thing' and ns = $2)
        from things where tenant = $1 and ns = $2";
    let of_relationships = "select count(*), min(created_at),
            (select max(encode(last, 'hex') collate \"C\") from names
                where tenant = $1 and kind = 'relationship' and ns = $2)
        from relationships where tenant = $1 and ns = $2";
    let (things, first, last) = contents(tx, of_things, ns).await?;
    let mut described = Contents { things, relationships: None, first, last };
    if caller.may_read_all() {
        let (relationships, first, last) = contents(tx, of_relationships, ns).await?;
        described.relationships = Some(relationships);
        described.first = [described.first, first].into_iter().flatten().min();
        described.last = described.last.max(last);
    }
    Ok(Some((style, created_at, described)))
}

/// How many, the oldest's creation, and the newest mutation. PostgreSQL before 18 has no greatest of bytes; their digits
/// are in the same order.
async fn contents(
    tx: &mut TenantTx,
    sql: &str,
    ns: &Namespace,
) -> Result<(u64, Option<Timestamp>, Option<Ulid>), Failure> {
    let row = tx.query(sql).bind(ns.as_str()).fetch_one(tx.connection()).await?;
    let first = row.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_millis).transpose()?;
    let last = row.try_get::<Option<&str>, _>(2)?.map(|digits| u128::from_str_radix(digits, 16).map(Ulid));
    let last = last.transpose().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok((rows::count(&row, 0)?, first, last))
}

/// A page of namespaces. By the primary key.
pub(super) async fn list(tx: &mut TenantTx, caller: &Caller, query: &NamespaceQuery) -> Result<NamespacePage, Failure> {
    let mut page = Filling::new(query.limit, usize::MAX, query.scan);
    let sql = "select ns, style, created_at from namespaces
        where tenant = $1 and ns >= $2 and ns < $3
        order by ns
        limit $4";
    let mut query = query.clone();
    let mut number = 0;
    while let Some(Range { start, end }) = query.ranges().into_iter().nth(number) {
        let found = tx.query(sql).bind(start).bind(end).bind(STEP as i64).fetch_all(tx.connection()).await?;
        for row in &found {
            if page.is_spent() {
                return Ok(page.cut());
            }
            let ns: Namespace = rows::parsed(row, 0)?;
            let item = (ns.clone(), rows::style(row, 1)?, rows::time(row, 2)?);
            if caller.may_read(&ns) && !page.takes(0, item) {
                return Ok(page.cut());
            }
            query.after = Some(ns.clone());
            page.passes(ns, 0);
        }
        if found.len() < STEP {
            number += 1;
        }
    }
    Ok(page.end())
}
