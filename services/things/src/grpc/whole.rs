//! Owns how a write of many changes and its answer are on the wire. Decides nothing.

use domain::{Id, Invalid, Key};
use prost::Message as _;
use proto::convert::{
    condition, entity_kind, entity_kind_to_wire, key_to_wire, reference, relationship_body, thing_body, thing_patch,
};
use proto::things::v1::{self as wire, write_change::Change as Wire};
use sha2::{Digest as _, Sha256};

use super::{condition_of_deletion, relationship_reference};
use crate::change::{Change, Outcome};
use crate::whole::{Done, Effect, MAX_CHANGES, Once, Terms};

/// What is asked, and on which terms.
pub(super) fn changes(request: wire::WriteThingsRequest) -> Result<(Vec<Change>, Terms), Invalid> {
    if request.changes.is_empty() || request.changes.len() > MAX_CHANGES {
        return Err(Invalid::new("changes", "must be 1 to 1,000"));
    }
    let is_named = !request.request_id.is_empty() && !request.validate_only;
    let once = is_named.then(|| Once {
        request_id: request.request_id.as_str().into(),
        digest: Sha256::digest(request.encode_to_vec()).into(),
    });
    let terms = Terms { validate_only: request.validate_only, once };
    let each = request.changes.into_iter().enumerate();
    let changes =
        each.map(|(number, given)| change(given).map_err(|invalid| invalid.within(&format!("changes[{number}]"))));
    Ok((changes.collect::<Result<_, _>>()?, terms))
}

fn change(given: wire::WriteChange) -> Result<Change, Invalid> {
    match given.change.ok_or_else(|| Invalid::new("change", "is required"))? {
        Wire::PutThing(given) => put_thing(given).map_err(|invalid| invalid.within("put_thing")),
        Wire::PatchThing(given) => patch_thing(given).map_err(|invalid| invalid.within("patch_thing")),
        Wire::DeleteThing(given) => delete_thing(given).map_err(|invalid| invalid.within("delete_thing")),
        Wire::PutRelationship(given) => put_relationship(given).map_err(|invalid| invalid.within("put_relationship")),
        Wire::DeleteRelationship(given) => {
            delete_relationship(given).map_err(|invalid| invalid.within("delete_relationship"))
        }
    }
}

fn put_thing(given: wire::PutThingRequest) -> Result<Change, Invalid> {
    let wire::PutThingRequest { thing, condition: held, request_id, cause } = given;
    is_of_the_whole(&request_id, &cause)?;
    let (reference, body) = thing_body(thing)?;
    Ok(Change::PutThing { reference, body, condition: condition(held)? })
}

fn patch_thing(mut given: wire::PatchThingRequest) -> Result<Change, Invalid> {
    is_of_the_whole(&given.request_id, &given.cause)?;
    let condition = condition(given.condition.take())?;
    let (reference, patch) = thing_patch(given)?;
    Ok(Change::PatchThing { reference, patch, condition })
}

fn delete_thing(given: wire::DeleteThingRequest) -> Result<Change, Invalid> {
    let wire::DeleteThingRequest { key, condition, request_id, cause } = given;
    is_of_the_whole(&request_id, &cause)?;
    Ok(Change::DeleteThing { reference: reference("key", key)?, condition: condition_of_deletion(condition)? })
}

fn put_relationship(given: wire::PutRelationshipRequest) -> Result<Change, Invalid> {
    let wire::PutRelationshipRequest { relationship, condition: held, request_id, cause } = given;
    is_of_the_whole(&request_id, &cause)?;
    Ok(Change::PutRelationship { relationship: relationship_body(relationship)?, condition: condition(held)? })
}

fn delete_relationship(given: wire::DeleteRelationshipRequest) -> Result<Change, Invalid> {
    let wire::DeleteRelationshipRequest { key, condition, request_id, cause } = given;
    is_of_the_whole(&request_id, &cause)?;
    let reference = relationship_reference(key)?;
    Ok(Change::DeleteRelationship { reference, condition: condition_of_deletion(condition)? })
}

fn is_of_the_whole(request_id: &str, cause: &str) -> Result<(), Invalid> {
    for (field, given) in [("request_id", request_id), ("cause", cause)] {
        if !given.is_empty() {
            return Err(Invalid::new(field, "must be empty: that of the whole request counts"));
        }
    }
    Ok(())
}

/// On the wire, and kept for a repetition.
pub(crate) fn result_to_wire(done: Done) -> wire::WriteResult {
    let Done { key, kind, effect, ulid } = done;
    let (outcome, variants, relationships) = match effect {
        Effect::Put(Outcome::Created) => (wire::WriteOutcome::Created, 0, 0),
        Effect::Put(Outcome::Replaced) => (wire::WriteOutcome::Replaced, 0, 0),
        Effect::Put(Outcome::Unchanged) => (wire::WriteOutcome::Unchanged, 0, 0),
        Effect::Deleted { variants, relationships } => (wire::WriteOutcome::Deleted, variants, relationships),
    };
    wire::WriteResult {
        key: Some(key_to_wire(&key)),
        kind: entity_kind_to_wire(kind).into(),
        outcome: outcome.into(),
        ulid: ulid.map(|ulid| ulid.to_string()).unwrap_or_default(),
        deleted_variants: variants as i32,
        deleted_relationships: relationships as i32,
    }
}

/// One that was kept.
pub(crate) fn result_of_wire(result: wire::WriteResult) -> Result<Done, Invalid> {
    let wire::WriteResult { key, kind, outcome, ulid, deleted_variants, deleted_relationships } = result;
    let key = key.ok_or_else(|| Invalid::new("key", "is required"))?;
    let key = Key { ns: key.ns.parse()?, id: Id::from_canonical(&key.id)?, variant: parse_variant(&key.variant)? };
    let kind = entity_kind("kind", kind)?.unwrap_or_default();
    let effect = match wire::WriteOutcome::try_from(outcome) {
        Ok(wire::WriteOutcome::Created) => Effect::Put(Outcome::Created),
        Ok(wire::WriteOutcome::Replaced) => Effect::Put(Outcome::Replaced),
        Ok(wire::WriteOutcome::Unchanged) => Effect::Put(Outcome::Unchanged),
        Ok(wire::WriteOutcome::Deleted) => {
            Effect::Deleted { variants: deleted_variants as usize, relationships: deleted_relationships as usize }
        }
        Ok(wire::WriteOutcome::Unspecified) | Err(_) => return Err(Invalid::new("outcome", "is required")),
    };
    let ulid = (!ulid.is_empty()).then(|| ulid.parse()).transpose();
    Ok(Done { key, kind, effect, ulid: ulid.map_err(|_| Invalid::new("ulid", "must be a ULID"))? })
}

fn parse_variant(variant: &str) -> Result<domain::Variant, Invalid> {
    if variant.is_empty() { Ok(domain::Variant::canonical()) } else { variant.parse() }
}
