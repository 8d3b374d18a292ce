//! Events: every rule and limit of their columns, times and positions.

use domain::Clock;
use harness::cluster::Cluster;
use http::Method;
use proto::events::v1::{
    AppendRequest, AsOf, DiffRequest, Event, HistoryRequest, ListStatesAtRequest, QueryRequest, StateAtRequest,
    SubscribeRequest, as_of,
};
use proto::things::v1::SettleRequest;
use serde_json::json;

use super::{assert_nothing_stored, assert_problem, assert_refused, key, path, reason};

crate::on_both_topologies! {
    every_rule_of_an_event_is_told_over_grpc,
    every_rule_of_an_event_is_told_over_http,
    a_mutation_comes_from_a_relay_only,
    every_rule_of_a_read_of_events_is_told,
}

/// Of 2016.
const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn log() -> Event {
    Event { event_type: "log".into(), ..Event::default() }
}

async fn every_rule_of_an_event_is_told_over_grpc(cluster: &mut Cluster) {
    let mut events = cluster.events().await;
    let long = |bytes: usize| "x".repeat(bytes);
    let about = |ns: &str, id: &str| Event { entity_ns: ns.into(), entity_id: id.into(), ..log() };
    let cases: Vec<(Event, &str)> = vec![
        (Event::default(), "event_type"),
        (Event { event_type: "Log".into(), ..log() }, "event_type"),
        (Event { event_type: long(65), ..log() }, "event_type"),
        (Event { ulid: "not a ulid".into(), ..log() }, "ulid"),
        (Event { ulid: "8ZZZZZZZZZZZZZZZZZZZZZZZZZ".into(), ..log() }, "ulid"),
        (Event { mutation_type: "created".into(), ..log() }, "mutation_type"),
        (about("River", "a"), "entity_ns"),
        (about("river", "a\0"), "entity_id"),
        (about("river", "a#ES!"), "entity_id"),
        (about("", "a"), "entity_ns"),
        (Event { entity_type: long(256), ..about("river", "a") }, "entity_type"),
        (Event { script_name: long(256), ..log() }, "script_name"),
        (Event { worker_name: "a\0".into(), ..log() }, "worker_name"),
        (Event { url: long(8_193), ..log() }, "url"),
        (Event { method: long(33), ..log() }, "method"),
        (Event { user_agent: long(2_049), ..log() }, "user_agent"),
        (Event { status: Some(1_000), ..log() }, "status"),
        (Event { status: Some(-1), ..log() }, "status"),
        (Event { severity: "loud".into(), ..log() }, "severity"),
        (Event { category: long(65), ..log() }, "category"),
        (Event { cpu_time: Some(f64::NAN), ..log() }, "cpu_time"),
        (Event { wall_time: Some(-1.0), ..log() }, "wall_time"),
        (Event { data: "{".into(), ..log() }, "data"),
        (Event { data: "[".repeat(100_000), ..log() }, "data"),
        (Event { metadata: "[]".into(), ..log() }, "metadata"),
        (Event { metadata: format!(r#"{{"a":"{}"}}"#, long(64 << 10)), ..log() }, "metadata"),
        (Event { logs: "{}".into(), ..log() }, "logs"),
        (Event { exceptions: "1".into(), ..log() }, "exceptions"),
        (Event { log_count: Some(-1), ..log() }, "log_count"),
        (Event { retry_count: -1, ..log() }, "retry_count"),
    ];
    for (bad, field) in cases {
        let request = AppendRequest { events: vec![log(), bad], relay: None };
        assert_refused(events.append(request).await, &[&format!("events[1].{field}")]);
    }
    for count in [0, 1_001] {
        let request = AppendRequest { events: vec![log(); count], relay: None };
        assert_refused(events.append(request).await, &["events"]);
    }
    let clock = Clock::system();
    let now = clock.now().millis();
    for millis in [now - 25 * 3_600_000, now + 6 * 60_000] {
        let ulid = Clock::manual(domain::Timestamp::from_millis(millis).unwrap()).ulid().to_string();
        let request = AppendRequest { events: vec![log(), Event { ulid, ..log() }], relay: None };
        assert_refused(events.append(request).await, &["events[1].ulid"]);
    }
    assert_nothing_stored(cluster).await;
}

async fn every_rule_of_an_event_is_told_over_http(cluster: &mut Cluster) {
    let http = cluster.http();
    let post = async |content_type: &str, body: &str| {
        http.call(Method::POST, "/_/events", &[("content-type", content_type)], body).await
    };
    for body in [
        "",
        "{}",
        "[]",
        "[1]",
        "[{}]",
        r#"[{"event_type":"Log"}]"#,
        r#"[{"event_type":"log","status":"x"}]"#,
        r#"[{"event_type":"log","status":1e3}]"#,
        r#"[{"event_type":"log","cpu_time":1e999}]"#,
        r#"[{"event_type":"log","event_timestamp":"now"}]"#,
        r#"[{"event_type":"log"},{"event_type":"log","logs":{}}]"#,
    ] {
        assert_problem(&post("application/json", body).await, 400, "FIELD_INVALID");
    }
    let unknown = post("application/json", r#"[{"event_type":"log","sevrity":"info"}]"#).await;
    assert_problem(&unknown, 400, "FIELD_UNKNOWN");
    assert!(unknown.text().contains("severity"), "{}", unknown.text());
    let lines = post("application/x-ndjson", "{\"event_type\":\"log\"}\n{\"event_type\":\"log\"\n").await;
    assert_problem(&lines, 400, "FIELD_INVALID");
    assert!(lines.text().contains(r#""field":"events[1]"#), "{}", lines.text());
    assert_problem(&post("text/plain", "[]").await, 415, "MEDIA_TYPE_UNSUPPORTED");
    let many = format!("[{}]", vec![r#"{"event_type":"log"}"#; 1_001].join(","));
    assert_problem(&post("application/json", &many).await, 400, "FIELD_INVALID");
    assert_nothing_stored(cluster).await;
}

async fn a_mutation_comes_from_a_relay_only(cluster: &mut Cluster) {
    let mutation = Event { event_type: "mutation".into(), mutation_type: "created".into(), ..log() };
    let mutation = Event { entity_ns: "river".into(), entity_id: "a".into(), ..mutation };
    let relay = proto::events::v1::RelayBatch { relay_id: Clock::system().ulid().to_string(), batch: 1 };
    for relay in [None, Some(relay)] {
        let request = AppendRequest { events: vec![mutation.clone()], relay };
        let refused = cluster.events().await.append(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::PermissionDenied, "PERMISSION_DENIED"));
    }
    let body = json!([{"event_type": "mutation", "mutation_type": "created", "entity_ns": "river", "entity_id": "a"}]);
    let json_type = [("content-type", "application/json")];
    let refused = cluster.http().call(Method::POST, "/_/events", &json_type, &body.to_string()).await;
    assert_problem(&refused, 403, "PERMISSION_DENIED");
    assert_nothing_stored(cluster).await;
}

async fn every_rule_of_a_read_of_events_is_told(cluster: &mut Cluster) {
    let mut events = cluster.events().await;
    let query = QueryRequest::default;
    let cases: Vec<(QueryRequest, &str)> = vec![
        (QueryRequest { event_types: vec!["Log".into()], ..query() }, "event_types"),
        (QueryRequest { event_types: vec!["log".into(); 17], ..query() }, "event_types"),
        (QueryRequest { entity_ns: "River".into(), ..query() }, "entity_ns"),
        (QueryRequest { entity_id: "a".into(), ..query() }, "entity_ns"),
        (QueryRequest { entity_ns: "river".into(), entity_id: "a\0".into(), ..query() }, "entity_id"),
        (QueryRequest { order: 9, ..query() }, "order"),
        (QueryRequest { entity_kind: 9, ..query() }, "entity_kind"),
        (QueryRequest { from: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }), ..query() }, "from"),
        (QueryRequest { to: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..query() }, "to"),
    ];
    for (bad, field) in cases {
        assert_refused(events.query(bad).await, &[field]);
    }
    let request = HistoryRequest { key: Some(path("river/a")), ..Default::default() };
    assert_refused(events.history(request).await, &["key.path"]);
    assert_refused(events.history(HistoryRequest::default()).await, &["key"]);
    for as_of in [None, Some(AsOf { as_of: None }), Some(AsOf { as_of: Some(as_of::AsOf::Ulid("x".into())) })] {
        let request = StateAtRequest { key: Some(key("river", "a", "")), as_of, ..Default::default() };
        let refused = events.state_at(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::InvalidArgument, "FIELD_INVALID"));
    }
    let at = |ulid: &str| Some(AsOf { as_of: Some(as_of::AsOf::Ulid(ulid.into())) });
    let list = || ListStatesAtRequest { ns: "river".into(), as_of: at(ULID), ..Default::default() };
    let cases: Vec<(ListStatesAtRequest, &str)> = vec![
        (ListStatesAtRequest { ns: String::new(), ..list() }, "ns"),
        (ListStatesAtRequest { ns: "River".into(), ..list() }, "ns"),
        (ListStatesAtRequest { kind: 9, ..list() }, "kind"),
        (ListStatesAtRequest { r#type: "a\0".into(), ..list() }, "type"),
        (ListStatesAtRequest { id_prefix: "x".repeat(2_114), ..list() }, "id_prefix"),
        (ListStatesAtRequest { as_of: None, ..list() }, "as_of"),
        (ListStatesAtRequest { as_of: at("x"), ..list() }, "as_of.ulid"),
        (ListStatesAtRequest { page_size: 1_001, ..list() }, "page_size"),
        (ListStatesAtRequest { wait_for: "c1".into(), ..list() }, "wait_for"),
    ];
    for (bad, field) in cases {
        assert_refused(events.list_states_at(bad).await, &[field]);
    }
    let diff = || DiffRequest { key: Some(key("river", "a", "")), from: at(ULID), ..Default::default() };
    let cases: Vec<(DiffRequest, &str)> = vec![
        (DiffRequest { key: None, ..diff() }, "key"),
        (DiffRequest { key: Some(path("river/a")), ..diff() }, "key.path"),
        (DiffRequest { kind: 9, ..diff() }, "kind"),
        (DiffRequest { from: None, ..diff() }, "from"),
        (DiffRequest { from: at("x"), ..diff() }, "from.ulid"),
        (DiffRequest { to: Some(AsOf { as_of: None }), ..diff() }, "to"),
        (DiffRequest { wait_for: "c1".into(), ..diff() }, "wait_for"),
    ];
    for (bad, field) in cases {
        assert_refused(events.diff(bad).await, &[field]);
    }
    let bad = SettleRequest { as_of: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }) };
    assert_refused(cluster.things().await.settle(bad).await, &["as_of"]);
    let alien = |epoch, offset| domain::Cursor { epoch, offset }.to_string();
    for (cursor, why) in [
        ("x".to_owned(), "FIELD_INVALID"),
        ("c1".into(), "FIELD_INVALID"),
        (alien(99, 0), "CURSOR_INVALID"),
        (alien(1, 99), "CURSOR_INVALID"),
        (alien(u64::MAX, u64::MAX), "CURSOR_INVALID"),
    ] {
        let request = SubscribeRequest { cursor: cursor.clone(), ..Default::default() };
        let refused = events.subscribe(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::InvalidArgument, why), "{cursor}");
        assert_problem(&cluster.http().get(&format!("/_/events/tail?cursor={cursor}")).await, 400, why);
    }
    for query in ["at=yesterday", "at=", "view=diff", "view=diff&from=x", "view=histroy", "at=2026-01-31"] {
        assert_problem(&cluster.http().get(&format!("/river/a?{query}")).await, 400, "FIELD_INVALID");
    }
    for query in ["at=yesterday", "at=2026-01-31", "at=2020-01-01T00:00:00Z&page_size=0", "type=%00&at=x"] {
        assert_problem(&cluster.http().get(&format!("/river/?{query}")).await, 400, "FIELD_INVALID");
    }
    for query in ["from=x", "order=up", "kind=person", "ns=River", "event_type=Log"] {
        assert_problem(&cluster.http().get(&format!("/_/events?{query}")).await, 400, "FIELD_INVALID");
    }
}
