//! Owns the conversions between the wire and `domain`, each destructuring fully so that a new field breaks the build.
//! Never applies a rule of its own: what is refused here is refused by `domain`.

mod aggregate;
mod count;
mod diff;
mod event;
mod event_as_of;
mod field_filter;
mod key;
mod mutation;
mod patch;
mod similar;
mod thing;
mod time;
mod words;
mod write_result;

pub use aggregate::{bucket_width, column, column_name, columns, measure, measure_name};
pub use count::count_request;
pub use diff::change_to_wire;
pub use event::{NewEvent, event_from_wire, event_to_wire, new_event};
pub use event_as_of::{as_of, as_of_to_wire};
pub use field_filter::{field_filter, field_filter_to_wire};
pub use key::{canonical_key, key_to_wire, name_to_wire, reference};
pub use mutation::{mutation, mutation_event, mutation_to_wire, state_to_wire};
pub use patch::{Edit, ThingPatch, thing_patch};
pub use similar::similar_request;
pub use thing::{
    NewRelationship, condition, embedding, namespace_to_wire, relationship_body, relationship_to_wire, thing_body,
    thing_to_wire,
};
pub use time::{required_timestamp, timestamp, timestamp_to_wire};
pub use words::{entity_kind, entity_kind_to_wire, style, style_to_wire, visibility, visibility_to_wire};
pub use write_result::{Effect, WriteResult, write_result, write_result_to_wire};
