//! Changing fields of a thing.
//!
//! Owns what a patch makes of a state. Never reads or writes the store.

use domain::{Condition, Data, Invalid, Json, Reference, Style, Thing, ThingBody, json};
use proto::convert::{Edit, ThingPatch};
use serve::Refusal;

use crate::change::{Applied, Change, Origin, Plan};
use crate::schema::Schema;
use crate::{Call, Put, Things, condition, put, refuse};

impl Things {
    /// Changes the given fields of one existing thing.
    pub(crate) async fn patch_thing(
        &self,
        call: Call,
        reference: Reference,
        patch: ThingPatch,
        condition: Condition,
    ) -> Result<Put<Thing>, Refusal> {
        let change = Change::PatchThing { reference, patch, condition };
        match self.change(call, change).await? {
            Applied::Thing { thing, style, outcome } => Ok(Put { state: thing, style, outcome }),
            other => unreachable!("patching a thing answers with a thing, not {other:?}"),
        }
    }
}

/// What patching the thing of that name, whose present state is `before`, does. `schema`: what data of the type that it then has
/// must satisfy there.
pub(crate) fn plan(
    origin: Origin<'_>,
    reference: &Reference,
    style: Style,
    patch: ThingPatch,
    condition: &Condition,
    before: Option<Thing>,
    schema: Option<&Schema>,
) -> Result<Plan, Refusal> {
    let before = before.ok_or_else(|| refuse::thing_not_found(reference))?;
    condition::check(condition, &before.key, Some(before.etag), || refuse::thing_not_found(reference))?;
    let body = patched(before.body.clone(), patch)?;
    put::replace(origin, style, before, body, (schema, "data_patch"))
}

fn patched(body: ThingBody, patch: ThingPatch) -> Result<ThingBody, Invalid> {
    let ThingPatch { thing_type, visibility, content, code, data, embedding } = patch;
    Ok(ThingBody {
        thing_type: thing_type.unwrap_or(body.thing_type),
        visibility: visibility.unwrap_or(body.visibility),
        content: content.apply(body.content),
        code: code.apply(body.code),
        data: merged(body.data, data)?,
        embedding: embedding.apply(body.embedding),
    })
}

fn merged(before: Option<Data>, edit: Edit<Json>) -> Result<Option<Data>, Invalid> {
    match edit {
        Edit::Keep => Ok(before),
        Edit::Clear => Ok(None),
        Edit::Set(patch) => {
            let target = before.map_or_else(|| Json::Object(Vec::new()), |data| data.to_json());
            Data::try_from(json::merge_patch(target, patch))
                .map(Some)
                .map_err(|Invalid { rule, .. }| Invalid::new("data_patch", format!("merged into data {rule}")))
        }
    }
}
