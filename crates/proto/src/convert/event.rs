//! Events.

use domain::{Entity, EntityKind, Event, EventBody, Id, Invalid, JsonText, Key, Shape, TenantId, parse_ulid};
use ulid::Ulid;

use super::{entity_kind, entity_kind_to_wire, timestamp, timestamp_to_wire};
use crate::events::v1 as wire;

/// An event as a sender gives it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// Its id, if the sender made one.
    pub ulid: Option<Ulid>,
    /// Its tenant, which only a peer may name.
    pub tenant: Option<TenantId>,
    /// Its columns.
    pub body: EventBody,
}

const MIB: usize = 1 << 20;

/// The event that a sender gives; output-only columns are ignored. A mutation's `data` may be of 16 MiB.
pub fn new_event(event: wire::Event) -> Result<NewEvent, Invalid> {
    let wire::Event {
        ulid,
        timestamp: _,
        event_timestamp,
        event_type,
        mutation_type,
        entity_ns,
        entity_id,
        entity_type,
        entity_kind: kind,
        script_name,
        dispatch_namespace,
        worker_name,
        url,
        method,
        cf_ray,
        user_agent,
        ip,
        status,
        outcome,
        rpc_method,
        severity,
        category,
        error_type,
        error_message,
        has_exception,
        cpu_time,
        wall_time,
        data,
        metadata,
        log_count,
        logs,
        exception_count,
        exceptions,
        pipeline_instance: _,
        pipeline_batch_id: _,
        retry_count,
        tenant,
        keep: _,
        journal_offset: _,
    } = event;
    let event_type: domain::EventType = event_type.parse()?;
    let is_mutation = event_type.is_mutation();
    let body = EventBody {
        event_timestamp: timestamp("event_timestamp", event_timestamp)?,
        mutation_type: given(mutation_type).map(|word| word.parse()).transpose()?,
        entity: entity(&entity_ns, &entity_id, &entity_type, kind)?,
        script_name: text("script_name", script_name, 255)?,
        dispatch_namespace: text("dispatch_namespace", dispatch_namespace, 255)?,
        worker_name: text("worker_name", worker_name, 255)?,
        url: text("url", url, 8_192)?,
        method: text("method", method, 32)?,
        cf_ray: text("cf_ray", cf_ray, 64)?,
        user_agent: text("user_agent", user_agent, 2_048)?,
        ip: text("ip", ip, 64)?,
        status: status.map(http_status).transpose()?,
        outcome: text("outcome", outcome, 64)?,
        rpc_method: text("rpc_method", rpc_method, 255)?,
        severity: given(severity).map(|word| word.parse()).transpose()?,
        category: text("category", category, 64)?,
        error_type: text("error_type", error_type, 255)?,
        error_message: given(error_message).map(first_thousand_characters),
        has_exception,
        cpu_time: cpu_time.map(|time| duration("cpu_time", time)).transpose()?,
        wall_time: wall_time.map(|time| duration("wall_time", time)).transpose()?,
        data: if is_mutation {
            // Compact already: a relay wrote it, and it is nested deeper than clients may.
            bounded("data", data, 16 * MIB)?.map(JsonText::trusted)
        } else {
            json("data", &data, Shape::Any, MIB)?
        },
        metadata: json("metadata", &metadata, Shape::Object, 64 << 10)?,
        log_count: log_count.map(|count| self::count("log_count", count)).transpose()?,
        logs: json("logs", &logs, Shape::Array, MIB)?,
        exception_count: exception_count.map(|count| self::count("exception_count", count)).transpose()?,
        exceptions: json("exceptions", &exceptions, Shape::Array, MIB)?,
        retry_count: count("retry_count", retry_count)?,
        event_type,
    };
    Ok(NewEvent {
        ulid: given(ulid).map(|ulid| parse_ulid("ulid", &ulid)).transpose()?,
        tenant: given(tenant).map(|tenant| tenant.parse()).transpose()?,
        body,
    })
}

/// On the wire, which is also how the journal keeps it.
pub fn event_to_wire(event: Event) -> wire::Event {
    let Event { ulid, tenant, timestamp, body, keep, epoch, journal_offset } = event;
    let EventBody {
        event_timestamp,
        event_type,
        mutation_type,
        entity,
        script_name,
        dispatch_namespace,
        worker_name,
        url,
        method,
        cf_ray,
        user_agent,
        ip,
        status,
        outcome,
        rpc_method,
        severity,
        category,
        error_type,
        error_message,
        has_exception,
        cpu_time,
        wall_time,
        data,
        metadata,
        log_count,
        logs,
        exception_count,
        exceptions,
        retry_count,
    } = body;
    let (entity_ns, entity_id, entity_type, kind) = match entity {
        None => Default::default(),
        Some(Entity { kind, key, entity_type }) => (
            key.ns.as_str().to_owned(),
            key.entity_id().into(),
            entity_type.map(|name| name.as_str().to_owned()).unwrap_or_default(),
            entity_kind_to_wire(kind).into(),
        ),
    };
    wire::Event {
        ulid: ulid.to_string(),
        timestamp: Some(timestamp_to_wire(timestamp)),
        event_timestamp: event_timestamp.map(timestamp_to_wire),
        event_type: event_type.as_str().into(),
        mutation_type: mutation_type.map(|word| word.as_str().to_owned()).unwrap_or_default(),
        entity_ns,
        entity_id,
        entity_type,
        entity_kind: kind,
        script_name: or_empty(script_name),
        dispatch_namespace: or_empty(dispatch_namespace),
        worker_name: or_empty(worker_name),
        url: or_empty(url),
        method: or_empty(method),
        cf_ray: or_empty(cf_ray),
        user_agent: or_empty(user_agent),
        ip: or_empty(ip),
        status: status.map(i32::from),
        outcome: or_empty(outcome),
        rpc_method: or_empty(rpc_method),
        severity: severity.map(|word| word.as_str().to_owned()).unwrap_or_default(),
        category: or_empty(category),
        error_type: or_empty(error_type),
        error_message: or_empty(error_message),
        has_exception,
        cpu_time,
        wall_time,
        data: json_or_empty(data),
        metadata: json_or_empty(metadata),
        log_count: log_count.map(|count| count as i32),
        logs: json_or_empty(logs),
        exception_count: exception_count.map(|count| count as i32),
        exceptions: json_or_empty(exceptions),
        pipeline_instance: epoch as i64,
        pipeline_batch_id: 0,
        retry_count: retry_count as i32,
        tenant: tenant.as_str().into(),
        keep: keep.as_str().into(),
        journal_offset: journal_offset as i64,
    }
}

/// The stored event that `event_to_wire` wrote.
pub fn event_from_wire(event: wire::Event) -> Result<Event, Invalid> {
    let stored = |field| Invalid::new(field, "is missing in a stored event");
    let timestamp = timestamp("timestamp", event.timestamp)?.ok_or_else(|| stored("timestamp"))?;
    let (keep, epoch, journal_offset) = (event.keep.parse()?, event.pipeline_instance, event.journal_offset);
    let NewEvent { ulid, tenant, body } = new_event(event)?;
    Ok(Event {
        ulid: ulid.ok_or_else(|| stored("ulid"))?,
        tenant: tenant.ok_or_else(|| stored("tenant"))?,
        timestamp,
        body,
        keep,
        epoch: epoch as u64,
        journal_offset: journal_offset as u64,
    })
}

fn entity(ns: &str, id: &str, entity_type: &str, kind: i32) -> Result<Option<Entity>, Invalid> {
    let kind = entity_kind("entity_kind", kind)?;
    if ns.is_empty() && id.is_empty() {
        if kind.is_some() || !entity_type.is_empty() {
            return Err(Invalid::new("entity_id", "is required beside entity_kind and entity_type"));
        }
        return Ok(None);
    }
    let ns = ns.parse().map_err(|Invalid { rule, .. }| Invalid::new("entity_ns", rule))?;
    let (id, variant) = match id.split_once('#') {
        Some((id, variant)) => (id, variant.parse()),
        None => (id, Ok(domain::Variant::canonical())),
    };
    let in_id = |Invalid { rule, .. }| Invalid::new("entity_id", rule);
    let key = Key { ns, id: Id::from_canonical(id).map_err(in_id)?, variant: variant.map_err(in_id)? };
    let kind = kind.unwrap_or_default();
    if kind == EntityKind::Relationship && !key.variant.is_canonical() {
        return Err(Invalid::new("entity_id", "must have no variant: relationships have none"));
    }
    let entity_type = if entity_type.is_empty() {
        None
    } else {
        Some(entity_type.parse().map_err(|Invalid { rule, .. }| Invalid::new("entity_type", rule))?)
    };
    Ok(Some(Entity { kind, key, entity_type }))
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn bounded(field: &str, text: String, max_bytes: usize) -> Result<Option<Box<str>>, Invalid> {
    if text.len() > max_bytes {
        return Err(Invalid::new(field, format!("must be at most {max_bytes} bytes")));
    }
    Ok(given(text).map(Into::into))
}

fn text(field: &str, text: String, max_bytes: usize) -> Result<Option<Box<str>>, Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new(field, "must not contain NUL"));
    }
    bounded(field, text, max_bytes)
}

fn json(field: &str, text: &str, shape: Shape, max_bytes: usize) -> Result<Option<JsonText>, Invalid> {
    if text.is_empty() { Ok(None) } else { JsonText::parse(field, text, shape, max_bytes).map(Some) }
}

fn first_thousand_characters(mut text: String) -> Box<str> {
    if let Some((cut, _)) = text.char_indices().nth(1_000) {
        text.truncate(cut);
    }
    text.into()
}

fn http_status(status: i32) -> Result<u16, Invalid> {
    u16::try_from(status)
        .ok()
        .filter(|status| *status <= 999)
        .ok_or_else(|| Invalid::new("status", "must be between 0 and 999"))
}

fn duration(field: &str, millis: f64) -> Result<f64, Invalid> {
    if millis.is_finite() && millis >= 0.0 {
        Ok(millis)
    } else {
        Err(Invalid::new(field, "must be a finite number of milliseconds, not negative"))
    }
}

fn count(field: &str, count: i32) -> Result<u32, Invalid> {
    u32::try_from(count).map_err(|_| Invalid::new(field, "must not be negative"))
}

fn or_empty(text: Option<Box<str>>) -> String {
    text.map(String::from).unwrap_or_default()
}

fn json_or_empty(text: Option<JsonText>) -> String {
    text.map(|text| text.as_str().to_owned()).unwrap_or_default()
}
