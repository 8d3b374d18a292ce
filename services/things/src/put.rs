//! Putting a thing: what it does to the present, and to history.
//!
//! Owns the rule that an equal body writes nothing. Never reads or writes the store.

use domain::{Condition, Reference, Style, Thing, ThingBody, Timestamp};
use serve::Refusal;
use ulid::Ulid;

use crate::change::{Applied, Change, Origin, Outcome, Plan};
use crate::naming::Target;
use crate::schema::{MAX_BREACHES, Schema};
use crate::{Call, Put, Things, condition, refuse};

impl Things {
    /// Creates or replaces one thing.
    pub(crate) async fn put_thing(
        &self,
        call: Call,
        reference: Reference,
        body: ThingBody,
        condition: Condition,
    ) -> Result<Put<Thing>, Refusal> {
        let change = Change::PutThing { reference, body, condition };
        match self.change(call, change).await? {
            Applied::Thing { thing, style, outcome } => Ok(Put { state: thing, style, outcome }),
            other => unreachable!("putting a thing answers with a thing, not {other:?}"),
        }
    }
}

/// What the store knows about the name of a thing that is put.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ThingFacts {
    /// Its present state, with embedding.
    pub(crate) before: Option<Thing>,
    /// Its newest mutation.
    pub(crate) last: Option<Ulid>,
    /// Whether its canonical thing exists, if it is a variant.
    pub(crate) has_canonical: bool,
}

/// What putting `body` at `target` does. `schema`: what data of its type must satisfy there.
pub(crate) fn plan(
    origin: Origin<'_>,
    reference: &Reference,
    target: Target,
    body: ThingBody,
    condition: &Condition,
    facts: ThingFacts,
    schema: Option<&Schema>,
) -> Result<Plan, Refusal> {
    let Target { key, style, is_registered, .. } = target;
    let ThingFacts { before, last, has_canonical } = facts;
    let present = before.as_ref().map(|before| before.etag);
    condition::check(condition, &key, present, || refuse::thing_not_found(reference))?;
    if let Some(before) = before {
        return replace(origin, style, before, body, (schema, "thing.data"));
    }
    if !key.variant.is_canonical() && !has_canonical {
        return Err(refuse::canonical_missing(&key));
    }
    satisfied(schema, &body, "thing.data")?;
    let ulid = origin.ulid_after(last);
    let created_at = Timestamp::of_ulid(ulid);
    let register = (!is_registered).then(|| (key.ns.clone(), style, created_at));
    let thing = Thing { key, body, created_at, etag: domain::Etag(ulid) };
    let mutations = vec![origin.thing(ulid, None, Some(thing.clone()))];
    Ok(Plan { register, mutations, ..Plan::nothing(Applied::Thing { thing, style, outcome: Outcome::Created }) })
}

/// What giving `before` the new `body` does. `field` has the data, which must satisfy `schema`.
pub(crate) fn replace(
    origin: Origin<'_>,
    style: Style,
    before: Thing,
    body: ThingBody,
    (schema, field): (Option<&Schema>, &str),
) -> Result<Plan, Refusal> {
    if before.body == body {
        return Ok(Plan::nothing(Applied::Thing { thing: before, style, outcome: Outcome::Unchanged }));
    }
    satisfied(schema, &body, field)?;
    let ulid = origin.ulid_after(Some(before.etag.0));
    let thing = Thing { key: before.key.clone(), body, created_at: before.created_at, etag: domain::Etag(ulid) };
    let mutations = vec![origin.thing(ulid, Some(before), Some(thing.clone()))];
    Ok(Plan { mutations, ..Plan::nothing(Applied::Thing { thing, style, outcome: Outcome::Replaced }) })
}

/// Refuses data that break the schema of their type.
fn satisfied(schema: Option<&Schema>, body: &ThingBody, field: &str) -> Result<(), Refusal> {
    let Some(schema) = schema else { return Ok(()) };
    let breaches = schema.breaches(body.data.as_ref(), MAX_BREACHES);
    if breaches.is_empty() { Ok(()) } else { Err(refuse::schema_violated(&body.thing_type, field, breaches)) }
}
