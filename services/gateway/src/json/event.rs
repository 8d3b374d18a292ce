//! An event as JSON: our columns by their names.
//!
//! Owns the shapes of the columns over HTTP. Never derives a column and never checks a rule of one.

use domain::{EntityKind, Invalid, Json, Timestamp};
use proto::convert::{entity_kind, entity_kind_to_wire, timestamp_to_wire};
use proto::events::v1 as wire;
use serve::Refusal;

use super::read::noun;
use super::{Fields, Violations, Writer, parse};

/// Columns that a sender gives.
const GIVEN: [&str; 33] = [
    "ulid",
    "event_timestamp",
    "event_type",
    "mutation_type",
    "entity_ns",
    "entity_id",
    "entity_type",
    "entity_kind",
    "script_name",
    "dispatch_namespace",
    "worker_name",
    "url",
    "method",
    "cf_ray",
    "user_agent",
    "ip",
    "status",
    "outcome",
    "rpc_method",
    "severity",
    "category",
    "error_type",
    "error_message",
    "has_exception",
    "cpu_time",
    "wall_time",
    "data",
    "metadata",
    "log_count",
    "logs",
    "exception_count",
    "exceptions",
    "retry_count",
];

/// Columns that only answers have; in a record that is sent they are ignored.
const OUTPUT_ONLY: [&str; 6] =
    ["timestamp", "pipeline_instance", "pipeline_batch_id", "tenant", "keep", "journal_offset"];

/// Every column.
#[cfg(test)]
pub(crate) const EVENT_COLUMNS: [&[&str]; 2] = [&GIVEN, &OUTPUT_ONLY];

/// Writes the columns of an event; those that it has not are left out.
pub fn event(json: &mut Writer, event: &wire::Event) {
    let wire::Event {
        ulid,
        timestamp,
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
        pipeline_instance,
        pipeline_batch_id,
        retry_count,
        tenant,
        keep,
        journal_offset,
    } = event;
    json.text("ulid", ulid);
    json.time("timestamp", timestamp.as_ref());
    json.time("event_timestamp", event_timestamp.as_ref());
    for (name, text) in [
        ("event_type", event_type),
        ("mutation_type", mutation_type),
        ("entity_ns", entity_ns),
        ("entity_id", entity_id),
        ("entity_type", entity_type),
    ] {
        json.text_unless_empty(name, text);
    }
    if let Ok(Some(kind)) = entity_kind("entity_kind", *kind) {
        json.text("entity_kind", kind.as_str());
    }
    for (name, text) in [
        ("script_name", script_name),
        ("dispatch_namespace", dispatch_namespace),
        ("worker_name", worker_name),
        ("url", url),
        ("method", method),
        ("cf_ray", cf_ray),
        ("user_agent", user_agent),
        ("ip", ip),
    ] {
        json.text_unless_empty(name, text);
    }
    json.optional_number("status", *status);
    for (name, text) in [
        ("outcome", outcome),
        ("rpc_method", rpc_method),
        ("severity", severity),
        ("category", category),
        ("error_type", error_type),
        ("error_message", error_message),
    ] {
        json.text_unless_empty(name, text);
    }
    json.number("has_exception", has_exception);
    json.optional_number("cpu_time", cpu_time.map(float));
    json.optional_number("wall_time", wall_time.map(float));
    json.json("data", data);
    json.json("metadata", metadata);
    json.optional_number("log_count", *log_count);
    json.json("logs", logs);
    json.optional_number("exception_count", *exception_count);
    json.json("exceptions", exceptions);
    json.number("pipeline_instance", pipeline_instance);
    json.number("pipeline_batch_id", pipeline_batch_id);
    json.number("retry_count", retry_count);
    json.text("tenant", tenant);
    json.text("keep", keep);
    json.number("journal_offset", journal_offset);
}

/// The most records of a body: the most events of an append. Of more, none is made into an event, which takes hundreds
/// of times the bytes of `{}`.
const MAX_RECORDS: usize = 1_000;

/// The events of a body that is a JSON array of records.
pub(crate) fn read_events(body: &[u8]) -> Result<Vec<wire::Event>, Refusal> {
    let body = parse("events", body)?;
    let what = noun(&body);
    let Json::Array(records) = body else {
        return Err(Invalid::new("body", format!("must be an array of events, not {what}")).into());
    };
    if records.len() > MAX_RECORDS {
        return Err(too_many());
    }
    let mut violations = Violations::default();
    let read = |(index, record)| read_event(index, record, &mut violations);
    let events = records.into_iter().enumerate().map(read).collect();
    violations.or(events)
}

/// The events of a body that has a record a line (NDJSON); empty lines are skipped and not counted.
pub(crate) fn read_lines(body: &[u8]) -> Result<Vec<wire::Event>, Refusal> {
    let mut violations = Violations::default();
    let mut events = Vec::new();
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let index = events.len();
        if index == MAX_RECORDS {
            return Err(too_many());
        }
        let event = match parse(&format!("events[{index}]"), line) {
            Ok(record) => read_event(index, record, &mut violations),
            Err(invalid) => {
                violations.add(invalid);
                wire::Event::default()
            }
        };
        events.push(event);
    }
    violations.or(events)
}

/// The event of one line.
pub fn read_line(line: &[u8]) -> Result<wire::Event, Refusal> {
    let mut violations = Violations::default();
    let event = read_event(0, parse("events[0]", line)?, &mut violations);
    violations.or(event)
}

fn too_many() -> Refusal {
    Refusal::invalid_field("events", "must be 1 to 1,000")
}

fn read_event(index: usize, record: Json, violations: &mut Violations) -> wire::Event {
    let mut fields = Fields::of(record, format!("events[{index}]"), &GIVEN, &OUTPUT_ONLY, violations);
    let event_timestamp: Option<Timestamp> = fields.parsed("event_timestamp", str::parse);
    let kind = fields.parsed("entity_kind", read_kind);
    let mut json = |name| fields.value(name).map(|value| value.to_string()).unwrap_or_default();
    let (data, metadata, logs, exceptions) = (json("data"), json("metadata"), json("logs"), json("exceptions"));
    let mut text = |name| fields.text(name).unwrap_or_default();
    wire::Event {
        ulid: text("ulid"),
        event_timestamp: event_timestamp.map(timestamp_to_wire),
        event_type: text("event_type"),
        mutation_type: text("mutation_type"),
        entity_ns: text("entity_ns"),
        entity_id: text("entity_id"),
        entity_type: text("entity_type"),
        entity_kind: kind.map(|kind| entity_kind_to_wire(kind).into()).unwrap_or_default(),
        script_name: text("script_name"),
        dispatch_namespace: text("dispatch_namespace"),
        worker_name: text("worker_name"),
        url: text("url"),
        method: text("method"),
        cf_ray: text("cf_ray"),
        user_agent: text("user_agent"),
        ip: text("ip"),
        outcome: text("outcome"),
        rpc_method: text("rpc_method"),
        severity: text("severity"),
        category: text("category"),
        error_type: text("error_type"),
        error_message: text("error_message"),
        data,
        metadata,
        logs,
        exceptions,
        status: fields.whole_number("status"),
        has_exception: fields.flag("has_exception").unwrap_or_default(),
        cpu_time: fields.number("cpu_time"),
        wall_time: fields.number("wall_time"),
        log_count: fields.whole_number("log_count"),
        exception_count: fields.whole_number("exception_count"),
        retry_count: fields.whole_number("retry_count").unwrap_or_default(),
        ..wire::Event::default()
    }
}

/// `thing` or `relationship`.
pub(crate) fn read_kind(text: &str) -> Result<EntityKind, Invalid> {
    [EntityKind::Thing, EntityKind::Relationship]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| Invalid::new("entity_kind", "must be thing or relationship"))
}

/// The number as JSON, without the hundreds of digits that `Display` gives to extremes.
pub(super) fn float(number: f64) -> String {
    if number == 0.0 || (1e-6..1e17).contains(&number.abs()) { number.to_string() } else { format!("{number:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = concat!(
        r#"{"ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","event_timestamp":"2026-01-31T09:30:00.500Z","event_type":"log","#,
        r#""entity_ns":"onet","entity_id":"15-1252.00","entity_type":"Occupation","entity_kind":"thing","#,
        r#""script_name":"s","url":"https://a.example/?q=1","status":500,"severity":"error","has_exception":true,"#,
        r#""cpu_time":1e300,"wall_time":12.5,"data":{"b":1.50,"a":[]},"metadata":{},"log_count":1,"logs":[{"m":"x"}],"#,
        r#""exception_count":0,"exceptions":[],"#,
    );
    const REST: &str =
        r#""pipeline_instance":0,"pipeline_batch_id":0,"retry_count":2,"tenant":"","keep":"","journal_offset":0}"#;

    fn written(value: &wire::Event) -> String {
        let mut json = Writer::object();
        event(&mut json, value);
        json.finish()
    }

    #[test]
    fn a_record_is_written_as_it_was_read() {
        let record = format!("{RECORD}{REST}");
        let events = read_events(format!("[{record}]").as_bytes()).unwrap();
        assert_eq!(written(&events[0]), record);
    }

    #[test]
    fn lines_are_records_and_empty_ones_are_none() {
        let body = format!("{RECORD}{REST}\r\n\n{{\"event_type\":\"log\"}}\n");
        let events = read_lines(body.as_bytes()).unwrap();
        assert_eq!((events.len(), events[1].event_type.as_str()), (2, "log"));
    }

    #[test]
    fn each_bad_record_is_named_by_its_index() {
        let lines = b"{\"event_type\":\"log\"}\n{\"event_typ\":\"log\"}\n{\"status\":\"x\"}\n{";
        let refusal = read_lines(lines).unwrap_err();
        let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["events[1].event_typ", "events[2].status", "events[3]"]);
        let refusal = read_events(br#"[{"event_type":"log"},7]"#).unwrap_err();
        assert_eq!(refusal.message, "events[1]: must be an object, not a number");
        let refusal = read_events(br#"[{"event_type":"log"},{"status":1e999}]"#).unwrap_err();
        assert_eq!(refusal.violations[0].field, "events[1].status");
    }

    #[test]
    fn a_body_of_more_records_than_an_append_takes_is_refused_whatever_they_are() {
        let (taken, too_many) = (vec!["{}"; MAX_RECORDS], vec!["7"; MAX_RECORDS + 1]);
        assert_eq!(read_events(format!("[{}]", taken.join(",")).as_bytes()).unwrap().len(), MAX_RECORDS);
        assert_eq!(read_lines(taken.join("\n").as_bytes()).unwrap().len(), MAX_RECORDS);
        for refused in [
            read_events(format!("[{}]", too_many.join(",")).as_bytes()),
            // It is not read to its end.
            read_lines(format!("{}\n{{", taken.join("\n")).as_bytes()),
        ] {
            assert_eq!(refused.unwrap_err().message, "events: must be 1 to 1,000");
        }
    }

    #[test]
    fn every_column_of_the_wire_is_given_or_output_only() {
        let set = <prost_types::FileDescriptorSet as prost::Message>::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let messages = set.file.iter().flat_map(|file| &file.message_type);
        let event = messages.into_iter().find(|message| message.name() == "Event").unwrap();
        for column in &event.field {
            let known = GIVEN.contains(&column.name()) || OUTPUT_ONLY.contains(&column.name());
            assert!(known, "{}", column.name());
        }
        assert_eq!(event.field.len(), GIVEN.len() + OUTPUT_ONLY.len());
    }
}
