//! Owns the schemas of one tenant, and which things of a type break one. Decides nothing: `schemas` does.

use std::sync::Arc;

use domain::{Namespace, TypeName};
use futures::FutureExt as _;
use rusqlite::{Params, Row, params};
use serve::Caller;
use ulid::Ulid;

use super::Sqlite;
use super::failure::Failure;
use super::rows;
use super::tables::Tables;
use crate::change::SchemaChange;
use crate::schema::{Registered, Schema};
use crate::schemas::{Broken, Found, SchemaFacts};
use crate::store::encoding::ulid_bytes;
use crate::store::facts::Facts as _;
use crate::store::{Answer, SchemaStore};

impl SchemaStore for Sqlite {
    fn schema(&self, caller: &Caller, ns: Namespace, thing_type: TypeName) -> Answer<'_, Option<Registered>> {
        let read = |connection: &_| Tables::new(connection, &caller.tenant).registered_schema(&ns, &thing_type);
        std::future::ready(self.readers.here(read)).boxed()
    }

    fn schemas(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<Vec<Registered>>> {
        let caller = caller.clone();
        let list = move |connection: &_| Tables::new(connection, &caller.tenant).registered_schemas(&ns);
        self.readers.aside(list).boxed()
    }

    fn check(
        &self,
        caller: &Caller,
        ns: Namespace,
        thing_type: TypeName,
        schema: Arc<Schema>,
    ) -> Answer<'_, (Vec<Broken>, Ulid)> {
        let caller = caller.clone();
        async move {
            // Behind every write that was asked for before; those after it draw later ULIDs.
            let since = self.writer.submit(|transaction| Ok(transaction.clock().ulid())).await?;
            let check =
                move |connection: &_| Tables::new(connection, &caller.tenant).breaking(&ns, &thing_type, &schema, None);
            Ok((self.readers.aside(check).await?, since))
        }
        .boxed()
    }
}

impl Tables<'_> {
    /// By the primary key.
    pub(super) fn registered_schema(
        &self,
        ns: &Namespace,
        thing_type: &TypeName,
    ) -> Result<Option<Registered>, Failure> {
        let sql = "select type, schema, created_at, updated_at from schemas
            where tenant = ?1 and ns = ?2 and type = ?3";
        let params = params![self.tenant.as_str(), ns.as_str(), thing_type.as_str()];
        self.one(sql, params, |row| registered(row, ns))
    }

    /// By a range of the primary key.
    fn registered_schemas(&self, ns: &Namespace) -> Result<Option<Vec<Registered>>, Failure> {
        let _moment = self.connection.unchecked_transaction()?;
        if self.registration(ns)?.is_none() {
            return Ok(None);
        }
        let sql = "select type, schema, created_at, updated_at from schemas
            where tenant = ?1 and ns = ?2
            order by type";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(params![self.tenant.as_str(), ns.as_str()], |row| registered(row, ns))?;
        Ok(Some(found.collect::<Result<_, _>>()?))
    }

    /// What is there of a type; and what changed since and breaks the schema that it shall have.
    pub(super) fn schema_facts(
        &self,
        ns: &Namespace,
        thing_type: &TypeName,
        new: Option<(&Schema, Ulid)>,
    ) -> Result<SchemaFacts, Failure> {
        let broken = match new {
            Some((schema, since)) => self.breaking(ns, thing_type, schema, Some(since))?,
            None => Vec::new(),
        };
        let (namespace, present) = (self.registration(ns)?, self.registered_schema(ns, thing_type)?);
        Ok(SchemaFacts { namespace, present, broken })
    }

    /// The first things of a type that break a schema: of all, or of those that changed since. By the primary key, or by the
    /// index `things_updated`.
    fn breaking(
        &self,
        ns: &Namespace,
        thing_type: &TypeName,
        schema: &Schema,
        since: Option<Ulid>,
    ) -> Result<Vec<Broken>, Failure> {
        let (tenant, ns_text, word) = (self.tenant.as_str(), ns.as_str(), thing_type.as_str());
        let mut found = Found::default();
        match since {
            // In order: what comes behind the first hundred is not told of.
            None => {
                let sql = "select id, variant, data from things
                    where tenant = ?1 and ns = ?2 and type = ?3
                    order by id, variant";
                self.judge(sql, params![tenant, ns_text, word], (ns, schema, true), &mut found)?;
            }
            Some(since) => {
                let sql = "select id, variant, data from things
                    where tenant = ?1 and ns = ?2 and etag >= ?4 and type = ?3";
                let params = params![tenant, ns_text, word, ulid_bytes(since)];
                self.judge(sql, params, (ns, schema, false), &mut found)?;
            }
        }
        Ok(found.into_first())
    }

    fn judge(
        &self,
        sql: &str,
        params: impl Params,
        (ns, schema, ends_full): (&Namespace, &Schema, bool),
        found: &mut Found,
    ) -> Result<(), Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut things = statement.query(params)?;
        while let Some(row) = things.next()? {
            if ends_full && found.is_full() {
                break;
            }
            let data = rows::data(row, 2)?;
            if let Some(breach) = schema.breaches(data.as_ref(), 1).pop() {
                let key = domain::Key { ns: ns.clone(), id: rows::id(row, 0)?, variant: rows::variant(row, 1)? };
                found.add(Broken { key, breach });
            }
        }
        Ok(())
    }

    pub(super) fn change_schema(&self, change: &SchemaChange) -> Result<(), Failure> {
        let tenant = self.tenant.as_str();
        let (ns, count) = match change {
            SchemaChange::Put(Registered { ns, thing_type, text, created_at, updated_at }, count) => {
                let sql = "insert into schemas (tenant, ns, type, schema, created_at, updated_at)
                    values (?1, ?2, ?3, ?4, ?5, ?6)
                    on conflict do update set schema = excluded.schema, updated_at = excluded.updated_at";
                let (word, times) = (thing_type.as_str(), [created_at.millis(), updated_at.millis()]);
                self.run(sql, params![tenant, ns.as_str(), word, text, times[0], times[1]])?;
                (ns, count)
            }
            SchemaChange::Delete(ns, thing_type, count) => {
                let sql = "delete from schemas where tenant = ?1 and ns = ?2 and type = ?3";
                self.run(sql, params![tenant, ns.as_str(), thing_type.as_str()])?;
                (ns, count)
            }
        };
        let sql = "update namespaces set schemas = ?3 where tenant = ?1 and ns = ?2";
        self.run(sql, params![tenant, ns.as_str(), count])
    }

    /// Those of a namespace that is registered no more.
    pub(super) fn delete_schemas(&self, ns: &Namespace) -> Result<(), Failure> {
        let sql = "delete from schemas where tenant = ?1 and ns = ?2";
        self.connection.prepare_cached(sql)?.execute(params![self.tenant.as_str(), ns.as_str()])?;
        Ok(())
    }
}

fn registered(row: &Row<'_>, ns: &Namespace) -> rusqlite::Result<Registered> {
    Ok(Registered {
        ns: ns.clone(),
        thing_type: rows::type_name(row, 0)?,
        text: row.get::<_, String>(1)?.into(),
        created_at: rows::time(row, 2)?,
        updated_at: rows::time(row, 3)?,
    })
}
