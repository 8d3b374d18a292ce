//! Lists and counts of things that fulfil conditions, over HTTP and by the program.

use harness::cluster::Cluster;
use serde_json::{Value, json};

super::on_every_store! {
    things_are_listed_and_counted_by_their_conditions,
    lists_go_on_in_the_order_of_changes,
    a_page_token_is_good_for_its_conditions_only,
    a_condition_that_is_none_is_refused_by_its_field,
    the_program_lists_and_counts_by_conditions,
}

async fn gauges(cluster: &Cluster) {
    let http = cluster.http();
    http.put("/_/namespaces/river/upper", &json!({"style": "literal"})).await.expect(200);
    for (name, metres, visibility) in
        [("/river/a", "1.50", "public"), ("/river/b", "3", "private"), ("/river/upper/a_c", "2e0", "public")]
    {
        let data: Value = serde_json::from_str(&format!(r#"{{"metres":{metres},"tags":["wet"]}}"#)).unwrap();
        let body = json!({"type": "Gauge", "code": "g", "visibility": visibility, "data": data});
        http.put(name, &body).await.expect(201);
    }
    http.put("/river/lock", &json!({"type": "Lock"})).await.expect(201);
    http.put("/pond/a", &json!({"type": "Gauge"})).await.expect(201);
}

async fn listed(cluster: &Cluster, url: &str) -> Vec<String> {
    let page = cluster.http().get(url).await.expect(200).json();
    page["items"].as_array().unwrap().iter().map(|item| item["url"].as_str().unwrap().to_owned()).collect()
}

async fn things_are_listed_and_counted_by_their_conditions(cluster: &mut Cluster) {
    gauges(cluster).await;
    for (conditions, expected) in [
        ("ns=river", vec!["/river/a", "/river/b", "/river/lock"]),
        ("ns_prefix=river", vec!["/river/a", "/river/b", "/river/lock", "/river/upper/a_c"]),
        ("type=Gauge", vec!["/pond/a", "/river/a", "/river/b", "/river/upper/a_c"]),
        ("ns_prefix=river&visibility=private", vec!["/river/b"]),
        ("code=g&where=/metres>=2", vec!["/river/b", "/river/upper/a_c"]),
        ("where=/metres>=1.5&where=/metres<3", vec!["/river/a", "/river/upper/a_c"]),
        ("where=/tags=wet&type=Gauge&ns=river", vec!["/river/a", "/river/b"]),
        ("where=!/metres", vec!["/pond/a", "/river/lock"]),
        ("updated_until=2020-01-01T00:00:00Z", vec![]),
    ] {
        let conditions = conditions.replace('>', "%3E").replace('<', "%3C");
        assert_eq!(listed(cluster, &format!("/_/things?{conditions}")).await, expected, "{conditions}");
        let count = cluster.http().get(&format!("/_/things:count?{conditions}")).await.expect(200).json();
        assert_eq!(count, json!({"count": expected.len()}), "{conditions}");
    }
    assert_eq!(listed(cluster, "/river/?where=/metres=2.0").await, [""; 0]);
    assert_eq!(listed(cluster, "/river/upper/?where=/metres=2.0").await, ["/river/upper/a_c"]);
}

async fn lists_go_on_in_the_order_of_changes(cluster: &mut Cluster) {
    gauges(cluster).await;
    cluster.http().put("/river/a", &json!({"type": "Gauge"})).await.expect(200);
    let mut token = String::new();
    let mut urls = Vec::new();
    loop {
        let url = format!("/river/?order_by=updated_at%20desc&page_size=1&page_token={token}");
        let page = cluster.http().get(&url).await.expect(200).json();
        urls.extend(page["items"].as_array().unwrap().iter().map(|item| item["url"].as_str().unwrap().to_owned()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(urls, ["/river/a", "/river/lock", "/river/b"]);
    assert_eq!(listed(cluster, "/river/?order_by=updated_at").await, ["/river/b", "/river/lock", "/river/a"]);
}

async fn a_page_token_is_good_for_its_conditions_only(cluster: &mut Cluster) {
    gauges(cluster).await;
    let http = cluster.http();
    let page = http.get("/river/?page_size=1&type=Gauge").await.expect(200).json();
    let token = page["next_page_token"].as_str().unwrap();
    http.get(&format!("/river/?page_size=2&type=Gauge&page_token={token}")).await.expect(200);
    for other in [
        "/river/?type=Lock",
        "/river/?type=Gauge&where=/metres",
        "/_/things?ns_prefix=river&type=Gauge",
        "/pond/?type=Gauge",
    ] {
        let refused = http.get(&format!("{other}&page_token={token}")).await.expect(400).json();
        assert_eq!(refused["type"], "/_/reasons/PAGE_TOKEN_INVALID", "{other}: {refused}");
    }
}

async fn a_condition_that_is_none_is_refused_by_its_field(cluster: &mut Cluster) {
    for (url, field) in [
        ("/_/things?ns=river&ns_prefix=river", "ns_prefix"),
        ("/_/things?ns=River", "ns"),
        ("/_/things?ns_prefix=River", "ns_prefix"),
        ("/_/things?order_by=updated_at", "order_by"),
        ("/river/?order_by=type", "order_by"),
        ("/river/?visibility=secret", "visibility"),
        ("/river/?where=metres=1", "where"),
        ("/river/?updated_from=yesterday", "updated_from"),
        ("/_/things:count?page_size=1", "page_size"),
        ("/river/?at=2020-01-01T00:00:00Z&code=g", "code"),
    ] {
        let refused = cluster.http().get(url).await.expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{url}: {refused}");
    }
    let many = "where=/a&".repeat(17);
    let refused = cluster.http().get(&format!("/river/?{many}")).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "fields", "{refused}");
}

/// What the program prints.
fn annals(cluster: &Cluster, arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn the_program_lists_and_counts_by_conditions(cluster: &mut Cluster) {
    gauges(cluster).await;
    let counted = annals(cluster, &["count", "river/", "--type", "Gauge"]);
    assert_eq!(counted.trim(), "2");
    let counted = annals(cluster, &["count", "--under", "river/", "--where", "/metres>=2", "--json"]);
    assert_eq!(counted.trim(), r#"{"count":2}"#);
    let listed = annals(cluster, &["list", "--code", "g", "--visibility", "public", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let listed = annals(cluster, &["list", "river/", "--order-by", "updated_at desc", "--limit", "1"]);
    assert!(listed.contains("/river/lock"), "{listed}");
}
