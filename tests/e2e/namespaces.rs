//! Namespaces: described, listed and taken back, over HTTP and by the program.

use harness::cluster::Cluster;
use serde_json::{Value, json};

super::on_every_store! {
    a_namespace_tells_what_it_has,
    a_namespace_that_never_had_a_name_is_taken_back,
    the_program_knows_namespaces,
}

async fn a_namespace_tells_what_it_has(cluster: &mut Cluster) {
    let http = cluster.http();
    for name in ["/river/a", "/river/b"] {
        http.put(name, &json!({"type": "Gauge"})).await.expect(201);
    }
    let link = json!({"type": "feeds", "from": "/river/a", "to": "/river/b"});
    http.put("/_/relationships/river/a-b", &link).await.expect(201);
    http.put("/_/namespaces/river/upper", &json!({"style": "literal"})).await.expect(200);
    let river = http.get("/_/namespaces/river").await.expect(200).json();
    assert_eq!((&river["things"], &river["relationships"], &river["style"]), (&json!(2), &json!(1), &json!("wiki")));
    assert!(river["first_created_at"].as_str() <= river["last_changed_at"].as_str(), "{river}");
    // What a GET answers can be put again.
    http.put("/_/namespaces/river", &river).await.expect(200);
    let listed = http.get("/_/namespaces?ns_prefix=river").await.expect(200).json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["ns"]).collect();
    assert_eq!(names, ["river", "river/upper"]);
    http.get("/_/namespaces/none").await.expect(404);
    http.get("/_/namespaces/River").await.expect(400);
}

async fn a_namespace_that_never_had_a_name_is_taken_back(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/_/namespaces/a/b", &json!({"style": "literal"})).await.expect(200);
    http.put("/_/namespaces/a/b", &json!({"style": "wiki"})).await.expect(400);
    http.delete("/_/namespaces/a/b").await.expect(204);
    http.delete("/_/namespaces/a/b").await.expect(404);
    http.put("/_/namespaces/a/b", &json!({"style": "wiki"})).await.expect(200);
    http.put("/a/b/c", &json!({"type": "Note"})).await.expect(201);
    http.delete("/a/b/c").await.expect(204);
    let refused = http.delete("/_/namespaces/a/b").await.expect(400).json();
    assert_eq!(refused["type"], "/_/reasons/NAMESPACE_NOT_EMPTY", "{refused}");
}

async fn the_program_knows_namespaces(cluster: &mut Cluster) {
    let dir = tempfile::tempdir().unwrap();
    let annals = |arguments: &[&str]| {
        let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    annals(&["namespace", "register", "a/b", "--style", "literal"]);
    let listed: Value = serde_json::from_str(&annals(&["namespace", "list", "--json"])).unwrap();
    assert_eq!(listed["items"][0]["ns"], "a/b", "{listed}");
    let told = annals(&["namespace", "get", "a/b"]);
    assert!(told.contains("literal") && told.contains("things"), "{told}");
    annals(&["namespace", "delete", "a/b"]);
    let listed = annals(&["namespace", "list", "--under", "a/"]);
    assert!(!listed.contains("/a/b/"), "{listed}");
}
