//! The words of Annals as types: names, states, events, positions and the clock.
//!
//! Owns every rule of a name, a field or a limit. Never does I/O and knows no wire, store or runtime.

mod as_of;
pub mod clock;
mod condition;
mod cursor;
mod data;
mod diff;
mod etag;
mod event;
mod field_filter;
mod id;
mod invalid;
pub mod json;
mod key;
mod mutation;
mod namespace;
mod path;
mod reference;
mod relationship;
mod tenant;
mod thing;
mod timestamp;
pub mod url;
mod variant;

pub use as_of::AsOf;
pub use clock::Clock;
pub use condition::Condition;
pub use cursor::Cursor;
pub use data::Data;
pub use diff::{Change, Difference, Hunk, diff};
pub use etag::{Etag, parse_ulid};
pub use event::{Entity, EntityKind, Event, EventBody, EventType, JsonText, Keep, Severity, Shape};
pub use field_filter::{FieldFilter, FieldPath, FieldTest, Scalar};
pub use id::Id;
pub use invalid::Invalid;
pub use json::Json;
pub use key::{Key, Name};
pub use mutation::{Mutation, MutationType, Provenance, State};
pub use namespace::{Namespace, Style};
pub use path::Path;
pub use reference::Reference;
pub use relationship::{Relationship, RelationshipBody};
pub use tenant::TenantId;
pub use thing::{Code, Content, Embedding, Thing, ThingBody, TypeName, Visibility};
pub use timestamp::Timestamp;
pub use variant::Variant;
