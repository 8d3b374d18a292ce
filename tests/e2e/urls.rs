//! Names and URLs: every row of the design's table over HTTP and gRPC, redirects, namespaces and shadows.

use harness::cluster::Cluster;
use proto::{
    common::v1::{Key, Style},
    things::v1::{GetThingRequest, PutThingRequest, RegisterNamespaceRequest, Thing},
};
use serde_json::json;

super::on_both_topologies! {
    every_name_of_the_table_round_trips_over_http_and_grpc,
    a_path_finds_its_thing_without_knowing_the_split,
    another_spelling_is_redirected_to_the_canonical_one,
    an_unregistered_namespace_says_how_to_register,
    what_shadows_or_would_be_shadowed_is_refused,
    racing_writers_never_shadow_each_other,
    awkward_ids_survive_the_url,
}

const TABLE: [(&str, Style, &str, &str); 5] = [
    ("onet", Style::Wiki, "15-1252.00", "/onet/15-1252.00"),
    ("onet", Style::Wiki, "Software developer", "/onet/Software_developer"),
    ("en.wikipedia.org", Style::Wiki, "Software developer", "/en.wikipedia.org/Software_developer"),
    ("github.com/repos", Style::Literal, "dot-do/workers", "/github.com/repos/dot-do/workers"),
    ("stripe.com/api", Style::Literal, "customers/cus_123", "/stripe.com/api/customers/cus_123"),
];

fn key(ns: &str, id: &str) -> Key {
    Key { ns: ns.into(), id: id.into(), ..Default::default() }
}

async fn register(cluster: &Cluster, ns: &str, style: Style) {
    let request = RegisterNamespaceRequest { ns: ns.into(), style: style.into() };
    cluster.things().await.register_namespace(request).await.unwrap();
}

async fn put(cluster: &Cluster, key: Key) -> Result<Thing, tonic::Status> {
    let thing = Thing { key: Some(key), r#type: "T".into(), ..Default::default() };
    let request = PutThingRequest { thing: Some(thing), ..Default::default() };
    cluster.things().await.put_thing(request).await.map(tonic::Response::into_inner)
}

async fn every_name_of_the_table_round_trips_over_http_and_grpc(cluster: &mut Cluster) {
    for (ns, style, id, url) in TABLE {
        register(cluster, ns, style).await;
        assert_eq!(put(cluster, key(ns, id)).await.unwrap().url, url);
        let seen = cluster.http().get(url).await.expect(200).json();
        assert_eq!((&seen["ns"], &seen["id"], &seen["url"]), (&json!(ns), &json!(id), &json!(url)));
        cluster.http().delete(url).await.expect(204);
        cluster.http().put(url, &json!({"type": "T"})).await.expect(201);
        let request = GetThingRequest { key: Some(key(ns, id)), ..Default::default() };
        assert_eq!(cluster.things().await.get_thing(request).await.unwrap().into_inner().url, url);
    }
}

async fn a_path_finds_its_thing_without_knowing_the_split(cluster: &mut Cluster) {
    register(cluster, "github.com/repos", Style::Literal).await;
    put(cluster, key("github.com/repos", "dot-do/workers")).await.unwrap();
    let path = Key { path: "github.com/repos/dot-do/workers".into(), ..Default::default() };
    let request = GetThingRequest { key: Some(path), ..Default::default() };
    let found = cluster.things().await.get_thing(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!((found.ns.as_str(), found.id.as_str()), ("github.com/repos", "dot-do/workers"));
    cluster.http().get("/github.com/repos/dot-do/workers").await.expect(200);
}

async fn another_spelling_is_redirected_to_the_canonical_one(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/onet/Software_developer", &json!({"type": "T"})).await.expect(201);
    for other in ["/onet/Software%20developer", "/onet/Software%5Fdeveloper", "/onet/%53oftware_developer"] {
        let redirect = http.get(&format!("{other}?embedding=true")).await.expect(308);
        assert_eq!(redirect.header("location"), "/onet/Software_developer?embedding=true", "{other}");
    }
    let written = http.put("/onet/Software%20developer", &json!({"type": "U"})).await.expect(200);
    assert_eq!(written.header("content-location"), "/onet/Software_developer");
}

async fn an_unregistered_namespace_says_how_to_register(cluster: &mut Cluster) {
    let http = cluster.http();
    let refused = http.put("/github.com/repos/dot-do/workers", &json!({"type": "T"})).await.expect(400);
    assert_eq!(refused.json()["type"], "/_/reasons/NAMESPACE_UNREGISTERED");
    assert!(refused.text().contains("/_/namespaces/"), "{}", refused.text());
    http.put("/_/namespaces/github.com/repos", &json!({"style": "literal"})).await;
    http.put("/github.com/repos/dot-do/workers", &json!({"type": "T"})).await.expect(201);
    let other_style = http.put("/_/namespaces/github.com/repos", &json!({"style": "wiki"})).await;
    assert_eq!(other_style.json()["type"], "/_/reasons/NAMESPACE_STYLE_FIXED");
}

async fn what_shadows_or_would_be_shadowed_is_refused(cluster: &mut Cluster) {
    register(cluster, "a", Style::Wiki).await;
    put(cluster, key("a", "b/c")).await.unwrap();
    let request = RegisterNamespaceRequest { ns: "a/b".into(), style: Style::Literal.into() };
    let refused = cluster.things().await.register_namespace(request).await.unwrap_err();
    assert!(refused.code() == tonic::Code::FailedPrecondition, "{refused}");
    register(cluster, "a/d", Style::Literal).await;
    let refused = put(cluster, key("a", "d/e")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    put(cluster, key("a/d", "e")).await.unwrap();
}

async fn racing_writers_never_shadow_each_other(cluster: &mut Cluster) {
    let shared = &*cluster;
    for round in 0..20 {
        let (outer, inner) = (format!("r{round}"), format!("r{round}/x"));
        register(shared, &outer, Style::Wiki).await;
        let register = async {
            let request = RegisterNamespaceRequest { ns: inner, style: Style::Wiki.into() };
            shared.things().await.register_namespace(request).await.is_ok()
        };
        let create = async { put(shared, key(&outer, "x/y")).await.is_ok() };
        let (registered, created) = tokio::join!(register, create);
        assert!(registered != created, "round {round}: registered {registered}, created {created}");
    }
}

async fn awkward_ids_survive_the_url(cluster: &mut Cluster) {
    register(cluster, "odd", Style::Literal).await;
    for id in [
        "a b",
        "a_b",
        ".",
        "..",
        "a/./b",
        "a//b",
        "a/",
        "~",
        "~a",
        "50%",
        "a?b",
        "a&b=c",
        "ü/é",
        "日本語",
        "a+b",
        "\"q\"",
        "a\\b",
    ] {
        let url = put(cluster, key("odd", id)).await.unwrap_or_else(|status| panic!("{id}: {status}")).url;
        assert_eq!(cluster.http().get(&url).await.expect(200).json()["id"], id, "{url}");
    }
}
