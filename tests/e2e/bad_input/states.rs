//! What is said of a thing or relationship: every rule and limit of its fields, as JSON and as messages.

use harness::cluster::Cluster;
use http::Method;
use proto::things::v1::{
    BatchGetThingsRequest, Condition, DeleteThingRequest, GetThingRequest, ImportRow, ImportThingsRequest,
    PatchThingRequest, PutThingRequest, Thing, import_row::Row,
};
use serde_json::json;

use super::{assert_nothing_stored, assert_problem, assert_refused, key, put, thing};

crate::on_both_topologies! {
    every_rule_of_a_state_is_told_over_grpc,
    every_rule_of_a_patch_is_told_over_grpc,
    every_rule_of_a_state_is_told_over_http,
    bad_rows_of_an_import_are_reported_and_only_they_are_left_out,
}

/// Texts that are no `data`.
fn bad_data() -> Vec<String> {
    let deep = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let fixed = [
        "",
        "[]",
        "1",
        "null",
        r#""x""#,
        "{",
        r#"{"a":1}x"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":1e309}"#,
        r#"{"a":1e-309}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":01}"#,
        r#"{"a":NaN}"#,
        r#"{"a":.5}"#,
        "{\"a\":\"\u{1}\"}",
        "{'a':1}",
        r#"{"a":1,}"#,
    ];
    let made = [
        deep(65),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(100_000),
        format!(r#"{{"a":{}}}"#, "9".repeat(65)),
        format!(r#"{{"a":1e{}}}"#, "9".repeat(5_000)),
        format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20)),
    ];
    fixed.into_iter().map(str::to_owned).chain(made).collect()
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

async fn every_rule_of_a_state_is_told_over_grpc(cluster: &mut Cluster) {
    let mut things = cluster.things().await;
    let good = || thing(key("river", "a", ""));
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(Thing, &str)> = vec![
        (Thing { r#type: String::new(), ..good() }, "thing.type"),
        (Thing { r#type: long(256), ..good() }, "thing.type"),
        (Thing { r#type: "a\nb".into(), ..good() }, "thing.type"),
        (Thing { visibility: 9, ..good() }, "thing.visibility"),
        (Thing { content: text("a\0b"), ..good() }, "thing.content"),
        (Thing { content: Some(long((1 << 20) + 1)), ..good() }, "thing.content"),
        (Thing { code: text(""), ..good() }, "thing.code"),
        (Thing { code: Some(long(256)), ..good() }, "thing.code"),
        (Thing { code: text("a\u{9f}"), ..good() }, "thing.code"),
        (Thing { embedding: vec![0.0; 4_097], ..good() }, "thing.embedding"),
        (Thing { embedding: vec![f32::NAN], ..good() }, "thing.embedding"),
        (Thing { embedding: vec![1.0, f32::INFINITY], ..good() }, "thing.embedding"),
        (Thing { key: None, ..good() }, "thing.key"),
    ];
    for (bad, field) in cases {
        assert_refused(things.put_thing(put(bad)).await, &[field]);
    }
    for data in bad_data() {
        assert_refused(things.put_thing(put(Thing { data: Some(data), ..good() })).await, &["thing.data"]);
    }
    assert_refused(things.put_thing(PutThingRequest::default()).await, &["thing"]);
    let request = PutThingRequest { request_id: long(129), ..put(good()) };
    assert_refused(things.put_thing(request).await, &["request_id"]);
    let request = PutThingRequest { cause: long(1_025), ..put(good()) };
    assert_refused(things.put_thing(request).await, &["cause"]);
    let two = Condition { create_only: true, update_only: true, ..Default::default() };
    let request = PutThingRequest { condition: Some(two), ..put(good()) };
    assert_refused(things.put_thing(request).await, &["condition"]);
    let create = Condition { create_only: true, ..Default::default() };
    let request =
        DeleteThingRequest { key: Some(key("river", "a", "")), condition: Some(create), ..Default::default() };
    assert_refused(things.delete_thing(request).await, &["condition.create_only"]);
    let no_ulid = Condition { etags: vec!["etag".into()], ..Default::default() };
    let request = PutThingRequest { condition: Some(no_ulid), ..put(good()) };
    assert_refused(things.put_thing(request).await, &["condition.etags[0]"]);

    for keys in [0, 1_001] {
        let request = BatchGetThingsRequest { keys: vec![key("river", "a", ""); keys], ..Default::default() };
        assert_refused(things.batch_get_things(request).await, &["keys"]);
    }
    let preferred_variants = vec!["es".to_owned(); 17];
    let request = GetThingRequest { key: Some(key("river", "a", "")), preferred_variants, ..Default::default() };
    assert_refused(things.get_thing(request).await, &["preferred_variants"]);
    assert_nothing_stored(cluster).await;
}

async fn every_rule_of_a_patch_is_told_over_grpc(cluster: &mut Cluster) {
    let mut things = cluster.things().await;
    let before = things.put_thing(put(thing(key("sea", "a", "")))).await.unwrap().into_inner();
    let good = || PatchThingRequest { key: Some(key("sea", "a", "")), ..Default::default() };
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(PatchThingRequest, &str)> = vec![
        (PatchThingRequest { r#type: text(""), ..good() }, "type"),
        (PatchThingRequest { visibility: 9, ..good() }, "visibility"),
        (PatchThingRequest { content: text("\0"), ..good() }, "content"),
        (PatchThingRequest { code: Some(long(256)), ..good() }, "code"),
        (PatchThingRequest { data_patch: text("[]"), ..good() }, "data_patch"),
        (PatchThingRequest { data_patch: text(r#"{"a":1e999}"#), ..good() }, "data_patch"),
        (PatchThingRequest { clear: vec!["type".into()], ..good() }, "clear"),
        (PatchThingRequest { clear: vec!["code".into()], code: text("x"), ..good() }, "clear"),
        (PatchThingRequest { embedding: vec![f32::NAN], ..good() }, "embedding"),
        (PatchThingRequest { key: None, ..good() }, "key"),
    ];
    for (bad, field) in cases {
        assert_refused(things.patch_thing(bad).await, &[field]);
    }
    let half = format!(r#"{{"b":"{}"}}"#, long(600 << 10));
    let grown = PatchThingRequest { data_patch: Some(half.replace("\"b\"", "\"c\"")), ..good() };
    let patched = PatchThingRequest { data_patch: Some(half), ..good() };
    let etag = things.patch_thing(patched).await.unwrap().into_inner().etag;
    let refused = things.patch_thing(grown).await;
    assert!(refused.as_ref().is_err_and(|status| status.code() == tonic::Code::InvalidArgument), "{refused:?}");
    let after = things.get_thing(GetThingRequest { key: before.key, ..Default::default() }).await.unwrap();
    assert_eq!(after.into_inner().etag, etag);
}

async fn every_rule_of_a_state_is_told_over_http(cluster: &mut Cluster) {
    let http = cluster.http();
    let json_type = [("content-type", "application/json")];
    let send = |body: Vec<u8>| http.try_call(Method::PUT, "/river/a", &json_type, body.into());
    for data in bad_data().iter().filter(|data| !data.is_empty() && *data != "null") {
        let answer = send(format!(r#"{{"type":"T","data":{data}}}"#).into_bytes()).await.unwrap();
        assert_problem(&answer, 400, "FIELD_INVALID");
    }
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{\"type\":\"\xff\"}",
        b"{\"type\":\"\xc0\x80\"}",
        b"{\"type\":\"a\0\"}",
        b"{\"type\":\"T\",\"content\":\"\\u0000\"}",
        b"{\"type\":\"T\",\"content\":\"\xed\xa0\x80\"}",
        b"\xef\xbb\xbf{\"type\":\"T\"}",
        b"{\"type\":1}",
        b"{\"type\":\"T\",\"embedding\":[1e39]}",
        b"{\"type\":\"T\",\"embedding\":[\"1\"]}",
        b"{\"type\":\"T\",\"code\":\"\"}",
        b"{\"type\":\"T\"} {}",
        b"{\"type\":\"T\",\"type\":\"U\"}",
    ] {
        assert_problem(&send(body.to_vec()).await.unwrap(), 400, "FIELD_INVALID");
    }
    for (field, nearest) in [("contnt", "content"), ("visibilty", "visibility"), ("typ", "type"), ("Data", "data")] {
        let answer = send(json!({"type": "T", field: "x"}).to_string().into_bytes()).await.unwrap();
        assert_problem(&answer, 400, "FIELD_UNKNOWN");
        assert!(answer.text().contains(nearest), "{}", answer.text());
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
        let headers = [("content-type", content_type)];
        let answer = http.call(Method::PUT, "/river/a", &headers, r#"{"type":"T"}"#).await;
        assert_problem(&answer, 415, "MEDIA_TYPE_UNSUPPORTED");
    }
    for (header, value) in [("if-match", "etag"), ("if-none-match", "\"x"), ("annals-request-id", &long(129))] {
        let headers = [json_type[0], (header, value)];
        let answer = http.call(Method::PUT, "/river/a", &headers, r#"{"type":"T"}"#).await;
        assert_eq!(answer.status, 400, "{header}: {}", answer.text());
    }
    for method in [Method::POST, Method::OPTIONS, Method::TRACE] {
        let answer = http.call(method, "/river/a", &[], "").await;
        assert_problem(&answer, 405, "METHOD_NOT_ALLOWED");
        assert!(answer.header("allow").contains("GET"));
    }
    assert_nothing_stored(cluster).await;
}

async fn bad_rows_of_an_import_are_reported_and_only_they_are_left_out(cluster: &mut Cluster) {
    let mut things = cluster.things().await;
    let row = |thing| ImportRow { row: Some(Row::Thing(thing)) };
    let rows = vec![
        row(thing(key("sea", "a", ""))),
        row(Thing { r#type: String::new(), ..thing(key("sea", "b", "")) }),
        ImportRow { row: None },
        row(thing(key("Sea", "c", ""))),
        row(thing(key("sea", "d", ""))),
    ];
    let message = |rows| ImportThingsRequest { rows, ..Default::default() };
    let done = things.import_things(tokio_stream::iter([message(rows)])).await.unwrap().into_inner();
    assert_eq!((done.created, done.failed), (2, 3), "{done:?}");
    let told: Vec<_> = done.failures.iter().map(|failure| (failure.row, failure.field.as_str())).collect();
    assert_eq!(told, [(1, "thing.type"), (2, "row"), (3, "thing.key.ns")]);
    assert!(done.failures.iter().all(|failure| failure.reason == "FIELD_INVALID" && !failure.message.is_empty()));

    let over = message(vec![row(thing(key("river", "a", ""))); 1_001]);
    assert_refused(things.import_things(tokio_stream::iter([over])).await, &["rows"]);
    assert_eq!(cluster.http().get("/river/").await.expect(200).json()["items"], json!([]));
}
