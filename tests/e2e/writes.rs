//! Many changes at once: all or none, once for a request id, and with an event for each.

use harness::{cluster::Cluster, http::Answer};
use http::Method;
use serde_json::{Value, json};

super::on_every_store! {
    changes_are_written_together_each_with_its_event,
    of_changes_of_which_one_is_refused_none_is_written,
    a_request_that_is_repeated_is_carried_out_once,
    a_write_of_twelve_mebibytes_is_taken_and_one_of_seventeen_is_refused,
    the_program_writes_a_file_of_changes,
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

async fn a_write_of_twelve_mebibytes_is_taken_and_one_of_seventeen_is_refused(cluster: &mut Cluster) {
    let content = "water ".repeat((1 << 20) / 6);
    let body = |things: usize| {
        let put =
            |number| json!({"put_thing": {"url": format!("/river/{number}"), "type": "Gauge", "content": content}});
        json!({"changes": (0..things).map(put).collect::<Vec<_>>()})
    };
    let refused = write(cluster, &body(17)).await.expect(413).json();
    assert_eq!(refused["type"], "/_/reasons/MESSAGE_TOO_LARGE", "{refused}");
    let written = write(cluster, &body(12)).await.expect(200).json();
    assert_eq!(outcomes(&written).len(), 12);
    let thing = cluster.http().get("/river/11").await.expect(200).json();
    assert_eq!(thing["content"].as_str().map(str::len), Some(content.len()));
}

async fn the_program_writes_a_file_of_changes(cluster: &mut Cluster) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("changes.json"), json!({"changes": river()}).to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let output = cluster.annals(dir.path()).args(["write", "changes.json"]).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.success(), said)
    };
    let (is_good, [trial, problem]) = run(&["--validate-only"]);
    assert!(is_good && trial.ends_with("nothing was kept: it was only validated\n"), "{trial}{problem}");
    let (_, [first, _]) = run(&["--request-id", "r1"]);
    assert!(first.starts_with("created    river/a  "), "{first}");
    assert_eq!((first.lines().count(), run(&["--request-id", "r1"]).1[0] == first), (5, true), "{first}");
    let (is_good, [_, problem]) = run(&["--request-id", "r1", "--cause", "another"]);
    assert!(!is_good && problem.contains("request_id r1 was another request's"), "{problem}");
    let (is_good, [shown, _]) = run(&["--request-id", "r1", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(is_good && shown["results"][4]["outcome"] == "deleted", "{shown}");
}
