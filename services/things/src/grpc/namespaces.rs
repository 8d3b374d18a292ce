//! A namespace with what it has.

use domain::{Namespace, Style, Timestamp};
use proto::convert::{namespace_to_wire, timestamp_to_wire};
use proto::things::v1 as wire;

use crate::store::Contents;

pub(super) fn described(ns: &Namespace, style: Style, created_at: Timestamp, contents: Contents) -> wire::Namespace {
    let Contents { things, relationships, first, last } = contents;
    let contents = wire::NamespaceContents {
        things: things as i64,
        relationships: relationships.map(|count| count as i64),
        first_created_at: first.map(timestamp_to_wire),
        last_changed_at: last.map(|last| timestamp_to_wire(Timestamp::of_ulid(last))),
    };
    wire::Namespace { contents: Some(contents), ..namespace_to_wire(ns, style, created_at) }
}
