//! Owns how a write of many changes is on the wire. Decides nothing.

use domain::Invalid;
use prost::Message as _;
use proto::convert::{condition, reference, relationship_body, thing_body, thing_patch};
use proto::things::v1::{self as wire, write_change::Change as Wire};
use sha2::{Digest as _, Sha256};

use super::{condition_of_deletion, relationship_reference};
use crate::atomic::{Idempotency, MAX_CHANGES, Terms};
use crate::change::Change;

/// What is asked, and on which terms.
pub(super) fn changes(request: wire::WriteThingsRequest) -> Result<(Vec<Change>, Terms), Invalid> {
    if request.changes.is_empty() || request.changes.len() > MAX_CHANGES {
        return Err(Invalid::new("changes", "must be 1 to 1,000"));
    }
    let is_named = !request.request_id.is_empty() && !request.validate_only;
    let idempotency = is_named.then(|| Idempotency {
        request_id: request.request_id.as_str().into(),
        digest: Sha256::digest(request.encode_to_vec()).into(),
    });
    let terms = Terms { validate_only: request.validate_only, idempotency };
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
