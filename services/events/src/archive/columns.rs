//! Owns the columns of an event as the archive's tables have them, and how an event becomes rows of them and back.
//! Never decides which events go where.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
    builder::StringBuilder, cast::AsArray as _, types,
};
use arrow_schema::SchemaRef;
use domain::{Timestamp, parse_ulid};
use iceberg::{
    arrow::schema_to_arrow_schema,
    spec::{NestedField, PrimitiveType, Schema, Type},
};
use proto::{
    common::v1::EntityKind,
    convert::{timestamp, timestamp_to_wire},
    events::v1::Event,
};

use super::Error;

/// One column. Its field id is its place in [`COLUMNS`], from 1.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Whether every row has a value.
    pub(crate) required: bool,
    /// Whether files say its lowest and highest value: of what readers select by.
    pub(crate) bounded: bool,
    /// How it is read from an event and put into one.
    pub(crate) value: Value,
}

/// The type of a column. Absent text is empty on the wire and null here.
pub(crate) enum Value {
    /// UTF-8.
    Text(fn(&Event) -> &str, fn(&mut Event, &str)),
    /// Milliseconds since 1970, kept as microseconds in UTC.
    Time(fn(&Event) -> Option<i64>, fn(&mut Event, i64)),
    /// 32 bits.
    Int(fn(&Event) -> Option<i32>, fn(&mut Event, i32)),
    /// 64 bits.
    Long(fn(&Event) -> i64, fn(&mut Event, i64)),
    /// 64 bits.
    Double(fn(&Event) -> Option<f64>, fn(&mut Event, f64)),
    /// True or false.
    Bool(fn(&Event) -> bool, fn(&mut Event, bool)),
}

macro_rules! text {
    ($name:ident) => {
        Column {
            name: stringify!($name),
            required: false,
            bounded: false,
            value: Value::Text(|event| &event.$name, |event, value| event.$name = value.into()),
        }
    };
}

macro_rules! time {
    ($name:ident) => {
        Column {
            name: stringify!($name),
            required: true,
            bounded: true,
            value: Value::Time(
                |event| millis(event.$name.as_ref()),
                |event, value| event.$name = Some(timestamp_to_wire(Timestamp::MIN.plus_millis(value))),
            ),
        }
    };
}

macro_rules! optional {
    ($kind:ident $name:ident) => {
        Column {
            name: stringify!($name),
            required: false,
            bounded: false,
            value: Value::$kind(|event| event.$name, |event, value| event.$name = Some(value)),
        }
    };
}

macro_rules! long {
    ($name:ident) => {
        Column {
            name: stringify!($name),
            required: true,
            bounded: false,
            value: Value::Long(|event| event.$name, |event, value| event.$name = value),
        }
    };
}

const fn required(column: Column) -> Column {
    Column { required: true, ..column }
}

const fn bounded(column: Column) -> Column {
    Column { bounded: true, ..column }
}

/// Every column, in order. New ones go to the end: their places are their ids in files that exist.
pub(crate) static COLUMNS: [Column; 40] = [
    bounded(required(text!(ulid))),
    time!(timestamp),
    time!(event_timestamp),
    bounded(required(text!(event_type))),
    text!(mutation_type),
    bounded(text!(entity_ns)),
    bounded(text!(entity_id)),
    text!(entity_type),
    bounded(text!(script_name)),
    text!(dispatch_namespace),
    text!(worker_name),
    text!(url),
    text!(method),
    text!(cf_ray),
    text!(user_agent),
    text!(ip),
    optional!(Int status),
    text!(outcome),
    text!(rpc_method),
    bounded(required(text!(severity))),
    required(text!(category)),
    text!(error_type),
    text!(error_message),
    Column {
        name: "has_exception",
        required: true,
        bounded: false,
        value: Value::Bool(|event| event.has_exception, |event, value| event.has_exception = value),
    },
    optional!(Double cpu_time),
    optional!(Double wall_time),
    text!(data),
    text!(metadata),
    optional!(Int log_count),
    text!(logs),
    optional!(Int exception_count),
    text!(exceptions),
    long!(pipeline_instance),
    long!(pipeline_batch_id),
    Column {
        name: "retry_count",
        required: true,
        bounded: false,
        value: Value::Int(|event| Some(event.retry_count), |event, value| event.retry_count = value),
    },
    bounded(required(text!(tenant))),
    Column {
        name: "entity_kind",
        required: false,
        bounded: false,
        value: Value::Text(kind_text, |event, text| event.set_entity_kind(kind_of(text))),
    },
    bounded(required(text!(keep))),
    bounded(long!(journal_offset)),
    // Derived from the ULID, for other engines: they cannot take the time out of one.
    Column { name: "ulid_time", required: true, bounded: true, value: Value::Time(ulid_millis, |_, _| {}) },
];

/// The field id of a column.
pub(crate) fn id_of(name: &str) -> i32 {
    place_of(name) as i32 + 1
}

/// The place of a column in a file that has all of them.
pub(crate) fn place_of(name: &str) -> usize {
    COLUMNS.iter().position(|column| column.name == name).expect("only columns that exist are asked for")
}

/// The columns as Iceberg has them.
pub(crate) fn iceberg_schema() -> Result<Schema, Error> {
    let fields = COLUMNS.iter().map(|column| {
        let field_type = Type::Primitive(match column.value {
            Value::Text(..) => PrimitiveType::String,
            Value::Time(..) => PrimitiveType::Timestamptz,
            Value::Int(..) => PrimitiveType::Int,
            Value::Long(..) => PrimitiveType::Long,
            Value::Double(..) => PrimitiveType::Double,
            Value::Bool(..) => PrimitiveType::Boolean,
        });
        Arc::new(NestedField::new(id_of(column.name), column.name, field_type, column.required))
    });
    Ok(Schema::builder().with_schema_id(0).with_fields(fields).build()?)
}

/// The columns as Arrow has them, with the field ids.
pub(crate) fn arrow_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let schema = iceberg_schema().and_then(|schema| Ok(schema_to_arrow_schema(&schema)?));
        Arc::new(schema.expect("the columns are a schema"))
    });
    Arc::clone(&SCHEMA)
}

/// The events as rows, with every column.
pub(crate) fn rows_of(events: &[Event]) -> Result<RecordBatch, Error> {
    let arrays = COLUMNS.iter().map(|column| array_of(column, events)).collect();
    Ok(RecordBatch::try_new(arrow_schema(), arrays)?)
}

/// The events' values in a column.
pub(crate) fn array_of(column: &Column, events: &[Event]) -> ArrayRef {
    let events = events.iter();
    match column.value {
        Value::Text(get, _) => {
            // As large as they get: a flush holds many of these.
            let bytes = events.clone().map(|event| get(event).len()).sum();
            let mut texts = StringBuilder::with_capacity(events.len(), bytes);
            for text in events.map(get) {
                texts.append_option((column.required || !text.is_empty()).then_some(text));
            }
            Arc::new(texts.finish())
        }
        Value::Time(get, _) => {
            let micros = events.map(|event| get(event).map(|millis| millis * 1_000));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"))
        }
        Value::Int(get, _) => Arc::new(events.map(get).collect::<Int32Array>()),
        Value::Long(get, _) => Arc::new(Int64Array::from_iter_values(events.map(get))),
        Value::Double(get, _) => Arc::new(events.map(get).collect::<Float64Array>()),
        Value::Bool(get, _) => Arc::new(events.map(|event| Some(get(event))).collect::<BooleanArray>()),
    }
}

/// The events in rows that have every column.
pub(crate) fn events_of(rows: &RecordBatch) -> Vec<Event> {
    let mut events = vec![Event::default(); rows.num_rows()];
    for (column, array) in COLUMNS.iter().zip(rows.columns()) {
        let present = events.iter_mut().enumerate().filter(|(row, _)| !array.is_null(*row));
        match column.value {
            Value::Text(_, set) => {
                let texts = array.as_string::<i32>();
                present.for_each(|(row, event)| set(event, texts.value(row)));
            }
            Value::Time(_, set) => {
                let times = array.as_primitive::<types::TimestampMicrosecondType>();
                present.for_each(|(row, event)| set(event, times.value(row) / 1_000));
            }
            Value::Int(_, set) => {
                let numbers = array.as_primitive::<types::Int32Type>();
                present.for_each(|(row, event)| set(event, numbers.value(row)));
            }
            Value::Long(_, set) => {
                let numbers = array.as_primitive::<types::Int64Type>();
                present.for_each(|(row, event)| set(event, numbers.value(row)));
            }
            Value::Double(_, set) => {
                let numbers = array.as_primitive::<types::Float64Type>();
                present.for_each(|(row, event)| set(event, numbers.value(row)));
            }
            Value::Bool(_, set) => {
                let claims = array.as_boolean();
                present.for_each(|(row, event)| set(event, claims.value(row)));
            }
        }
    }
    events
}

fn millis(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    timestamp("timestamp", time.copied()).ok().flatten().map(Timestamp::millis)
}

/// When the ULID says that it was made, in milliseconds.
pub(crate) fn ulid_millis(event: &Event) -> Option<i64> {
    parse_ulid("ulid", &event.ulid).ok().map(|ulid| Timestamp::of_ulid(ulid).millis())
}

fn kind_text(event: &Event) -> &str {
    match event.entity_kind() {
        EntityKind::Unspecified => "",
        EntityKind::Thing => "thing",
        EntityKind::Relationship => "relationship",
    }
}

fn kind_of(text: &str) -> EntityKind {
    if text == "relationship" { EntityKind::Relationship } else { EntityKind::Thing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{event_of, thing};
    use domain::{TenantId, Visibility};

    #[test]
    fn an_event_is_the_same_after_it_was_rows() {
        let full = Event {
            ulid: "01KB0000000000000000000000".into(),
            timestamp: Some(timestamp_to_wire(Timestamp::MIN.plus_millis(1_769_851_800_123))),
            event_timestamp: Some(timestamp_to_wire(Timestamp::MIN.plus_millis(1_769_851_800_007))),
            event_type: "log".into(),
            severity: "warn".into(),
            category: "http".into(),
            status: Some(0),
            cpu_time: Some(1.5),
            log_count: Some(3),
            data: r#"{"a":"ü"}"#.into(),
            tenant: "default".into(),
            keep: "1y".into(),
            journal_offset: 7,
            retry_count: 2,
            has_exception: true,
            ..Event::default()
        };
        let edge = Event { entity_ns: "a".into(), entity_id: "b".into(), ..full.clone() };
        let edge = Event { entity_kind: EntityKind::Relationship.into(), ..edge };
        let rows = rows_of(&[full.clone(), edge.clone()]).unwrap();
        assert_eq!(events_of(&rows), [full, edge]);
    }

    #[test]
    fn every_field_of_an_event_is_a_column() {
        let fixture = crate::fixture::Fixture::new();
        let mutation = fixture.put(None, thing("a/b", Visibility::Public, "text"));
        let body = event_of(&mutation, &TenantId::local()).body;
        let words = ["ulid", "tenant", "timestamp", "keep", "journal_offset", "pipeline_instance", "pipeline_batch_id"];
        // One that is new on the wire and not here would be lost in the archive.
        let debug = format!("{:?}", Event::default());
        let fields = debug.matches(": ").count();
        assert_eq!(fields + 1, COLUMNS.len(), "ulid_time is ours alone; {words:?} {body:?}");
    }
}
