//! Owns the statements that fill a picture with namespaces and things (`names` and `links` have the others): each looks up many
//! names at once, and none that are known. Decides nothing.
//!
//! Names are looked up one by one (`lateral … limit 1`): joined, they would be compared with all rows of a tenant whose size
//! the planner does not know.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use domain::{Key, Name, Namespace};
use serve::Caller;
use sqlx::Row as _;

use super::failure::Failure;
use super::picture::Picture;
use super::rows::{self, thing_columns};
use super::tenant::TenantTx;
use crate::namespaces::Registration;
use crate::sight::{Way, sees};
use crate::store::Wanted;
use crate::store::facts::Facts as _;
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
        let wanted = unknown(&self.namespaces, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select ns, style, created_at, schemas from namespaces where tenant = $1 and ns = any($2)";
        let names: Vec<&str> = wanted.iter().map(Namespace::as_str).collect();
        let found = tx.query(sql).bind(names).fetch_all(tx.connection()).await?;
        self.namespaces.extend(wanted.into_iter().map(|ns| (ns, None)));
        for row in found {
            let schemas = row.try_get::<i32, _>(3)? as usize;
            let found = Registration { style: rows::style(&row, 1)?, created_at: rows::time(&row, 2)?, schemas };
            self.namespaces.insert(rows::parsed(&row, 0)?, Some(found));
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
        let wanted = unknown(&self.things, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let (sql, Keys { ns, id, variant }) = (if with_embedding { WITH } else { WITHOUT }, wanted.iter().collect());
        let query = tx.query(sql).bind(ns).bind(id).bind(variant);
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
        let query = tx.query(sql).bind(ns).bind(id).bind(variant).bind(wanted.with_embedding);
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
        let wanted = unknown(&self.canonical, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "select u.ord, t.visibility
            from unnest($2::text[], $3::text[]) with ordinality u(ns, id, ord)
            cross join lateral (
                select t.visibility from things t
                where t.tenant = $1 and t.ns = u.ns and t.id = u.id and t.variant = '' limit 1) t";
        let Keys { ns, id, .. } = wanted.iter().collect();
        let found = tx.query(sql).bind(ns).bind(id).fetch_all(tx.connection()).await?;
        self.canonical.extend(wanted.iter().map(|name| (name.clone(), None)));
        for row in found {
            self.canonical.insert(wanted[place(&row)?].clone(), Some(rows::visibility(&row, 1)?));
        }
        Ok(())
    }
}

/// Those that are not known yet, in order, each once.
pub(super) fn unknown<K: Ord + Hash, T>(known: &HashMap<K, T>, wanted: impl IntoIterator<Item = K>) -> Vec<K> {
    let unknown: BTreeSet<K> = wanted.into_iter().filter(|name| !known.contains_key(name)).collect();
    unknown.into_iter().collect()
}

/// The place of a row's name among those that were asked for.
pub(super) fn place(row: &sqlx::postgres::PgRow) -> rows::Column<usize> {
    Ok(row.try_get::<i64, _>(0)? as usize - 1)
}
