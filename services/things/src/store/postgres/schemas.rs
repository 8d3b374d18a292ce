//! Owns the schemas of one tenant, and which things of a type break one. Decides nothing: `schemas` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Data, Id, Key, Namespace, TypeName, Variant};
use futures::{FutureExt as _, TryStreamExt as _};
use serve::{Caller, Refusal};
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use ulid::Ulid;

use super::failure::Failure;
use super::load::unknown;
use super::picture::Picture;
use super::tenant::{Purpose, TenantTx};
use super::{Postgres, outbox, rows};
use crate::change::{Change, SchemaChange};
use crate::naming::Place;
use crate::refuse;
use crate::schema::{Registered, Schema};
use crate::schemas::{Broken, Found, SchemaFacts};
use crate::store::encoding::ulid_bytes;
use crate::store::facts::Facts as _;
use crate::store::{Answer, SchemaStore};

/// Things that are read by one statement, which must not take long.
const STEP: usize = 1_024;
/// Bytes of data that are judged at once, about.
const BYTES: usize = 4 << 20;

impl SchemaStore for Postgres {
    fn schema(&self, caller: &Caller, ns: Namespace, thing_type: TypeName) -> Answer<'_, Option<Registered>> {
        let caller = caller.clone();
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(load(&mut tx, &[(ns, thing_type)]).await?.pop())
        }
        .boxed()
    }

    fn schemas(&self, caller: &Caller, ns: Namespace) -> Answer<'_, Option<Vec<Registered>>> {
        let caller = caller.clone();
        async move {
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok(list(&mut tx, &ns).await?)
        }
        .boxed()
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
            let _turn = self.long.acquire().await.map_err(|_| refuse::store_unavailable())?;
            // Behind every write of any process that had begun; those after it draw ULIDs of this time or later.
            let since = Ulid::from_parts(self.clock.now().millis() as u64, 0);
            outbox::last(&self.pool, &self.clock).await?;
            let mut tx = self.pool.tenant(&caller.tenant, Purpose::Read).await?;
            Ok((breaking(&mut tx, &ns, &thing_type, &schema).await?, since))
        }
        .boxed()
    }
}

/// By the primary key.
async fn list(tx: &mut TenantTx, ns: &Namespace) -> Result<Option<Vec<Registered>>, Failure> {
    let mut picture = Picture::default();
    picture.load_namespaces(tx, [ns.clone()]).await?;
    if picture.registration(ns)?.is_none() {
        return Ok(None);
    }
    let sql = "select ns, type, schema, created_at, updated_at from schemas
        where tenant = $1 and ns = $2
        order by type";
    let found = tx.query(sql).bind(ns.as_str()).fetch_all(tx.connection()).await?;
    Ok(Some(found.iter().map(registered).collect::<Result<_, _>>()?))
}

/// The schemas of types, each in its namespace. By the primary key.
async fn load(tx: &mut TenantTx, wanted: &[(Namespace, TypeName)]) -> Result<Vec<Registered>, Failure> {
    let sql = "select s.ns, s.type, s.schema, s.created_at, s.updated_at
        from unnest($2::text[], $3::text[]) u(ns, type)
        cross join lateral (
            select * from schemas s
            where s.tenant = $1 and s.ns = u.ns and s.type = u.type limit 1) s";
    let (ns, types): (Vec<&str>, Vec<&str>) =
        wanted.iter().map(|(ns, thing_type)| (ns.as_str(), thing_type.as_str())).unzip();
    let found = tx.query(sql).bind(ns).bind(types).fetch_all(tx.connection()).await?;
    Ok(found.iter().map(registered).collect::<Result<_, _>>()?)
}

/// What is there of a type; and what changed since and breaks the schema that it shall have.
pub(super) async fn facts(
    tx: &mut TenantTx,
    picture: &Picture,
    ns: &Namespace,
    thing_type: &TypeName,
    new: Option<(&Arc<Schema>, Ulid)>,
) -> Result<SchemaFacts, Failure> {
    let namespace = picture.registration(ns)?;
    let present = load(tx, &[(ns.clone(), thing_type.clone())]).await?.pop();
    let broken = match new {
        Some((schema, since)) => breaking_since(tx, ns, thing_type, schema, since).await?,
        None => Vec::new(),
    };
    Ok(SchemaFacts { namespace, present, broken })
}

/// The first things of a type that break a schema. By the primary key.
async fn breaking(
    tx: &mut TenantTx,
    ns: &Namespace,
    thing_type: &TypeName,
    schema: &Arc<Schema>,
) -> Result<Vec<Broken>, Failure> {
    let sql = "select id, variant, data from things
        where tenant = $1 and ns = $2 and (id, variant) > ($4, $5) and type = $3
        order by id, variant
        limit $6";
    let (mut found, mut from) = (Found::default(), [String::new(), String::new()]);
    loop {
        let [id, variant] = &from;
        let query = tx.query(sql).bind(ns.as_str()).bind(thing_type.as_str()).bind(id).bind(variant);
        let (count, last) = judge(tx, query.bind(STEP as i64), ns, schema, &mut found).await?;
        let Some((id, variant)) = last.filter(|_| count == STEP && !found.is_full()) else { break };
        from = [id.as_str(), variant.as_str()].map(str::to_owned);
    }
    Ok(found.into_first())
}

/// Of those that changed since. By the index `things_updated`.
async fn breaking_since(
    tx: &mut TenantTx,
    ns: &Namespace,
    thing_type: &TypeName,
    schema: &Arc<Schema>,
    since: Ulid,
) -> Result<Vec<Broken>, Failure> {
    let sql = "select id, variant, data from things
        where tenant = $1 and ns collate \"POSIX\" = $2 and etag >= $4 and type = $3";
    let query = tx.query(sql).bind(ns.as_str()).bind(thing_type.as_str()).bind(ulid_bytes(since).to_vec());
    let mut found = Found::default();
    judge(tx, query, ns, schema, &mut found).await?;
    Ok(found.into_first())
}

/// Judges all that a statement finds; how many that were, and the last one.
async fn judge(
    tx: &mut TenantTx,
    query: Query<'_, sqlx::Postgres, PgArguments>,
    ns: &Namespace,
    schema: &Arc<Schema>,
    found: &mut Found,
) -> Result<(usize, Option<(Id, Variant)>), Failure> {
    let mut rows = query.fetch(tx.connection());
    let (mut count, mut last, mut batch, mut bytes) = (0, None, Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let key = Key { ns: ns.clone(), id: rows::id(&row, 0)?, variant: rows::variant(&row, 1)? };
        let data = rows::data(&row, 2)?;
        count += 1;
        bytes += data.as_ref().map_or(0, |data| data.as_str().len());
        last = Some((key.id.clone(), key.variant.clone()));
        batch.push((key, data));
        if bytes >= BYTES || batch.len() == STEP {
            bytes = 0;
            judged(schema, std::mem::take(&mut batch), found).await?;
        }
    }
    judged(schema, batch, found).await?;
    Ok((count, last))
}

/// On a thread that may block.
async fn judged(schema: &Arc<Schema>, batch: Vec<(Key, Option<Data>)>, found: &mut Found) -> Result<(), Failure> {
    let schema = Arc::clone(schema);
    let judge = move || {
        let breach = |(key, data): (Key, Option<Data>)| {
            let breach = schema.breaches(data.as_ref(), 1).pop()?;
            Some(Broken { key, breach })
        };
        batch.into_iter().filter_map(breach).collect::<Vec<_>>()
    };
    tokio::task::spawn_blocking(judge)
        .await
        .map_err(Refusal::internal)?
        .into_iter()
        .for_each(|broken| found.add(broken));
    Ok(())
}

impl Picture {
    /// The types that things may have after these changes, in namespaces that have schemas.
    pub(super) fn typed(&self, changes: &[Change]) -> BTreeSet<(Namespace, TypeName)> {
        let mut typed = BTreeSet::new();
        for change in changes {
            let (reference, given) = match change {
                Change::PutThing { reference, body, .. } => (reference, Some(&body.thing_type)),
                Change::PatchThing { reference, patch, .. } => (reference, patch.thing_type.as_ref()),
                _ => continue,
            };
            let Ok(Place::In(target)) = self.place(reference, "key") else { continue };
            if !target.has_schemas {
                continue;
            }
            // A patch leaves the type that a change before it gave, which is among these by that.
            let present = self.things.get(&target.key).and_then(Option::as_ref).map(|thing| &thing.body.thing_type);
            typed.extend(given.or(present).map(|word| (target.key.ns.clone(), word.clone())));
        }
        typed
    }

    /// The schemas of types. By the primary key.
    pub(super) async fn load_schemas(
        &mut self,
        tx: &mut TenantTx,
        wanted: BTreeSet<(Namespace, TypeName)>,
    ) -> Result<(), Failure> {
        let wanted = unknown(&self.schemas, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let found = load(tx, &wanted).await?;
        self.schemas.extend(wanted.into_iter().map(|named| (named, None)));
        for found in found {
            let schema = Schema::kept(tx.tenant(), &found)?;
            self.schemas.insert((found.ns, found.thing_type), Some(schema));
        }
        Ok(())
    }

    /// Stores what became of schemas.
    pub(super) async fn save_schemas(&self, tx: &mut TenantTx) -> Result<(), Failure> {
        for change in &self.changed.schemas {
            let (ns, count) = match change {
                SchemaChange::Put(Registered { ns, thing_type, text, created_at, updated_at }, count) => {
                    let sql = "insert into schemas (tenant, ns, type, schema, created_at, updated_at)
                        values ($1, $2, $3, $4, $5, $6)
                        on conflict (tenant, ns, type)
                            do update set schema = excluded.schema, updated_at = excluded.updated_at";
                    let query = tx.query(sql).bind(ns.as_str()).bind(thing_type.as_str()).bind(&**text);
                    let query = query.bind(created_at.millis()).bind(updated_at.millis());
                    query.execute(tx.connection()).await?;
                    (ns, count)
                }
                SchemaChange::Delete(ns, thing_type, count) => {
                    let sql = "delete from schemas where tenant = $1 and ns = $2 and type = $3";
                    let query = tx.query(sql).bind(ns.as_str()).bind(thing_type.as_str());
                    query.execute(tx.connection()).await?;
                    (ns, count)
                }
            };
            let sql = "update namespaces set schemas = $3 where tenant = $1 and ns = $2";
            let query = tx.query(sql).bind(ns.as_str()).bind(*count as i32);
            query.execute(tx.connection()).await?;
        }
        Ok(())
    }
}

fn registered(row: &PgRow) -> rows::Column<Registered> {
    Ok(Registered {
        ns: rows::parsed(row, 0)?,
        thing_type: rows::parsed(row, 1)?,
        text: row.try_get::<String, _>(2)?.into(),
        created_at: rows::time(row, 3)?,
        updated_at: rows::time(row, 4)?,
    })
}
