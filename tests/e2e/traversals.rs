//! Walks along relationships, over HTTP and by the program.

use harness::cluster::Cluster;
use serde_json::{Value, json};

super::on_every_store! {
    a_walk_tells_each_thing_with_the_last_step_there,
    the_other_ends_of_relationships_are_told,
    a_walk_that_is_none_is_refused_by_its_field,
    the_program_walks,
}

async fn river(cluster: &Cluster) {
    let http = cluster.http();
    for (name, title) in [("spring", "The Spring"), ("lock", ""), ("mouth", "Mouth"), ("hut", "")] {
        let data = if title.is_empty() { json!({}) } else { json!({"title": title}) };
        http.put(&format!("/river/{name}"), &json!({"type": "Place", "data": data})).await.expect(201);
    }
    for (name, word, from, to) in
        [("1", "feeds", "spring", "lock"), ("2", "feeds", "lock", "mouth"), ("3", "at", "hut", "spring")]
    {
        let body = json!({"type": word, "from": format!("/river/{from}"), "to": format!("/river/{to}")});
        http.put(&format!("/_/relationships/river/{name}"), &body).await.expect(201);
    }
}

async fn a_walk_tells_each_thing_with_the_last_step_there(cluster: &mut Cluster) {
    river(cluster).await;
    let http = cluster.http();
    let walked = http.get("/river/spring?view=traverse&max_depth=2").await.expect(200).json();
    let told: Vec<_> = walked["items"].as_array().unwrap().iter().map(|item| (&item["url"], &item["depth"])).collect();
    let (lock, hut, mouth) = (json!("/river/lock"), json!("/river/hut"), json!("/river/mouth"));
    assert_eq!(told, [(&lock, &json!(1)), (&hut, &json!(1)), (&mouth, &json!(2))], "{walked}");
    assert_eq!(walked["is_truncated"], json!(false));
    let last = &walked["items"][2];
    assert_eq!((&last["title"], &last["type"], &last["via"]["id"]), (&json!("Mouth"), &json!("Place"), &json!("lock")));
    let step = json!({"ns": "river", "id": "2", "type": "feeds", "direction": "outgoing"});
    assert_eq!(last["relationship"], step);
    assert_eq!(walked["items"][1]["relationship"]["direction"], "incoming");
    let by_type = http.get("/river/spring?view=traverse&max_depth=6&type=at,none&direction=incoming").await.expect(200);
    assert_eq!(by_type.json()["items"].as_array().unwrap().len(), 1);
    let full = http.get("/river/spring?view=traverse&max_depth=6&max_things=2").await.expect(200).json();
    assert_eq!((full["items"].as_array().unwrap().len(), &full["is_truncated"]), (2, &json!(true)));
    http.get("/river/none?view=traverse").await.expect(404);
}

async fn the_other_ends_of_relationships_are_told(cluster: &mut Cluster) {
    river(cluster).await;
    let listed = cluster.http().get("/river/lock?view=relationships").await.expect(200).json();
    let others: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["other"]).collect();
    assert_eq!((&others[0]["url"], &others[0]["title"]), (&json!("/river/spring"), &json!("The Spring")), "{listed}");
    assert_eq!((&others[1]["url"], &others[1]["type"]), (&json!("/river/mouth"), &json!("Place")), "{listed}");
}

async fn a_walk_that_is_none_is_refused_by_its_field(cluster: &mut Cluster) {
    river(cluster).await;
    let many = ["x"; 17].join(",");
    for (query, field) in [
        ("max_depth=7".to_owned(), "max_depth"),
        ("max_depth=-1".into(), "max_depth"),
        ("max_things=0".into(), "max_things"),
        ("max_things=1001".into(), "max_things"),
        ("direction=up".into(), "direction"),
        (format!("type={many}"), "types"),
        ("type=%07".into(), "types[0]"),
        ("page_size=3".into(), "page_size"),
    ] {
        let refused = cluster.http().get(&format!("/river/spring?view=traverse&{query}")).await.expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{query}: {refused}");
    }
}

async fn the_program_walks(cluster: &mut Cluster) {
    river(cluster).await;
    let dir = tempfile::tempdir().unwrap();
    let annals = |arguments: &[&str]| {
        let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = annals(&["traverse", "river/spring", "--depth", "2", "--type", "feeds"]);
    let lines: Vec<_> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["1 /river/lock Place river/spring -> feeds", "2 /river/mouth Place Mouth river/lock -> feeds"]);
    let told: Value = serde_json::from_str(&annals(&["traverse", "river/hut", "--json"])).unwrap();
    assert_eq!(told["items"][0]["title"], "The Spring");
    assert!(annals(&["get", "river/hut", "--relationships"]).contains("The Spring"));
}
