//! What a thing was, put again: over HTTP and by the program.

use harness::cluster::Cluster;
use http::Method;
use serde_json::{Value, json};

super::on_every_store! {
    a_state_of_the_past_is_put_again_and_says_so,
    a_deleted_thing_comes_back_as_it_was,
    nobody_gets_back_what_was_not,
    the_program_restores_and_brings_back,
}

async fn post(cluster: &Cluster, verb: &str, body: &Value) -> harness::http::Answer {
    let headers = [("content-type", "application/json"), ("annals-cause", "a mistake")];
    cluster.http().call(Method::POST, &format!("/_/things:{verb}"), &headers, &body.to_string()).await
}

async fn put(cluster: &Cluster, content: &str) -> String {
    let body = json!({"type": "Note", "content": content, "data": {"n": 1}});
    cluster.http().put("/river/a", &body).await.header("annals-ulid").to_owned()
}

async fn a_state_of_the_past_is_put_again_and_says_so(cluster: &mut Cluster) {
    let (first, second) = (put(cluster, "one").await, put(cluster, "two").await);
    let restored = post(cluster, "restore", &json!({"url": "/river/a", "at": first})).await.expect(200);
    let (ulid, thing) = (restored.header("annals-ulid").to_owned(), restored.json());
    assert_eq!((&thing["content"], &thing["data"]), (&json!("one"), &json!({"n": 1})), "{thing}");
    assert!(ulid > second, "it is a new state");
    let history = cluster.http().get("/river/a?view=history").await.expect(200).json();
    let last = history["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["ulid"], &last["cause"]),
        (&json!(ulid), &json!(format!("restore of {first}: a mistake"))),
        "{last}"
    );
    let again = post(cluster, "restore", &json!({"url": "/river/a", "at": ulid})).await.expect(200);
    assert_eq!((again.header("annals-outcome"), again.header("annals-ulid")), ("unchanged", ulid.as_str()));
    let stale = json!({"url": "/river/a", "at": second, "condition": {"etags": [first]}});
    post(cluster, "restore", &stale).await.expect(409);
}

async fn a_deleted_thing_comes_back_as_it_was(cluster: &mut Cluster) {
    put(cluster, "one").await;
    let last = put(cluster, "two").await;
    let taken = post(cluster, "undelete", &json!({"url": "/river/a"})).await.expect(409).json();
    assert_eq!(taken["type"], "/_/reasons/ALREADY_EXISTS", "{taken}");
    cluster.http().delete("/river/a").await.expect(204);
    let back = post(cluster, "undelete", &json!({"url": "/river/a"})).await.expect(201).json();
    assert_eq!(back["content"], "two", "{back}");
    let history = cluster.http().get("/river/a?view=history").await.expect(200).json();
    let cause = history["items"].as_array().unwrap().last().unwrap()["cause"].clone();
    assert_eq!(cause, json!(format!("restore of {last}: a mistake")));
}

async fn nobody_gets_back_what_was_not(cluster: &mut Cluster) {
    put(cluster, "one").await;
    for (verb, body, status) in [
        ("restore", json!({"url": "/river/a", "at": "2020-01-01T00:00:00Z"}), 404),
        ("restore", json!({"url": "/river/none", "at": "2020-01-01T00:00:00Z"}), 404),
        ("undelete", json!({"url": "/river/none"}), 404),
        ("restore", json!({"url": "/river/a", "at": "2999-01-01T00:00:00Z"}), 400),
        ("restore", json!({"url": "/river/a"}), 400),
        ("restore", json!({"url": "/river/a", "at": "yesterday"}), 400),
        ("undelete", json!({"url": "/river/a", "at": "2020-01-01T00:00:00Z"}), 400),
        ("undelete", json!({}), 400),
    ] {
        post(cluster, verb, &body).await.expect(status);
    }
}

async fn the_program_restores_and_brings_back(cluster: &mut Cluster) {
    let first = put(cluster, "one").await;
    put(cluster, "two").await;
    let dir = tempfile::tempdir().unwrap();
    let annals = |arguments: &[&str]| {
        let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let restored: Value = serde_json::from_str(&annals(&["restore", "river/a", "--at", &first, "--json"])).unwrap();
    assert_eq!(restored["content"], "one", "{restored}");
    annals(&["delete", "river/a"]);
    let back = annals(&["restore", "river/a", "--cause", "a mistake"]);
    assert!(back.contains("created"), "{back}");
}
