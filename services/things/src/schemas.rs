//! Schemas of types: put, shown, listed and deleted.
//!
//! Owns who may do that and when, and the rule that no thing breaks the schema of its type: a schema is put where all things
//! satisfy it, and from then on a write that breaks it is refused. Never reads or writes the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Id, Key, Namespace, Timestamp, TypeName, Variant};
use serve::{Caller, Refusal};

use crate::change::{Applied, Change, Origin, Outcome, Plan, SchemaChange};
use crate::namespaces::Registration;
use crate::schema::{Breach, Registered, Schema};
use crate::{Call, Things, refuse};

/// The most schemas of a namespace: what one answer lists.
pub(crate) const MAX_SCHEMAS: usize = 100;
/// The most things that are told of because they break a schema.
pub(crate) const MAX_BROKEN: usize = 100;

impl Things {
    /// Creates or replaces the schema of a type, and says how that came.
    pub(crate) async fn put_schema(
        &self,
        call: Call,
        ns: Namespace,
        thing_type: TypeName,
        text: String,
    ) -> Result<(Registered, Outcome), Refusal> {
        call.caller.require_admin(&ns)?;
        // Much of a schema takes milliseconds to be compiled.
        let parsed = tokio::task::spawn_blocking(move || Schema::parse(&text));
        let schema = Arc::new(parsed.await.map_err(Refusal::internal)??);
        let store = &self.store.schemas;
        let present = store.schema(&call.caller, ns.clone(), thing_type.clone()).await?;
        if let Some(present) = present.filter(|present| *present.text == *schema.text()) {
            return Ok((present, Outcome::Unchanged));
        }
        let checked = store.check(&call.caller, ns.clone(), thing_type.clone(), Arc::clone(&schema));
        let (broken, since) = checked.await?;
        if !broken.is_empty() {
            return Err(refuse::schema_broken(&ns, &thing_type, broken));
        }
        match self.change(call, Change::PutSchema { ns, thing_type, schema, since }).await? {
            Applied::Schema { schema, outcome } => Ok((schema, outcome)),
            other => unreachable!("putting a schema answers with a schema, not {other:?}"),
        }
    }

    /// The schema of a type, if the caller may read its namespace.
    pub(crate) async fn get_schema(
        &self,
        caller: &Caller,
        ns: Namespace,
        thing_type: TypeName,
    ) -> Result<Registered, Refusal> {
        let absent = refuse::schema_not_found(&ns, &thing_type);
        if !caller.may_read(&ns) {
            return Err(absent);
        }
        self.store.schemas.schema(caller, ns, thing_type).await?.ok_or(absent)
    }

    /// The schemas of a namespace that the caller may read, by type.
    pub(crate) async fn list_schemas(&self, caller: &Caller, ns: Namespace) -> Result<Vec<Registered>, Refusal> {
        let absent = refuse::namespace_not_found(&ns);
        if !caller.may_read(&ns) {
            return Err(absent);
        }
        self.store.schemas.schemas(caller, ns).await?.ok_or(absent)
    }

    /// Deletes the schema of a type.
    pub(crate) async fn delete_schema(&self, call: Call, ns: Namespace, thing_type: TypeName) -> Result<(), Refusal> {
        self.change(call, Change::DeleteSchema { ns, thing_type }).await.map(drop)
    }
}

/// A thing that breaks a schema, and where first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    pub(crate) key: Key,
    pub(crate) breach: Breach,
}

/// The first things that break a schema, by name as bytes, of those that were found.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<(Id, Variant), Broken>);

impl Found {
    pub(crate) fn add(&mut self, broken: Broken) {
        self.0.insert((broken.key.id.clone(), broken.key.variant.clone()), broken);
        if self.0.len() > MAX_BROKEN {
            self.0.pop_last();
        }
    }

    /// Whether one that comes later by name would not be told of.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_BROKEN
    }

    pub(crate) fn into_first(self) -> Vec<Broken> {
        self.0.into_values().collect()
    }
}

/// What the store knows about the schema of a type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SchemaFacts {
    /// How its namespace is registered.
    pub(crate) namespace: Option<Registration>,
    pub(crate) present: Option<Registered>,
    /// Things that would break it.
    pub(crate) broken: Vec<Broken>,
}

/// What giving a type this schema does.
pub(crate) fn plan_put(
    origin: Origin<'_>,
    ns: Namespace,
    thing_type: TypeName,
    schema: &Schema,
    facts: SchemaFacts,
) -> Result<Plan, Refusal> {
    origin.caller.require_admin(&ns)?;
    let SchemaFacts { namespace, present, broken } = facts;
    let Some(namespace) = namespace else { return Err(refuse::unregistered(&ns)) };
    if !broken.is_empty() {
        return Err(refuse::schema_broken(&ns, &thing_type, broken));
    }
    let now = origin.clock.now();
    let (created_at, outcome, count) = match present {
        Some(present) if *present.text == *schema.text() => {
            return Ok(Plan::nothing(Applied::Schema { schema: present, outcome: Outcome::Unchanged }));
        }
        Some(present) => (present.created_at, Outcome::Replaced, namespace.schemas),
        None if namespace.schemas >= MAX_SCHEMAS => {
            let rule = format!("must be one of {MAX_SCHEMAS} types with a schema: {ns} has as many");
            return Err(Refusal::invalid_field("type", rule));
        }
        None => (now, Outcome::Created, namespace.schemas + 1),
    };
    let updated_at = later(created_at, now);
    let schema = Registered { ns, thing_type, text: schema.text().into(), created_at, updated_at };
    let change = Some(SchemaChange::Put(schema.clone(), count));
    Ok(Plan { schema: change, ..Plan::nothing(Applied::Schema { schema, outcome }) })
}

/// What deleting the schema of a type does.
pub(crate) fn plan_delete(
    caller: &Caller,
    ns: &Namespace,
    thing_type: &TypeName,
    facts: SchemaFacts,
) -> Result<Plan, Refusal> {
    caller.require_admin(ns)?;
    let SchemaFacts { namespace, present, broken: _ } = facts;
    let (Some(namespace), Some(schema)) = (namespace, present) else {
        return Err(refuse::schema_not_found(ns, thing_type));
    };
    let change = Some(SchemaChange::Delete(ns.clone(), thing_type.clone(), namespace.schemas.saturating_sub(1)));
    let gone = Applied::Schema { schema, outcome: Outcome::Replaced };
    Ok(Plan { schema: change, ..Plan::nothing(gone) })
}

/// Of two moments, where the clock may have gone back.
fn later(one: Timestamp, other: Timestamp) -> Timestamp {
    one.max(other)
}
