//! The JSON of the wire.
//!
//! Owns which members a thing, a relationship, an event and a mutation have over HTTP, in both directions. Number
//! lexemes and key order of `data` pass as they are. Never applies a rule that the services apply.

mod aggregate;
mod change;
mod event;
mod hit;
mod mutation;
mod namespace;
mod place;
mod reached;
mod read;
mod relationship;
mod restore;
mod row;
mod schema;
mod thing;
mod write;

pub(crate) use event::{read_events, read_kind, read_lines};
pub(crate) use hit::read_vector;
pub(crate) use namespace::read_namespace;
pub(crate) use read::{Fields, Violations, parse, unknown};
pub(crate) use relationship::read_relationship;
pub(crate) use restore::{read_restore, read_undelete};
pub(crate) use schema::read_schema;
pub(crate) use thing::{read_patch, read_thing};

// A program that talks gRPC shows and reads the same JSON.
pub use aggregate::aggregate;
pub use change::{read_write, written};
pub use event::{event, read_line};
pub use hit::found;
pub use mutation::{changes, mutation};
pub use namespace::{namespace, namespaces};
pub use reached::reached;
pub use relationship::{relationship, relationships};
pub use row::{read_row, row};
pub use schema::{schema, schemas};
pub use thing::{counted, thing};
pub use write::Writer;
#[cfg(test)]
pub(crate) use {event::EVENT_COLUMNS, relationship::RELATIONSHIP_MEMBERS, thing::THING_MEMBERS};
