//! Requests on the wire: what is asked, with its limits. Never answers.

use std::ops::Range;

use domain::{Entity, EntityKind, EventType, Id, Invalid, Key, Timestamp, Variant, parse_ulid};
use proto::{
    convert::{NewEvent, as_of, canonical_key, entity_kind, new_event, timestamp},
    events::v1::{self as wire, ListStatesAtRequest, QueryRequest},
};
use serve::{Refusal, deadline::Deadline};

use crate::{
    filter::{About, Filter},
    index::Order,
    journal::RelayBatch,
    list_states::ListStates,
    query::Query,
    subscribe::Start,
};

/// Events of one request.
pub(super) const MAX_EVENTS: usize = 1_000;
/// Events of a relay's batch.
const MAX_RELAYED: usize = 10_000;
/// Types in one filter.
const MAX_EVENT_TYPES: usize = 16;
/// Bytes of an id with its variant.
const MAX_PREFIX: usize = 2_113;

pub(super) fn new_events(events: Vec<wire::Event>, are_relayed: bool) -> Result<Vec<NewEvent>, Refusal> {
    let (most, rule) =
        if are_relayed { (MAX_RELAYED, "must be 1 to 10,000") } else { (MAX_EVENTS, "must be 1 to 1,000") };
    if events.is_empty() || events.len() > most {
        return Err(Refusal::invalid_field("events", rule));
    }
    let (mut parsed, mut violations) = (Vec::with_capacity(events.len()), Vec::new());
    for (place, event) in events.into_iter().enumerate() {
        match new_event(event) {
            Ok(event) => parsed.push(event),
            Err(invalid) => violations.push(invalid.within(&format!("events[{place}]"))),
        }
    }
    if violations.is_empty() { Ok(parsed) } else { Err(Refusal::invalid(violations)) }
}

pub(super) fn relay_batch(relay: &wire::RelayBatch) -> Result<RelayBatch, Refusal> {
    let id = parse_ulid("relay.relay_id", &relay.relay_id)?;
    match u64::try_from(relay.batch) {
        Ok(number) if number > 0 && id.0 != 0 => Ok(RelayBatch { relay: id, number }),
        _ => Err(Refusal::invalid_field("relay.batch", "must be 1 or more, of a relay whose id is not zero")),
    }
}

pub(super) fn entity(key: Option<proto::common::v1::Key>, kind: i32) -> Result<Entity, Invalid> {
    let key = canonical_key("key", key)?;
    let kind = entity_kind("kind", kind)?.unwrap_or_default();
    if kind == EntityKind::Relationship && !key.variant.is_canonical() {
        return Err(Invalid::new("key.variant", "must be empty: relationships have no variants"));
    }
    Ok(Entity { kind, key, entity_type: None })
}

pub(super) fn list_states(
    request: ListStatesAtRequest,
    page_size: usize,
    after: Option<String>,
    deadline: Option<Deadline>,
) -> Result<ListStates, Invalid> {
    let ListStatesAtRequest { ns, kind, r#type, id_prefix: prefix, as_of: moment, .. } = request;
    if prefix.len() > MAX_PREFIX {
        return Err(Invalid::new("id_prefix", "must be at most 2,113 bytes"));
    }
    Ok(ListStates {
        ns: ns.parse()?,
        kind: entity_kind("kind", kind)?.unwrap_or_default(),
        state_type: if r#type.is_empty() { None } else { Some(r#type.parse()?) },
        prefix,
        as_of: as_of("as_of", moment)?,
        page_size,
        after,
        deadline: deadline.unwrap_or_else(|| Deadline::after(serve::deadline::UNARY)),
    })
}

pub(super) fn query(request: QueryRequest, page_size: usize, position: Option<u64>) -> Result<Query, Invalid> {
    let QueryRequest { from, to, event_types, entity_ns, entity_id, entity_kind, order, .. } = request;
    let order = match wire::Order::try_from(order) {
        Ok(wire::Order::Unspecified | wire::Order::OldestFirst) => Order::OldestFirst,
        Ok(wire::Order::NewestFirst) => Order::NewestFirst,
        Err(_) => return Err(Invalid::new("order", "must be oldest first or newest first")),
    };
    Ok(Query {
        filter: Filter { times: times(from, to)?, ..filter(&event_types, &entity_ns, &entity_id, entity_kind)? },
        order,
        page_size,
        position,
    })
}

pub(super) fn times(
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> Result<Range<i64>, Invalid> {
    let from = timestamp("from", from)?.map_or(i64::MIN, Timestamp::millis);
    let to = timestamp("to", to)?.map_or(i64::MAX, Timestamp::millis);
    Ok(from..to)
}

pub(super) fn filter(event_types: &[String], ns: &str, id: &str, kind: i32) -> Result<Filter, Invalid> {
    if event_types.len() > MAX_EVENT_TYPES {
        return Err(Invalid::new("event_types", "must be at most 16"));
    }
    let event_types = event_types.iter().map(|word| word.parse()).collect::<Result<Vec<EventType>, Invalid>>();
    let rename = |field| move |Invalid { rule, .. }| Invalid::new(field, rule);
    let about = match (ns, id) {
        ("", "") => About::Anything,
        ("", _) => return Err(Invalid::new("entity_ns", "is required beside entity_id")),
        (ns, "") => About::Namespace(ns.parse().map_err(rename("entity_ns"))?),
        (ns, id) => {
            let ns = ns.parse().map_err(rename("entity_ns"))?;
            let (id, variant) = id.split_once('#').unwrap_or((id, ""));
            let variant = if variant.is_empty() { Ok(Variant::canonical()) } else { variant.parse() };
            let id = Id::from_canonical(id).map_err(rename("entity_id"))?;
            About::Entity(Key { ns, id, variant: variant.map_err(rename("entity_id"))? })
        }
    };
    Ok(Filter {
        event_types: event_types.map_err(rename("event_types"))?,
        about,
        kind: entity_kind("entity_kind", kind)?,
        ..Filter::default()
    })
}

pub(super) fn start_of(cursor: String, start: i32) -> Result<Start, Invalid> {
    match wire::Start::try_from(start) {
        Ok(_) if !cursor.is_empty() => Ok(Start::After(cursor)),
        Ok(wire::Start::Unspecified | wire::Start::Now) => Ok(Start::Now),
        Ok(wire::Start::Beginning) => Ok(Start::Beginning),
        Err(_) => Err(Invalid::new("start", "must be now or the beginning")),
    }
}
