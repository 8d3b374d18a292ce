//! Events on the wire and back: nothing is lost, and each rule is refused by its field.

use domain::{Event, Keep, Timestamp};
use proto::{
    convert::{event_from_wire, event_to_wire, new_event},
    events::v1 as wire,
};

/// Every column that a sender may fill.
fn full() -> wire::Event {
    wire::Event {
        ulid: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }),
        event_type: "error".into(),
        entity_ns: "river".into(),
        entity_id: "Upper gauge#es".into(),
        entity_type: "Gauge".into(),
        entity_kind: proto::common::v1::EntityKind::Thing.into(),
        script_name: "reader".into(),
        dispatch_namespace: "prod".into(),
        worker_name: "worker".into(),
        url: "https://gauges.test/".into(),
        method: "GET".into(),
        cf_ray: "87ed87f80cf22d84".into(),
        user_agent: "curl".into(),
        ip: "192.0.2.1".into(),
        status: Some(500),
        outcome: "exception".into(),
        rpc_method: "read".into(),
        severity: "error".into(),
        category: "worker".into(),
        error_type: "RangeError".into(),
        error_message: "level out of range".into(),
        has_exception: true,
        cpu_time: Some(1.5),
        wall_time: Some(20.0),
        data: r#"{"level":1.50}"#.into(),
        metadata: r#"{"a":1}"#.into(),
        log_count: Some(1),
        logs: r#"["x"]"#.into(),
        exception_count: Some(2),
        exceptions: "[{},{}]".into(),
        retry_count: 3,
        tenant: "default".into(),
        ..Default::default()
    }
}

fn stored(event: wire::Event) -> Event {
    let given = new_event(event).unwrap();
    Event {
        ulid: given.ulid.unwrap(),
        tenant: given.tenant.unwrap(),
        timestamp: Timestamp::from_millis(1_700_000_000_500).unwrap(),
        keep: Keep::of(&given.body.event_type),
        body: given.body,
        epoch: 1,
        journal_offset: 42,
    }
}

#[test]
fn an_event_survives_the_wire_with_every_column() {
    let event = stored(full());
    let sent = event_to_wire(event.clone());
    assert_eq!(event_from_wire(sent.clone()).unwrap(), event);
    let output_only = wire::Event {
        timestamp: sent.timestamp,
        pipeline_instance: 1,
        keep: "1y".into(),
        journal_offset: 42,
        ..full()
    };
    assert_eq!(sent, output_only);
}

#[test]
fn an_event_of_nothing_but_its_type_survives_the_wire() {
    let bare =
        wire::Event { ulid: full().ulid, tenant: "default".into(), event_type: "log".into(), ..Default::default() };
    let event = stored(bare);
    assert_eq!(event_from_wire(event_to_wire(event.clone())).unwrap(), event);
}

#[test]
fn each_rule_of_a_column_is_refused_by_its_name() {
    type Damage = fn(&mut wire::Event);
    let broken: [(&str, Damage); 22] = [
        ("event_type", |event| event.event_type = "Log".into()),
        ("event_type", |event| event.event_type.clear()),
        ("ulid", |event| event.ulid = "no".into()),
        ("tenant", |event| event.tenant = "No!".into()),
        ("event_timestamp", |event| event.event_timestamp = Some(prost_types::Timestamp { seconds: -1, nanos: 0 })),
        ("event_timestamp", |event| event.event_timestamp = Some(prost_types::Timestamp { seconds: 1, nanos: -1 })),
        ("mutation_type", |event| event.mutation_type = "made".into()),
        ("entity_ns", |event| event.entity_ns = "River".into()),
        ("entity_id", |event| event.entity_id = "a#!".into()),
        ("entity_kind", |event| event.entity_kind = 9),
        ("script_name", |event| event.script_name = "x".repeat(256)),
        ("user_agent", |event| event.user_agent = "a\0b".into()),
        ("status", |event| event.status = Some(1_000)),
        ("severity", |event| event.severity = "bad".into()),
        ("cpu_time", |event| event.cpu_time = Some(f64::NAN)),
        ("wall_time", |event| event.wall_time = Some(-1.0)),
        ("data", |event| event.data = "{".into()),
        ("metadata", |event| event.metadata = "[]".into()),
        ("logs", |event| event.logs = "{}".into()),
        ("exceptions", |event| event.exceptions = "1".into()),
        ("log_count", |event| event.log_count = Some(-1)),
        ("retry_count", |event| event.retry_count = -1),
    ];
    for (field, damage) in broken {
        let mut event = full();
        damage(&mut event);
        assert_eq!(new_event(event).unwrap_err().field, field);
    }
}

#[test]
fn an_error_message_is_cut_to_its_first_thousand_characters() {
    let event = wire::Event { error_message: "ü".repeat(1_001), ..full() };
    assert_eq!(new_event(event).unwrap().body.error_message.unwrap().chars().count(), 1_000);
}

#[test]
fn a_relationship_has_no_variant() {
    let kind = proto::common::v1::EntityKind::Relationship.into();
    let event = wire::Event { entity_kind: kind, ..full() };
    assert_eq!(new_event(event).unwrap_err().field, "entity_id");
}
