//! Owns the statements that fill a picture: each looks up many names at once, and none that are known. Decides nothing.
//!
//! Names are looked up one by one (`lateral … limit 1`): joined, they would be compared with all rows of a tenant whose size
//! the planner does not know.

use std::collections::BTreeSet;

use domain::{EntityKind, Key, Name, Namespace};
use serve::Caller;
use sqlx::Row as _;
use ulid::Ulid;

use super::failure::Failure;
use super::picture::{Last, Picture};
use super::rows::{self, relationship_columns, thing_columns};
use super::tenant::TenantTx;
use crate::delete::Dependents;
use crate::relationships::MAX_OUTGOING;
use crate::sight::{Way, sees};
use crate::store::Wanted;
use crate::store::encoding::end_hash;
use crate::store::facts::{Facts as _, Linked};
use crate::weight;

/// Keys in columns.
#[derive(Default)]
pub(super) struct Keys<'a> {
    pub(super) ns: Vec<&'a str>,
    pub(super) id: Vec<&'a str>,
    pub(super) variant: Vec<&'a str>,
}

impl<'a> FromIterator<&'a Key> for Keys<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Key>>(keys: I) -> Self {
        let mut columns = Self::default();
        for Key { ns, id, variant } in keys {
            columns.ns.push(ns.as_str());
            columns.id.push(id.as_str());
            columns.variant.push(variant.as_str());
        }
        columns
    }
}

impl<'a> FromIterator<&'a Name> for Keys<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Name>>(names: I) -> Self {
        let mut columns = Self::default();
        for Name { ns, id } in names {
            columns.ns.push(ns.as_str());
            columns.id.push(id.as_str());
        }
        columns
    }
}

impl Picture {
    /// Which of these are registered. By the primary key.
    pub(super) async fn load_namespaces(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = Namespace>,
    ) -> Result<(), Failure> {
        let wanted: BTreeSet<Namespace> = wanted.into_iter().filter(|ns| !self.namespaces.contains_key(ns)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select ns, style, created_at from namespaces where tenant = $1 and ns = any($2)";
        let names: Vec<&str> = wanted.iter().map(Namespace::as_str).collect();
        let tenant = tx.tenant().clone();
        let found = sqlx::query(sql).bind(tenant.as_str()).bind(names).fetch_all(tx.connection()).await?;
        self.namespaces.extend(wanted.into_iter().map(|ns| (ns, None)));
        for row in found {
            self.namespaces.insert(rows::parsed(&row, 0)?, Some((rows::style(&row, 1)?, rows::time(&row, 2)?)));
        }
        Ok(())
    }

    /// Things whole. By the primary key.
    pub(super) async fn load_things(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = Key>,
        with_embedding: bool,
    ) -> Result<(), Failure> {
        const WITH: &str = concat!(
            "select u.ord, ",
            thing_columns!("t.embedding"),
            " from unnest($2::text[], $3::text[], $4::text[]) with ordinality u(ns, id, variant, ord)
            cross join lateral (
                select * from things t
                where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = u.variant limit 1) t"
        );
        const WITHOUT: &str = concat!(
            "select u.ord, ",
            thing_columns!("null::bytea"),
            " from unnest($2::text[], $3::text[], $4::text[]) with ordinality u(ns, id, variant, ord)
            cross join lateral (
                select * from things t
                where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = u.variant limit 1) t"
        );
        let wanted: BTreeSet<Key> = wanted.into_iter().filter(|key| !self.things.contains_key(key)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Key> = wanted.into_iter().collect();
        let (sql, Keys { ns, id, variant }) = (if with_embedding { WITH } else { WITHOUT }, wanted.iter().collect());
        let tenant = tx.tenant().clone();
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(ns).bind(id).bind(variant);
        let found = query.fetch_all(tx.connection()).await?;
        for key in &wanted {
            self.things.insert(key.clone(), None);
            if key.variant.is_canonical() {
                self.canonical.insert(key.name(), None);
            }
        }
        for row in found {
            let thing = rows::thing(&row, 1, wanted[place(&row)?].clone())?;
            if thing.key.variant.is_canonical() {
                self.canonical.insert(thing.key.name(), Some(thing.body.visibility));
            }
            self.things.insert(thing.key.clone(), Some(thing));
        }
        Ok(())
    }

    /// Those of `keys` that a read of `wanted` comes to before its room is used up. The others are known with nothing, as those
    /// are that the caller does not see. Lengths are read without the texts.
    pub(super) async fn load_sizes(
        &mut self,
        tx: &mut TenantTx,
        keys: Vec<Key>,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<Vec<Key>, Failure> {
        let sql = "select u.ord, t.visibility,
                coalesce(octet_length(t.content), 0) + coalesce(octet_length(t.data), 0)
                    + case when $5 then coalesce(octet_length(t.embedding), 0) else 0 end
            from unnest($2::text[], $3::text[], $4::text[]) with ordinality u(ns, id, variant, ord)
            cross join lateral (
                select * from things t
                where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = u.variant limit 1) t
            order by u.ord";
        let Keys { ns, id, variant } = keys.iter().collect();
        let tenant = tx.tenant().clone();
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(ns).bind(id).bind(variant).bind(wanted.with_embedding);
        let (mut within, mut used) = (Vec::new(), 0);
        for row in query.fetch_all(tx.connection()).await? {
            let key = &keys[place(&row)?];
            if used > wanted.room {
                // The read ends there, and does not look at it.
                break;
            }
            let is_seen = |visibility| sees(caller, Way::ByName, &key.ns, visibility);
            let has_canonical = key.variant.is_canonical() || self.canonical(&key.name())?.is_some_and(is_seen);
            if has_canonical && is_seen(rows::visibility(&row, 1)?) {
                used += weight::of_texts(key, row.try_get::<i32, _>(2)? as usize);
                within.push(key.clone());
            }
        }
        self.things.extend(keys.into_iter().map(|key| (key, None)));
        for key in &within {
            self.things.remove(key);
        }
        Ok(within)
    }

    /// Who may see canonical things. By the primary key.
    pub(super) async fn load_canonical(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = Name>,
    ) -> Result<(), Failure> {
        let wanted: BTreeSet<Name> = wanted.into_iter().filter(|name| !self.canonical.contains_key(name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select u.ord, t.visibility
            from unnest($2::text[], $3::text[]) with ordinality u(ns, id, ord)
            cross join lateral (
                select t.visibility from things t
                where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = '' limit 1) t";
        let wanted: Vec<Name> = wanted.into_iter().collect();
        let Keys { ns, id, .. } = wanted.iter().collect();
        let tenant = tx.tenant().clone();
        let found = sqlx::query(sql).bind(tenant.as_str()).bind(ns).bind(id).fetch_all(tx.connection()).await?;
        self.canonical.extend(wanted.iter().map(|name| (name.clone(), None)));
        for row in found {
            self.canonical.insert(wanted[place(&row)?].clone(), Some(rows::visibility(&row, 1)?));
        }
        Ok(())
    }

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
        let wanted: BTreeSet<Name> = wanted.into_iter().filter(|name| !self.relationships.contains_key(name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Name> = wanted.into_iter().collect();
        let Keys { ns, id, .. } = wanted.iter().collect();
        let tenant = tx.tenant().clone();
        let found = sqlx::query(SQL).bind(tenant.as_str()).bind(ns).bind(id).fetch_all(tx.connection()).await?;
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
        let wanted: BTreeSet<Name> = wanted.into_iter().filter(|name| !self.outgoing.contains_key(name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select u.ord,
                (select count(*) from
                    (select 1 from relationships r where r.tenant = $1 and r.from_hash = u.hash limit $3) counted)
            from unnest($2::bytea[]) with ordinality u(hash, ord)";
        let wanted: Vec<Name> = wanted.into_iter().collect();
        let hashes: Vec<_> = wanted.iter().map(|name| end_hash(name).to_vec()).collect();
        let tenant = tx.tenant().clone();
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(hashes).bind(MAX_OUTGOING as i64);
        for row in query.fetch_all(tx.connection()).await? {
            self.outgoing.insert(wanted[place(&row)?].clone(), rows::count(&row, 1)? as usize);
        }
        Ok(())
    }

    /// The newest mutations of names. By the primary key.
    pub(super) async fn load_names(
        &mut self,
        tx: &mut TenantTx,
        wanted: impl IntoIterator<Item = (EntityKind, Key)>,
    ) -> Result<(), Failure> {
        let wanted: BTreeSet<_> = wanted.into_iter().filter(|name| !self.names.contains_key(name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.read_names(tx, wanted.into_iter().collect(), NAMES).await
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
        let tenant = tx.tenant().clone();
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(kinds).bind(ns).bind(id).bind(variant);
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
        let tenant = tx.tenant().clone();
        let query = sqlx::query(sql).bind(tenant.as_str()).bind(kinds).bind(ns).bind(id).bind(variant);
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

    /// Whether a namespace has or had a name that begins so. By a range of the primary key of names.
    pub(super) async fn load_below(&mut self, tx: &mut TenantTx, ns: Namespace, start: String) -> Result<(), Failure> {
        let sql = "select exists (
                select 1 from names
                where tenant = $1 and kind = 'thing' and ns = $2 and id >= $3 and id < $4)
            or exists (
                select 1 from names
                where tenant = $1 and kind = 'relationship' and ns = $2 and id >= $3 and id < $4)";
        // The character after the slash: the end of all that begin with it.
        let end = format!("{}0", start.trim_end_matches('/'));
        let tenant = tx.tenant().clone();
        let query = sqlx::query_scalar(sql).bind(tenant.as_str()).bind(ns.as_str()).bind(&start).bind(end);
        let has = query.fetch_one(tx.connection()).await?;
        self.below.insert((ns, start), has);
        Ok(())
    }

    /// What depends on a canonical thing: the relationships at it and its variants, unless these are too many. Each part is
    /// counted until it alone is; lengths are read without the texts.
    pub(super) async fn load_dependents(
        &mut self,
        tx: &mut TenantTx,
        name: &Name,
    ) -> Result<(Vec<Name>, Vec<Key>), Failure> {
        let counted = "select count(*), coalesce(sum(bytes), 0)::bigint from (
                select r.bytes from (
                    (select ns, id from relationships where tenant = $1 and from_hash = $2 limit $5)
                    union
                    (select ns, id from relationships where tenant = $1 and to_hash = $2 limit $5)) a
                cross join lateral (
                    select coalesce(octet_length(r.data), 0) as bytes from relationships r
                    where r.tenant = $1 and r.ns = a.ns and r.id = a.id limit 1) r
                union all
                (select coalesce(octet_length(content), 0) + coalesce(octet_length(code), 0)
                    + coalesce(octet_length(data), 0)
                from things where tenant = $1 and ns = $3 and id = $4 and variant > '' limit $5)) parts";
        let (hash, tenant) = (end_hash(name), tx.tenant().clone());
        let query = sqlx::query(counted).bind(tenant.as_str()).bind(hash.as_slice()).bind(name.ns.as_str());
        let query = query.bind(name.id.as_str()).bind(Dependents::MAX_COUNT as i64 + 1);
        let row = query.fetch_one(tx.connection()).await?;
        let dependents = Dependents { count: rows::count(&row, 0)?, bytes: rows::count(&row, 1)? };
        self.dependents.insert(name.clone(), dependents);
        if dependents.are_too_many() || dependents.count == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        // By the indexes relationships_from and relationships_to. Two names may have one hash.
        let relationships = "select ns, id from relationships
            where tenant = $1 and from_hash = $2 and from_ns = $3 and from_id = $4
            union
            select ns, id from relationships
            where tenant = $1 and to_hash = $2 and to_ns = $3 and to_id = $4
            order by ns, id";
        let query = sqlx::query(relationships).bind(tenant.as_str()).bind(hash.as_slice());
        let found = query.bind(name.ns.as_str()).bind(name.id.as_str()).fetch_all(tx.connection()).await?;
        let relationships = found.iter().map(|row| rows::name(row, 0)).collect::<Result<_, _>>()?;
        let variants = "select variant from things
            where tenant = $1 and ns = $2 and id = $3 and variant > ''
            order by variant";
        let query = sqlx::query(variants).bind(tenant.as_str()).bind(name.ns.as_str()).bind(name.id.as_str());
        let found = query.fetch_all(tx.connection()).await?;
        let key = |row| Ok(Key { variant: rows::variant(row, 0)?, ..Key::from(name.clone()) });
        let variants = found.iter().map(key).collect::<Result<_, sqlx::Error>>()?;
        Ok((relationships, variants))
    }
}

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

/// The place of a row's name among those that were asked for.
fn place(row: &sqlx::postgres::PgRow) -> rows::Column<usize> {
    Ok(row.try_get::<i64, _>(0)? as usize - 1)
}
