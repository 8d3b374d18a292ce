//! Owns the statements that fill a picture with relationships: themselves, how many start from a thing, and what goes with one.
//! Decides nothing.

use domain::{Key, Name};
use futures::TryStreamExt as _;
use sqlx::Row as _;

use super::failure::Failure;
use super::load::{Keys, place, unknown};
use super::picture::Picture;
use super::rows::{self, relationship_columns};
use super::tenant::TenantTx;
use crate::delete::Dependents;
use crate::relationships::MAX_OUTGOING;
use crate::store::encoding::end_hash;
use crate::store::facts::Linked;

impl Picture {
    /// Relationships whole, with who sees their ends. By primary keys: their own, their namespaces' and their ends'.
    pub(super) async fn load_relationships(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = Name>,
    ) -> Result<(), Failure> {
        const SQL: &str = concat!(
            "select u.ord, ",
            relationship_columns!(),
            ", f.visibility, t.visibility, n.style
            from unnest($2::text[], $3::text[]) with ordinality u(ns, id, ord)
            cross join lateral (
                select * from relationships r where r.tenant = $1 and r.ns = u.ns and r.id = u.id limit 1) r
            cross join lateral (select n.style from namespaces n where n.tenant = $1 and n.ns = r.ns limit 1) n
            cross join lateral (
                select t.visibility from things t
                where t.tenant = $1 and t.ns = r.from_ns and t.id = r.from_id and t.variant = '' limit 1) f
            cross join lateral (
                select t.visibility from things t
                where t.tenant = $1 and t.ns = r.to_ns and t.id = r.to_id and t.variant = '' limit 1) t"
        );
        let wanted = unknown(&self.relationships, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let Keys { ns, id, .. } = wanted.iter().collect();
        let found = tx.query(SQL).bind(ns).bind(id).fetch_all(tx.connection()).await?;
        self.relationships.extend(wanted.iter().map(|name| (name.clone(), None)));
        for row in found {
            let name = &wanted[place(&row)?];
            let linked = Linked {
                relationship: rows::relationship(&row, 1, name.clone())?,
                from: rows::visibility(&row, 10)?,
                to: rows::visibility(&row, 11)?,
                style: rows::style(&row, 12)?,
            };
            self.relationships.insert(name.clone(), Some(linked));
        }
        Ok(())
    }

    /// How many relationships start from things, counted up to the most. By the index `relationships_from`.
    pub(super) async fn load_outgoing(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = Name>,
    ) -> Result<(), Failure> {
        let wanted = unknown(&self.outgoing, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select u.ord,
                (select count(*) from
                    (select 1 from relationships r where r.tenant = $1 and r.from_hash = u.hash limit $3) counted)
            from unnest($2::bytea[]) with ordinality u(hash, ord)";
        let hashes: Vec<_> = wanted.iter().map(|name| end_hash(name).to_vec()).collect();
        let query = tx.query(sql).bind(hashes).bind(MAX_OUTGOING as i64);
        for row in query.fetch_all(tx.connection()).await? {
            self.outgoing.insert(wanted[place(&row)?].clone(), rows::count(&row, 1)? as usize);
        }
        Ok(())
    }

    /// What depends on a canonical thing: the relationships at it and its variants, in order, unless these are too many. Each part
    /// is read until it alone is; lengths are read without the texts.
    pub(super) async fn load_dependents(
        &mut self,
        tx: &mut TenantTx,
        name: &Name,
    ) -> Result<(Vec<Name>, Vec<Key>), Failure> {
        // By the indexes relationships_from and relationships_to, and by the primary key of things. Two names may have one hash.
        let sql = "select ns, id, null as variant, bytes from (
                (select ns, id, coalesce(octet_length(data), 0) as bytes from relationships
                where tenant = $1 and from_hash = $2 and from_ns = $3 and from_id = $4 limit $5)
                union
                (select ns, id, coalesce(octet_length(data), 0) from relationships
                where tenant = $1 and to_hash = $2 and to_ns = $3 and to_id = $4 limit $5)) r
            union all
            (select ns, id, variant,
                coalesce(octet_length(content), 0) + coalesce(octet_length(code), 0) + coalesce(octet_length(data), 0)
            from things where tenant = $1 and ns = $3 and id = $4 and variant > '' limit $5)";
        let hash = end_hash(name);
        let query = tx.query(sql).bind(hash.as_slice()).bind(name.ns.as_str()).bind(name.id.as_str());
        let mut found = query.bind(Dependents::MAX_COUNT as i64 + 1).fetch(tx.connection());
        let (mut dependents, mut relationships, mut variants) = (Dependents::default(), Vec::new(), Vec::new());
        while let Some(row) = found.try_next().await? {
            dependents.count += 1;
            dependents.bytes += u64::from(row.try_get::<i32, _>(3)?.unsigned_abs());
            if dependents.are_too_many() {
                (relationships, variants) = (Vec::new(), Vec::new());
                break;
            }
            match row.try_get::<Option<&str>, _>(2)? {
                Some(_) => variants.push(Key { variant: rows::variant(&row, 2)?, ..Key::from(name.clone()) }),
                None => relationships.push(rows::name(&row, 0)?),
            }
        }
        self.dependents.insert(name.clone(), dependents);
        relationships.sort();
        variants.sort();
        Ok((relationships, variants))
    }
}
