//! Owns the rows of names, which are their locks, and the statements that fill a picture with them. Decides nothing.

use std::collections::BTreeSet;

use domain::{EntityKind, Key, Namespace};
use sqlx::Row as _;
use ulid::Ulid;

use super::failure::Failure;
use super::load::{Keys, place, unknown};
use super::picture::{Last, Picture};
use super::rows;
use super::tenant::TenantTx;
use crate::namespaces;

/// The `last` of a name that never was.
pub(super) const NEVER: [u8; 16] = [0; 16];

const NAMES: &str = "select u.ord, n.last, n.visibility, n.from_ns, n.from_id, n.to_ns, n.to_id
    from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality u(kind, ns, id, variant, ord)
    cross join lateral (
        select * from names n
        where n.tenant = $1 and n.kind = u.kind and n.ns = u.ns and n.id = u.id and n.variant = u.variant limit 1) n";

// One after the other, in order.
const NAMES_LOCKED: &str = "select u.ord, n.last, n.visibility, n.from_ns, n.from_id, n.to_ns, n.to_id
    from (
        select * from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality u(kind, ns, id, variant, ord)
        order by ord) u
    cross join lateral (
        select * from names n
        where n.tenant = $1 and n.kind = u.kind and n.ns = u.ns and n.id = u.id and n.variant = u.variant limit 1
        for update) n";

impl Picture {
    /// The newest mutations of names. By the primary key.
    pub(super) async fn load_names(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = (EntityKind, Key)>,
    ) -> Result<(), Failure> {
        let wanted = unknown(&self.names, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        self.read_names(tx, wanted, NAMES).await
    }

    /// The newest mutations of names, which nobody else changes until the transaction ends. Waits for whoever holds one; the
    /// names are locked in one order by everybody, so no two wait for each other. Of a name that never was it makes the
    /// row, which `save` or the end of the transaction takes away where nothing came of it.
    pub(super) async fn lock_names(
        &mut self,
        tx: &mut TenantTx,
        wanted: BTreeSet<(EntityKind, Key)>,
    ) -> Result<(), Failure> {
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "insert into names (tenant, kind, ns, id, variant, last, visibility)
            select $1, u.kind, u.ns, u.id, u.variant, $6, 'private'
            from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality u(kind, ns, id, variant, ord)
            order by u.ord
            on conflict do nothing";
        let kinds: Vec<&str> = wanted.iter().map(|(kind, _)| kind.as_str()).collect();
        let Keys { ns, id, variant } = wanted.iter().map(|(_, key)| key).collect();
        let query = tx.query(sql).bind(kinds).bind(ns).bind(id).bind(variant);
        query.bind(NEVER.as_slice()).execute(tx.connection()).await?;
        self.read_names(tx, wanted.into_iter().collect(), NAMES_LOCKED).await
    }

    async fn read_names(
        &mut self,
        tx: &mut TenantTx,
        wanted: Vec<(EntityKind, Key)>,
        sql: &'static str,
    ) -> Result<(), Failure> {
        let kinds: Vec<&str> = wanted.iter().map(|(kind, _)| kind.as_str()).collect();
        let Keys { ns, id, variant } = wanted.iter().map(|(_, key)| key).collect();
        let query = tx.query(sql).bind(kinds).bind(ns).bind(id).bind(variant);
        let found = query.fetch_all(tx.connection()).await?;
        self.names.extend(wanted.iter().map(|name| (name.clone(), None)));
        for row in found {
            let ulid = rows::ulid(&row, 1)?;
            if ulid == Ulid::nil() {
                continue;
            }
            let has_ends = row.try_get::<Option<&str>, _>(3)?.is_some();
            let ends = if has_ends { Some((rows::name(&row, 3)?, rows::name(&row, 5)?)) } else { None };
            let last = Last { ulid, visibility: rows::visibility(&row, 2)?, ends };
            self.names.insert(wanted[place(&row)?].clone(), Some(last));
        }
        Ok(())
    }

    /// Whether a namespace has or had a name that begins so; one that is locked and never came to be is none. By a range of the
    /// primary key of names.
    pub(super) async fn load_below(&mut self, tx: &mut TenantTx, ns: Namespace, start: String) -> Result<(), Failure> {
        let sql = "select exists (
                select 1 from names
                where tenant = $1 and kind = 'thing' and ns = $2 and id >= $3 and id < $4 and last <> $5)
            or exists (
                select 1 from names
                where tenant = $1 and kind = 'relationship' and ns = $2 and id >= $3 and id < $4 and last <> $5)";
        let end = namespaces::end_of(&start);
        let query = tx.query(sql).bind(ns.as_str()).bind(&start).bind(end).bind(NEVER.as_slice());
        let row = query.fetch_one(tx.connection()).await?;
        self.below.insert((ns, start), row.try_get(0)?);
        Ok(())
    }
}
