//! What is put again, as JSON.
//!
//! Owns the members of a restore and of an undelete. Never applies a rule that the services apply.

use domain::{AsOf, EntityKind, Json};
use proto::convert::timestamp_to_wire;
use proto::things::v1::{RestoreThingRequest, UndeleteThingRequest, restore_thing_request as wire};
use serve::Refusal;

use super::change::read_condition;
use super::{Fields, Violations};

/// What a body asks; the request's id and cause are its headers'.
pub(crate) fn read_restore(body: Json) -> Result<RestoreThingRequest, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &["url", "at", "condition"], &[], &mut violations);
    let key = fields.named("url", EntityKind::Thing);
    if fields.is_absent("at") {
        fields.refuse::<()>("at", "is required: a time (RFC 3339) or the ULID of a mutation");
    }
    let as_of = fields.parsed("at", str::parse::<AsOf>).map(|at| match at {
        AsOf::Time(time) => wire::AsOf::Time(timestamp_to_wire(time)),
        AsOf::Ulid(ulid) => wire::AsOf::Ulid(ulid.to_string()),
    });
    let condition = fields.value("condition").map(|given| read_condition(given, "condition", &mut violations));
    violations.or(RestoreThingRequest { key, as_of, condition, ..RestoreThingRequest::default() })
}

/// What a body asks; the request's id and cause are its headers'.
pub(crate) fn read_undelete(body: Json) -> Result<UndeleteThingRequest, Refusal> {
    let mut violations = Violations::default();
    let key = Fields::of(body, "", &["url"], &[], &mut violations).named("url", EntityKind::Thing);
    violations.or(UndeleteThingRequest { key, ..UndeleteThingRequest::default() })
}
