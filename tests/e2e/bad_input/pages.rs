//! Pages: their sizes, and tokens that were not given out for what is asked.

use harness::cluster::Cluster;
use proto::{
    events::v1::{HistoryRequest, QueryRequest},
    things::v1::{ListRelationshipsRequest, ListThingsRequest},
};
use serde_json::json;

use super::{assert_problem, assert_refused, key, reason};

crate::on_both_topologies! {
    a_page_has_1_to_1000_items,
    a_token_is_good_only_for_what_it_was_given_for,
}

async fn a_page_has_1_to_1000_items(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/sea/a", &json!({"type": "T"})).await.expect(201);
    for page_size in ["0", "1001", "-1", "x", "1.5", "99999999999999999999"] {
        for url in [
            "/sea/?",
            "/sea/?at=2020-01-01T00:00:00Z&",
            "/sea/a?view=history&",
            "/sea/a?view=relationships&",
            "/_/events?",
        ] {
            let answer = http.get(&format!("{url}page_size={page_size}")).await;
            assert_problem(&answer, 400, "FIELD_INVALID");
            assert_eq!(answer.json()["errors"][0]["field"], "page_size");
        }
    }
    let (mut things, mut events) = (cluster.things().await, cluster.events().await);
    for page_size in [1_001, -1, i32::MAX, i32::MIN] {
        let request = ListThingsRequest { ns: "sea".into(), page_size, ..Default::default() };
        assert_refused(things.list_things(request).await, &["page_size"]);
        let request = ListRelationshipsRequest { thing: Some(key("sea", "a", "")), page_size, ..Default::default() };
        assert_refused(things.list_relationships(request).await, &["page_size"]);
        let request = HistoryRequest { key: Some(key("sea", "a", "")), page_size, ..Default::default() };
        assert_refused(events.history(request).await, &["page_size"]);
        assert_refused(events.query(QueryRequest { page_size, ..Default::default() }).await, &["page_size"]);
    }
    let request = ListThingsRequest { ns: "sea".into(), page_size: 0, ..Default::default() };
    assert_eq!(things.list_things(request).await.unwrap().into_inner().things.len(), 1);
}

async fn a_token_is_good_only_for_what_it_was_given_for(cluster: &mut Cluster) {
    let http = cluster.http();
    let mut bay = String::new();
    for (ns, id) in [("sea", "a"), ("sea", "b"), ("bay", "a"), ("bay", "b")] {
        let put = http.put(&format!("/{ns}/{id}"), &json!({"type": "T"})).await.expect(201);
        put.header("annals-ulid").clone_into(&mut bay);
    }
    let last = http.put("/sea/a", &json!({"type": "U"})).await.expect(200).header("annals-ulid").to_owned();
    let urls = [
        "/sea/?page_size=1".to_owned(),
        "/bay/?page_size=1".to_owned(),
        "/sea/?page_size=1&type=T".to_owned(),
        format!("/sea/?page_size=1&at={last}"),
        format!("/bay/?page_size=1&at={last}"),
        format!("/sea/?page_size=1&type=T&at={bay}"),
        format!("/sea/?page_size=1&at={bay}"),
        "/sea/a?view=history&page_size=1".to_owned(),
        format!("/_/events?page_size=1&wait_for={last}"),
        "/_/events?page_size=1&ns=sea".to_owned(),
    ];
    let mut tokens = vec![String::from("x"), "AAAA".into(), "%00".into(), "0".repeat(10_000)];
    let mut own = Vec::new();
    for url in &urls {
        let page = http.get(url).await.expect(200).json();
        own.push(page["next_page_token"].as_str().unwrap().to_owned());
    }
    tokens.extend(own.clone());
    for (url, own) in urls.iter().zip(&own) {
        for token in &tokens {
            let answer = http.get(&format!("{url}&page_token={token}")).await;
            if token == own || token.is_empty() {
                assert_eq!(answer.status, 200, "{url}: {}", answer.text());
            } else {
                assert_problem(&answer, 400, "PAGE_TOKEN_INVALID");
            }
        }
    }
    let request = ListThingsRequest { ns: "sea".into(), page_token: own[1].clone(), ..Default::default() };
    let refused = cluster.things().await.list_things(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
}
