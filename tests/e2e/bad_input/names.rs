//! Names: every rule of a namespace, an id, a variant and a URL.

use harness::cluster::Cluster;
use http::Method;
use proto::{
    common::v1::Style,
    things::v1::{
        BatchGetThingsRequest, GetThingRequest, ListThingsRequest, PutRelationshipRequest, RegisterNamespaceRequest,
        Relationship,
    },
};
use serde_json::json;

use super::{assert_nothing_stored, assert_problem, assert_refused, key, path, put, thing};

crate::on_both_topologies! {
    every_rule_of_a_name_is_told_over_grpc,
    every_rule_of_a_name_is_told_over_http,
    a_url_that_is_none_is_refused,
}

fn bad_namespaces() -> Vec<String> {
    let long = format!("{}/{}", "a".repeat(200), "b".repeat(55));
    let fixed = [
        "River",
        "ri ver",
        "r_",
        "/r",
        "r/",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/./b",
        "flüss",
        ".well-known",
        "favicon.ico",
        "robots.txt/a",
        "a\0b",
        "a#b",
    ];
    fixed.into_iter().map(str::to_owned).chain([long, "a".repeat(256)]).collect()
}

/// Ids that no style takes.
fn bad_ids() -> Vec<String> {
    let fixed = [
        "a\0b",
        "a\u{7}",
        "a\u{85}",
        "a\u{202e}b",
        "\u{2066}a",
        "\u{e000}",
        "\u{378}",
        "a\u{a0}b",
        "a\u{3000}",
        "a\u{2028}",
        "e\u{301}",
        "/a",
        "a#b",
        "#",
    ];
    fixed.into_iter().map(str::to_owned).chain(["a".repeat(2_049), "é".repeat(1_025)]).collect()
}

/// Ids that only a literal namespace takes.
const BAD_WIKI_IDS: [&str; 6] = [" a", "a ", "a  b", "_a", "a_", "a_ b"];

fn bad_variants() -> Vec<String> {
    let fixed = ["é", "a b", "a/b", "a_b", "a#b", "\0"];
    fixed.into_iter().map(str::to_owned).chain(["a".repeat(65)]).collect()
}

async fn every_rule_of_a_name_is_told_over_grpc(cluster: &mut Cluster) {
    let mut things = cluster.things().await;
    for ns in bad_namespaces() {
        assert_refused(things.put_thing(put(thing(key(&ns, "a", "")))).await, &["thing.key.ns"]);
        assert_refused(things.list_things(ListThingsRequest { ns: ns.clone(), ..Default::default() }).await, &["ns"]);
        let request = RegisterNamespaceRequest { ns: ns.clone(), style: Style::Wiki.into() };
        assert_refused(things.register_namespace(request).await, &["ns"]);
        let at_path = things.put_thing(put(thing(path(&format!("{ns}/a"))))).await;
        assert!(at_path.is_err(), "{ns}");
    }
    for id in bad_ids().iter().map(String::as_str).chain([""]) {
        assert_refused(things.put_thing(put(thing(key("river", id, "")))).await, &["thing.key.id"]);
        let request = GetThingRequest { key: Some(key("river", id, "")), ..Default::default() };
        assert_refused(things.get_thing(request).await, &["key.id"]);
    }
    for id in BAD_WIKI_IDS {
        assert_refused(things.put_thing(put(thing(key("river", id, "")))).await, &["thing.key.id"]);
    }
    for variant in bad_variants() {
        assert_refused(things.put_thing(put(thing(key("river", "a", &variant)))).await, &["thing.key.variant"]);
    }
    for (ns, id, field) in [("River", "a", "keys[1].ns"), ("river", "", "keys[1].id")] {
        let keys = vec![key("river", "a", ""), key(ns, id, "")];
        let request = BatchGetThingsRequest { keys, ..Default::default() };
        assert_refused(things.batch_get_things(request).await, &[field]);
    }
    let mut both = key("river", "a", "");
    both.path = "river/a".into();
    assert_refused(things.put_thing(put(thing(both))).await, &["thing.key.path"]);
    let end = || Some(key("river", "a", "es"));
    let relationship = Relationship {
        key: Some(key("river", "r", "")),
        r#type: "T".into(),
        from: end(),
        to: Some(key("river", "b", "")),
        ..Relationship::default()
    };
    let request = PutRelationshipRequest { relationship: Some(relationship), ..Default::default() };
    assert_refused(things.put_relationship(request).await, &["relationship.from.variant"]);
    assert_nothing_stored(cluster).await;
}

/// `text` as a URL may carry it, byte by byte.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'/' { "/".into() } else { format!("%{byte:02X}") }).collect()
}

async fn every_rule_of_a_name_is_told_over_http(cluster: &mut Cluster) {
    let http = cluster.http();
    let bad_ids = bad_ids();
    let wiki = BAD_WIKI_IDS.iter().map(|id| (*id).to_owned());
    // A slash in front of an id is an empty segment, and `#` begins a variant.
    let ids = bad_ids.iter().filter(|id| *id != "a#b").cloned().chain(wiki);
    let mut urls: Vec<_> = ids.map(|id| format!("/river/{}", percent(&id))).collect();
    urls.extend(
        bad_variants().iter().filter(|variant| *variant != "a/b").map(|text| format!("/river/a%23{}", percent(text))),
    );
    let whole = |ns: &&String| !ns.starts_with('/') && !ns.ends_with('/') && !ns.contains('#');
    // Of two segments the second could belong to the id.
    let single = |ns: &&String| whole(ns) && !(ns.contains('/') && ns.len() > 255);
    urls.extend(bad_namespaces().iter().filter(single).map(|ns| format!("/{}/a", percent(ns))));
    for url in urls {
        let answer = http.put(&url, &json!({"type": "T"})).await;
        assert_problem(&answer, 400, "FIELD_INVALID");
        assert_problem(&http.get(&url).await, 400, "FIELD_INVALID");
        assert_problem(&http.get(&format!("{url}?view=history")).await, 400, "FIELD_INVALID");
        assert_problem(&http.delete(&url).await, 400, "FIELD_INVALID");
    }
    for ns in bad_namespaces().iter().filter(whole) {
        let url = format!("/_/namespaces/{}", percent(ns));
        assert_problem(&http.put(&url, &json!({"style": "wiki"})).await, 400, "FIELD_INVALID");
    }
    let styled = http.put("/_/namespaces/river", &json!({"style": "plain"})).await;
    assert_problem(&styled, 400, "FIELD_INVALID");
    assert_nothing_stored(cluster).await;
}

async fn a_url_that_is_none_is_refused(cluster: &mut Cluster) {
    let http = cluster.http();
    for url in [
        "/river/%",
        "/river/%4",
        "/river/%zz",
        "/river/%FF",
        "/river/%C3%28",
        "/river/%ED%A0%80",
        "/river/.",
        "/river/..",
        "/river/%2e%2e",
        "/river/a//b",
        "/river/a%2F%2Fb",
        "/river/a%2F..%2Fb",
        "/river/a%23es?variant=fr",
        "/river/a?variant=ES!",
        "/river/a%23es%23fr",
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let json = [("content-type", "application/json")];
            let answer = http.call(method, url, &json, r#"{"type":"T"}"#).await;
            assert_problem(&answer, 400, "FIELD_INVALID");
        }
    }
    for (url, nearest) in [("/river/a?veiw=history", "view"), ("/river/?page_siz=3", "page_size")] {
        let answer = http.get(url).await;
        assert_problem(&answer, 400, "FIELD_UNKNOWN");
        assert!(answer.text().contains(nearest), "{}", answer.text());
    }
    assert_nothing_stored(cluster).await;
}
