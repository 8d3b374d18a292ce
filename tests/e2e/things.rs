//! Things over HTTP and gRPC: the present.

use harness::cluster::Cluster;
use http::Method;
use proto::{
    common::v1::Key,
    things::v1::{BatchGetThingsRequest, GetThingRequest, ListThingsRequest},
};
use serde_json::json;

super::on_every_store! {
    a_put_thing_is_read_over_http_and_grpc,
    a_put_creates_with_201_and_replaces_with_200,
    an_equal_put_keeps_the_etag,
    a_patch_merges_and_null_removes,
    a_stale_etag_is_412_with_if_match_and_409_without,
    if_none_match_star_creates_only,
    a_known_etag_answers_304,
    a_list_pages_without_holes,
    variants_are_found_by_name_query_and_language,
    an_unknown_field_is_refused_with_the_nearest_name,
    bad_input_names_field_and_rule,
    a_body_too_large_is_413,
    a_restart_keeps_everything,
}

fn gauge() -> serde_json::Value {
    json!({"type": "Gauge", "content": "# Gauge\n", "code": "g-1", "data": {"level": 1.50, "at": "weir"}})
}

async fn a_put_thing_is_read_over_http_and_grpc(cluster: &mut Cluster) {
    cluster.http().put("/river/Upper_gauge", &gauge()).await.expect(201);
    let seen = cluster.http().get("/river/Upper_gauge").await.expect(200);
    assert_eq!(seen.json()["data"], json!({"level": 1.5, "at": "weir"}));
    assert!(seen.text().contains(r#""level":1.5"#));
    assert_eq!(seen.json()["id"], "Upper gauge");

    let key = Key { ns: "river".into(), id: "Upper gauge".into(), ..Default::default() };
    let request = GetThingRequest { key: Some(key), ..Default::default() };
    let thing = cluster.things().await.get_thing(request).await.unwrap().into_inner();
    assert_eq!(format!("\"{}\"", thing.etag), seen.header("etag"));
    assert_eq!(thing.url, "/river/Upper_gauge");
}

async fn a_put_creates_with_201_and_replaces_with_200(cluster: &mut Cluster) {
    let created = cluster.http().put("/river/a", &gauge()).await.expect(201);
    let replaced = cluster.http().put("/river/a", &json!({"type": "Gauge"})).await.expect(200);
    assert_ne!(created.header("annals-ulid"), replaced.header("annals-ulid"));
    let seen = cluster.http().get("/river/a").await.expect(200).json();
    assert!(seen.get("content").is_none_or(serde_json::Value::is_null), "{seen}");
}

async fn an_equal_put_keeps_the_etag(cluster: &mut Cluster) {
    let created = cluster.http().put("/river/a", &gauge()).await.expect(201);
    let again = cluster.http().put("/river/a", &gauge()).await.expect(200);
    assert_eq!(created.header("etag"), again.header("etag"));
    let history = cluster.http().get("/river/a?view=history").await.expect(200).json();
    assert_eq!(history["items"].as_array().unwrap().len(), 1, "{history}");
}

async fn a_patch_merges_and_null_removes(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/river/a", &gauge()).await.expect(201);
    let patch = json!({"code": null, "data": {"level": null, "new": [1]}}).to_string();
    let json = [("content-type", "application/merge-patch+json")];
    http.call(Method::PATCH, "/river/a", &json, &patch).await.expect(200);
    let seen = http.get("/river/a").await.expect(200).json();
    assert_eq!(seen["data"], json!({"at": "weir", "new": [1]}));
    assert!(seen.get("code").is_none_or(serde_json::Value::is_null), "{seen}");
    assert_eq!(seen["content"], "# Gauge\n");
}

async fn a_stale_etag_is_412_with_if_match_and_409_without(cluster: &mut Cluster) {
    let http = cluster.http();
    let first = http.put("/river/a", &gauge()).await.expect(201).header("etag").to_owned();
    http.put("/river/a", &json!({"type": "Gauge"})).await.expect(200);
    let json = ("content-type", "application/json");
    let body = gauge().to_string();
    let refused = http.call(Method::PUT, "/river/a", &[json, ("if-match", &first)], &body).await.expect(412);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.json()["type"], "/_/reasons/ETAG_STALE");

    let key = Key { ns: "river".into(), id: "a".into(), ..Default::default() };
    let condition = proto::things::v1::Condition { etags: vec![first.trim_matches('"').into()], ..Default::default() };
    let request =
        proto::things::v1::DeleteThingRequest { key: Some(key), condition: Some(condition), ..Default::default() };
    let status = cluster.things().await.delete_thing(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
}

async fn if_none_match_star_creates_only(cluster: &mut Cluster) {
    let http = cluster.http();
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    http.call(Method::PUT, "/river/a", &headers, &gauge().to_string()).await.expect(201);
    let refused = http.call(Method::PUT, "/river/a", &headers, &gauge().to_string()).await.expect(412);
    assert_eq!(refused.json()["type"], "/_/reasons/ALREADY_EXISTS");
}

async fn a_known_etag_answers_304(cluster: &mut Cluster) {
    let http = cluster.http();
    let etag = http.put("/river/a", &gauge()).await.expect(201).header("etag").to_owned();
    let answer = http.call(Method::GET, "/river/a", &[("if-none-match", &etag)], "").await.expect(304);
    assert!(answer.body.is_empty());
    let markdown = [("if-none-match", etag.as_str()), ("accept", "text/markdown")];
    let markdown = http.call(Method::GET, "/river/a", &markdown, "").await.expect(200);
    assert_eq!(markdown.text(), "# Gauge\n");
    assert_eq!(markdown.header("etag"), format!("\"{};md\"", etag.trim_matches('"')));
}

async fn a_list_pages_without_holes(cluster: &mut Cluster) {
    let http = cluster.http();
    let mut names: Vec<String> = (0..25).map(|number| format!("g{number}")).collect();
    for name in &names {
        http.put(&format!("/river/{name}"), &json!({"type": "Gauge"})).await.expect(201);
    }
    names.sort();
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/river/?page_size=7&page_token={token}")).await.expect(200).json();
        listed.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, names);

    let mut client = cluster.things().await;
    let list = ListThingsRequest { ns: "river".into(), page_size: 1_000, ..Default::default() };
    assert_eq!(client.list_things(list).await.unwrap().into_inner().things.len(), 25);
    let key = |id: &str| Key { ns: "river".into(), id: id.into(), ..Default::default() };
    let batch = BatchGetThingsRequest { keys: vec![key("g3"), key("none"), key("g1")], ..Default::default() };
    let batch = client.batch_get_things(batch).await.unwrap().into_inner();
    let found: Vec<_> = batch.things.into_iter().map(|thing| thing.key.unwrap().id).collect();
    assert_eq!((found, batch.missing), (vec!["g3".to_owned(), "g1".to_owned()], vec![key("none")]));
}

async fn variants_are_found_by_name_query_and_language(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/river/a", &json!({"type": "Gauge", "content": "level"})).await.expect(201);
    http.put("/river/a%23es", &json!({"type": "Gauge", "content": "nivel"})).await.expect(201);
    for path in ["/river/a%23es", "/river/a?variant=es"] {
        assert_eq!(http.get(path).await.expect(200).json()["content"], "nivel", "{path}");
    }
    let spanish = http.call(Method::GET, "/river/a", &[("accept-language", "es-MX, en;q=0.5")], "").await.expect(200);
    assert_eq!(spanish.json()["content"], "nivel");
    assert!(spanish.header("vary").to_ascii_lowercase().contains("accept-language"));
    http.delete("/river/a").await.expect(204);
    http.get("/river/a%23es").await.expect(404);
}

async fn an_unknown_field_is_refused_with_the_nearest_name(cluster: &mut Cluster) {
    let refused = cluster.http().put("/river/a", &json!({"type": "Gauge", "contant": "x"})).await.expect(400);
    assert_eq!(refused.json()["type"], "/_/reasons/FIELD_UNKNOWN");
    assert!(refused.text().contains("content"), "{}", refused.text());
}

async fn bad_input_names_field_and_rule(cluster: &mut Cluster) {
    let http = cluster.http();
    let deep = format!(r#"{{"type":"T","data":{}1{}}}"#, r#"{"a":"#.repeat(65), "}".repeat(65));
    let bodies = [
        (r#"{"content":"no type"}"#, "type"),
        (r#"{"type":"T","data":[]}"#, "data"),
        (r#"{"type":"T","data":{"a":1,"a":2}}"#, "data"),
        (r#"{"type":"T","data":{"a":1e999}}"#, "data"),
        (r#"{"type":"T","visibility":"secret"}"#, "visibility"),
        (r#"{"type":"T","embedding":[]}"#, "embedding"),
        (deep.as_str(), "data"),
    ];
    for (body, field) in bodies {
        let json = [("content-type", "application/json")];
        let refused = http.call(Method::PUT, "/river/a", &json, body).await.expect(400);
        assert!(refused.text().contains(field), "{body}: {}", refused.text());
        assert!(refused.json()["errors"][0]["rule"].is_string(), "{body}: {}", refused.text());
    }
    for path in
        ["/river/a%00", "/river/%FF", "/river/a%23!", "/River/a", "/river/%E2%80%AEa", "/river/a__b", "/robots.txt/a"]
    {
        let refused = http.put(path, &gauge()).await.expect(400);
        assert!(refused.json()["errors"][0]["rule"].is_string(), "{path}: {}", refused.text());
        http.get(path).await;
    }
    assert_eq!(http.get("/river/").await.expect(200).json()["items"], json!([]));
}

async fn a_body_too_large_is_413(cluster: &mut Cluster) {
    let huge = json!({"type": "T", "content": "x".repeat(5 << 20)});
    cluster.http().put("/river/a", &huge).await.expect(413);
    let large = json!({"type": "T", "content": "x".repeat(1 << 20)});
    cluster.http().put("/river/a", &large).await.expect(201);
    let over = json!({"type": "T", "content": "x".repeat((1 << 20) + 1)});
    let refused = cluster.http().put("/river/b", &over).await.expect(400);
    assert!(refused.text().contains("content"), "{}", refused.text());
}

async fn a_restart_keeps_everything(cluster: &mut Cluster) {
    cluster.http().put("/river/a", &gauge()).await.expect(201);
    let before = cluster.http().get("/river/a").await.expect(200);
    for service in ["things", "events"] {
        cluster.kill_and_restart(service).await;
    }
    assert_eq!(cluster.http().get("/river/a").await.expect(200).body, before.body);
    let history = cluster.http().get("/river/a?view=history").await.expect(200).json();
    assert_eq!(history["items"].as_array().unwrap().len(), 1, "{history}");
}
