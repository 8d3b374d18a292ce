//! Relationships: their own names, ends, and how they go with an end.

use harness::cluster::Cluster;
use serde_json::json;

super::on_every_store! {
    a_relationship_is_put_read_listed_and_deleted,
    an_end_must_exist,
    deleting_a_thing_deletes_its_relationships_each_with_an_event,
}

async fn two_things(cluster: &Cluster) {
    for name in ["/river/a", "/river/b"] {
        cluster.http().put(name, &json!({"type": "Gauge"})).await.expect(201);
    }
}

fn feeds() -> serde_json::Value {
    json!({"type": "feeds", "from": "/river/a", "to": "/river/b", "data": {"metres": 12}})
}

async fn a_relationship_is_put_read_listed_and_deleted(cluster: &mut Cluster) {
    two_things(cluster).await;
    let http = cluster.http();
    http.put("/_/relationships/river/a-b", &feeds()).await.expect(201);
    let seen = http.get("/_/relationships/river/a-b").await.expect(200).json();
    assert_eq!((&seen["type"], &seen["data"]), (&json!("feeds"), &json!({"metres": 12})));
    for (thing, direction) in [("a", "outgoing"), ("b", "incoming")] {
        let list = http.get(&format!("/river/{thing}?view=relationships&direction={direction}")).await.expect(200);
        assert_eq!(list.json()["items"][0]["id"], "a-b", "{}", list.text());
    }
    let none = http.get("/river/a?view=relationships&direction=incoming").await.expect(200).json();
    assert_eq!(none["items"], json!([]));
    http.delete("/_/relationships/river/a-b").await.expect(204);
    http.get("/_/relationships/river/a-b").await.expect(404);
}

async fn an_end_must_exist(cluster: &mut Cluster) {
    cluster.http().put("/river/a", &json!({"type": "Gauge"})).await.expect(201);
    let refused = cluster.http().put("/_/relationships/river/a-b", &feeds()).await;
    assert_eq!(refused.json()["type"], "/_/reasons/END_MISSING", "{}", refused.text());
}

async fn deleting_a_thing_deletes_its_relationships_each_with_an_event(cluster: &mut Cluster) {
    two_things(cluster).await;
    let http = cluster.http();
    http.put("/_/relationships/river/a-b", &feeds()).await.expect(201);
    let back = json!({"type": "drains", "from": "/river/b", "to": "/river/a"});
    http.put("/_/relationships/river/b-a", &back).await.expect(201);
    let deletion = http.delete("/river/a").await.expect(204).header("annals-ulid").to_owned();
    for name in ["a-b", "b-a"] {
        http.get(&format!("/_/relationships/river/{name}")).await.expect(404);
    }
    let query = format!("/_/events?event_type=mutation&ns=river&wait_for={deletion}&page_size=100");
    let events = http.get(&query).await.expect(200).json();
    let mut deleted: Vec<_> = events["items"].as_array().unwrap().iter().collect();
    deleted.retain(|event| event["mutation_type"] == "deleted");
    let mut names: Vec<_> = deleted.iter().map(|event| event["entity_id"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "a-b", "b-a"], "{events}");
}
