//! Many changes at once: all or none, once for a request id, and with an event for each.

use harness::{cluster::Cluster, http::Answer};
use http::Method;
use serde_json::{Value, json};

super::on_every_store! {
    changes_are_written_together_each_with_its_event,
    of_changes_of_which_one_is_refused_none_is_written,
    a_request_that_is_repeated_is_carried_out_once,
}

async fn write(cluster: &Cluster, body: &Value) -> Answer {
    write_as(cluster, &[], body).await
}

async fn write_as(cluster: &Cluster, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    cluster.http().call(Method::POST, "/_/things:write", &headers, &body.to_string()).await
}

fn outcomes(answer: &Value) -> Vec<(&str, &str)> {
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|result| (result["id"].as_str().unwrap(), result["outcome"].as_str().unwrap())).collect()
}

fn river() -> Value {
    json!([
        {"put_thing": {"url": "/river/a", "type": "Gauge", "data": {"metres": 1.50}}},
        {"put_thing": {"url": "/river/b", "type": "Gauge", "condition": {"create_only": true}}},
        {"put_relationship": {"url": "/_/relationships/river/a-b", "type": "feeds", "from": "/river/a", "to": "/river/b"}},
        {"patch_thing": {"url": "/river/a", "content": "Upstream."}},
        {"delete_thing": {"url": "/river/b"}}
    ])
}

async fn changes_are_written_together_each_with_its_event(cluster: &mut Cluster) {
    let http = cluster.http();
    let trial = write(cluster, &json!({"changes": river(), "validate_only": true})).await.expect(200).json();
    http.get("/river/a").await.expect(404);
    let written = write(cluster, &json!({"changes": river()})).await.expect(200);
    let (last, answer) = (written.header("annals-ulid").to_owned(), written.json());
    let expected = [("a", "created"), ("b", "created"), ("a-b", "created"), ("a", "replaced"), ("b", "deleted")];
    assert_eq!((outcomes(&answer), outcomes(&trial)), (expected.to_vec(), expected.to_vec()), "{answer}");
    assert_eq!(answer["results"][4]["deleted_relationships"], 1);
    assert!(trial["results"][0].get("ulid").is_none(), "{trial}");
    let thing = http.get("/river/a").await.expect(200).json();
    assert_eq!((&thing["content"], &thing["etag"]), (&json!("Upstream."), &answer["results"][3]["ulid"]));
    http.get("/river/b").await.expect(404);
    let query = format!("/_/events?event_type=mutation&ns=river&wait_for={last}&page_size=100");
    let events = http.get(&query).await.expect(200).json();
    assert_eq!(events["items"].as_array().unwrap().len(), 6, "{events}");
}

async fn of_changes_of_which_one_is_refused_none_is_written(cluster: &mut Cluster) {
    let http = cluster.http();
    let mut changes = river();
    changes[4] = json!({"delete_thing": {"url": "/river/absent"}});
    let refused = write(cluster, &json!({"changes": changes})).await.expect(404).json();
    assert_eq!(refused["type"], "/_/reasons/NOT_FOUND", "{refused}");
    assert!(refused["detail"].as_str().unwrap().starts_with("changes[4]: "), "{refused}");
    changes[4] = json!({"delete_thing": {"ulr": "/river/a"}});
    let refused = write(cluster, &json!({"changes": changes})).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "changes[4].delete_thing.url", "{refused}");
    let too_many: Vec<_> = (0..1_001).map(|_| json!({"delete_thing": {"url": "/river/a"}})).collect();
    let refused = write(cluster, &json!({"changes": too_many})).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "changes", "{refused}");
    for name in ["/river/a", "/river/b", "/_/relationships/river/a-b"] {
        http.get(name).await.expect(404);
    }
}

async fn a_request_that_is_repeated_is_carried_out_once(cluster: &mut Cluster) {
    let http = cluster.http();
    let headers = [("annals-request-id", "the-first")];
    let put = |text: &str| json!({"changes": [{"put_thing": {"url": "/river/a", "type": "Gauge", "content": text}}]});
    let first = write_as(cluster, &headers, &put("one")).await.expect(200).json();
    http.put("/river/a", &json!({"type": "Gauge", "content": "two"})).await.expect(200);
    assert_eq!(write_as(cluster, &headers, &put("one")).await.expect(200).json(), first);
    let refused = write_as(cluster, &headers, &put("three")).await.expect(409).json();
    assert_eq!(refused["type"], "/_/reasons/REQUEST_ID_REUSED", "{refused}");
    assert_eq!(http.get("/river/a").await.expect(200).json()["content"], "two");
}
