//! Things found by their words and vectors: at once after a write, as they are now, across kills.

use harness::cluster::Cluster;
use proto::{common::v1::FieldFilter, search::v1::SearchRequest};
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

super::on_both_topologies! {
    a_write_is_found_by_the_next_search_that_waits_for_it,
    a_thing_is_found_by_what_it_says_now,
    a_thing_is_one_hit_however_many_of_its_variants_match,
    a_namespace_is_searched_at_its_url,
    what_is_found_is_found_after_a_kill,
    a_hit_says_where_the_words_are,
    what_is_spelled_alike_is_found_by_its_vector,
    things_like_one_are_found_at_its_url,
    a_request_that_cannot_be_answered_is_refused_with_field_and_rule,
}

/// What a search finds, by name, best first.
pub(crate) async fn found(cluster: &Cluster, query: &str) -> Vec<String> {
    let answer = cluster.http().get(&format!("/_/search?{query}")).await.expect(200).json();
    names(&answer)
}

pub(crate) fn names(answer: &Value) -> Vec<String> {
    let name = |item: &Value| {
        let variant = item["variant"].as_str().map_or(String::new(), |variant| format!("#{variant}"));
        format!("{}{variant}", item["id"].as_str().expect("an id"))
    };
    answer["items"].as_array().expect("items").iter().map(name).collect()
}

/// Puts a thing and says its ULID.
pub(crate) async fn put(cluster: &Cluster, url: &str, title: &str, content: &str) -> String {
    let thing = json!({"type": "Note", "content": content, "data": {"title": title}});
    let answer = cluster.http().put(url, &thing).await;
    assert!(answer.status < 300, "{}", answer.text());
    answer.header("annals-ulid").to_owned()
}

async fn a_write_is_found_by_the_next_search_that_waits_for_it(cluster: &mut Cluster) {
    for number in 0..100 {
        let word = format!("word{number}");
        let ulid = put(cluster, &format!("/harbour/{number}"), &word, "").await;
        assert_eq!(found(cluster, &format!("q={word}&wait_for={ulid}")).await, [number.to_string()]);
    }
    let ulid = cluster.http().delete("/harbour/7").await.expect(204).header("annals-ulid").to_owned();
    assert_eq!(found(cluster, &format!("q=%22word7%22&wait_for={ulid}")).await, [""; 0]);
}

async fn a_thing_is_found_by_what_it_says_now(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Crane", "lifts containers").await;
    let ulid = put(cluster, "/harbour/one", "Buoy", "floats").await;
    assert_eq!(found(cluster, &format!("q=floating&wait_for={ulid}")).await, ["one"]);
    assert_eq!(found(cluster, "q=%22containers%22").await, [""; 0]);
    let ulid = put(cluster, "/harbour/two", "A buoy", "").await;
    assert_eq!(found(cluster, &format!("q=buoys&wait_for={ulid}&top_k=1")).await, ["one"]);
}

async fn a_thing_is_one_hit_however_many_of_its_variants_match(cluster: &mut Cluster) {
    put(cluster, "/harbour/Crane", "Crane", "a crane").await;
    let ulid = put(cluster, "/harbour/Crane%23es", "Grúa", "a crane, una grua, a crane").await;
    assert_eq!(found(cluster, &format!("q=grua&wait_for={ulid}")).await, ["Crane#es"]);
    assert_eq!(found(cluster, "q=crane").await, ["Crane"]);
    let ulid = cluster.http().delete("/harbour/Crane").await.expect(204).header("annals-ulid").to_owned();
    assert_eq!(found(cluster, &format!("q=grua&wait_for={ulid}")).await, [""; 0]);
}

async fn a_namespace_is_searched_at_its_url(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Crane", "").await;
    let ulid = put(cluster, "/river/two", "Crane", "").await;
    let answer = cluster.http().get(&format!("/river/?q=crane&wait_for={ulid}")).await.expect(200).json();
    assert_eq!(names(&answer), ["two"]);
    assert_eq!(found(cluster, "q=crane&ns=harbour").await, ["one"]);
    assert_eq!(found(cluster, "q=crane&type=Note,Other").await.len(), 2);
    assert_eq!(found(cluster, "q=crane&type=Other").await, [""; 0]);
    assert_eq!(found(cluster, "q=crane&updated_from=2100-01-01T00:00:00Z").await, [""; 0]);
}

async fn what_is_found_is_found_after_a_kill(cluster: &mut Cluster) {
    let mut newest = String::new();
    for number in 0..30 {
        newest = put(cluster, &format!("/harbour/{number}"), "Crane", "").await;
    }
    for _ in 0..3 {
        cluster.kill_and_restart("search").await;
        assert_eq!(found(cluster, &format!("q=crane&top_k=100&wait_for={newest}")).await.len(), 30);
        newest = put(cluster, "/harbour/0", "Crane", &newest).await;
    }
}

async fn what_is_spelled_alike_is_found_by_its_vector(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Lighthouse keeper", "tends the light").await;
    put(cluster, "/harbour/two", "Crane operator", "lifts containers").await;
    let ulid = put(cluster, "/harbour/three", "Pilot", "guides ships").await;
    for mode in ["semantic", "hybrid"] {
        let query = format!("q=lighthouses+keeping&mode={mode}&top_k=1&wait_for={ulid}");
        assert_eq!(found(cluster, &query).await, ["one"], "{mode}");
    }
    assert_eq!(found(cluster, "q=container+cranage&mode=semantic&top_k=1").await, ["two"]);
    assert_eq!(found(cluster, "q=container&mode=semantic&ns=river").await, [""; 0]);
    cluster.kill_and_restart("search").await;
    assert_eq!(found(cluster, &format!("q=piloting&mode=semantic&top_k=1&wait_for={ulid}")).await, ["three"]);
}

async fn things_like_one_are_found_at_its_url(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Crane operator", "operates a crane").await;
    put(cluster, "/harbour/two", "Crane mechanic", "mends a crane").await;
    put(cluster, "/harbour/two%23es", "Mecánico de grúa", "a crane").await;
    put(cluster, "/river/three", "Crane inspector", "inspects a crane").await;
    let ulid = put(cluster, "/harbour/four", "Baker", "bakes bread").await;
    for mode in ["lexical", "semantic", "hybrid"] {
        let like = async |url: &str| {
            let url = format!("{url}?view=similar&mode={mode}&wait_for={ulid}&top_k=2");
            names(&cluster.http().get(&url).await.expect(200).json())
        };
        let mut like_one = like("/harbour/one").await;
        like_one.sort_unstable();
        assert_eq!(like_one, ["three", "two"], "{mode}");
        let url = format!("/harbour/one?view=similar&mode={mode}&ns=river");
        assert_eq!(names(&cluster.http().get(&url).await.expect(200).json()), ["three"], "{mode}");
    }
    let absent = cluster.http().get("/harbour/five?view=similar").await;
    assert_eq!(absent.status, 404);
}

async fn a_hit_says_where_the_words_are(cluster: &mut Cluster) {
    let ulid = put(cluster, "/harbour/Old_crane", "The old crane", "# Crane\n\nIt lifts: 3 t.").await;
    let request = SearchRequest { query: "lifting cranes".into(), wait_for: ulid.clone(), ..Default::default() };
    let hits = cluster.search().await.search(request).await.unwrap().into_inner().hits;
    let hit = &hits[0];
    assert_eq!(
        (hit.url.as_str(), hit.title.as_str(), hit.etag.as_str()),
        ("/harbour/Old_crane", "The old crane", &*ulid)
    );
    let words: Vec<_> =
        hit.highlights.iter().map(|span| &hit.snippet[span.start as usize..span.end as usize]).collect();
    assert_eq!(words, ["Crane", "lifts"]);
    let shown = cluster.annals(&cluster.data_dir()).args(["search", "lifting", "cranes"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("harbour/Old crane  The old crane  (Note)\n        # Crane  It lifts: 3 t."), "{shown}");
}

async fn a_request_that_cannot_be_answered_is_refused_with_field_and_rule(cluster: &mut Cluster) {
    let mut search = cluster.search().await;
    let good = || SearchRequest { query: "crane".into(), ..Default::default() };
    let filter = |path: &str, any_of: &[&str]| FieldFilter {
        path: path.into(),
        any_of: any_of.iter().map(|value| (*value).to_owned()).collect(),
        ..Default::default()
    };
    for (request, field) in [
        (SearchRequest { query: String::new(), ..good() }, "query"),
        (SearchRequest { query: " -- ".into(), ..good() }, "query"),
        (SearchRequest { query: "x".repeat(1_025), ..good() }, "query"),
        (SearchRequest { query: "\0".into(), ..good() }, "query"),
        (SearchRequest { mode: 9, ..good() }, "mode"),
        (SearchRequest { top_k: 1_001, ..good() }, "top_k"),
        (SearchRequest { top_k: -1, ..good() }, "top_k"),
        (SearchRequest { ns: "A".into(), ..good() }, "ns"),
        (SearchRequest { ns_prefix: "a//b".into(), ..good() }, "ns_prefix"),
        (SearchRequest { types: vec![String::new()], ..good() }, "types[0]"),
        (SearchRequest { types: vec!["T".into(); 17], ..good() }, "types"),
        (SearchRequest { wait_for: "yesterday".into(), ..good() }, "wait_for"),
        (SearchRequest { fields: vec![filter("city", &[])], ..good() }, "fields[0].path"),
        (SearchRequest { fields: vec![filter("/city", &["Berlin"])], ..good() }, "fields[0].any_of[0]"),
        (SearchRequest { fields: vec![filter("/city", &[]); 17], ..good() }, "fields"),
        (SearchRequest { facets: vec!["types".into()], ..good() }, "facets[0]"),
        (SearchRequest { facets: vec!["ns".into(); 9], ..good() }, "facets"),
    ] {
        let status = search.search(request).await.expect_err(field);
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        let details = status.get_error_details();
        let violations = details.bad_request().expect("a field and a rule").field_violations.clone();
        assert_eq!(violations[0].field, field, "{violations:?}");
    }
    for query in
        ["", "q=", "q=crane&top_k=0", "q=crane&mode=psychic", "q=crane&updated_from=soon", "q=crane&where=city"]
    {
        cluster.http().get(&format!("/_/search?{query}")).await.expect(400);
    }
    let problem = cluster.http().get("/_/search?q=crane&topk=3").await.expect(400).json();
    assert!(problem.to_string().contains("top_k"), "{problem}");
    let body = SearchRequest { query: "x".repeat(1 << 20), ..good() };
    assert_ne!(search.search(body).await.expect_err("too large").code(), tonic::Code::Internal);
}
