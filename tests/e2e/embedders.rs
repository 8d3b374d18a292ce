//! Vectors by a model here, by an endpoint that comes and goes, and by clients.

use harness::{
    backends,
    cluster::{Cluster, Setup, Topology},
    embeddings::OfWords,
    http::Answer,
};
use http::Method;
use proto::{
    common::v1::Key,
    search::v1::{Mode, SearchRequest},
    things::v1::{PatchThingRequest, PutThingRequest, Thing},
};
use serde_json::{Value, json};
use serve::Refusal;

use super::search::{found, names, put};

const BOTH: [Topology; 2] = [Topology::AllInOne, Topology::Separate];

fn model() -> String {
    backends::model().to_str().expect("a path of text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_means_alike_is_found_by_a_model() {
    for topology in BOTH {
        let mut cluster = Setup::new(topology).search_setting("ANNALS_EMBEDDER", model()).start().await;
        put(&cluster, "/town/one", "Physician", "treats patients").await;
        put(&cluster, "/town/two", "Baker", "makes bread").await;
        let ulid = put(&cluster, "/town/three", "Programmer", "writes software").await;
        let query = format!("q=doctor&mode=semantic&top_k=1&wait_for={ulid}");
        assert_eq!(found(&cluster, &query).await, ["one"]);
        assert_eq!(found(&cluster, "q=doctor").await, [""; 0]);
        assert_eq!(found(&cluster, "q=coding+applications&mode=hybrid&top_k=1").await, ["three"]);
        cluster.kill_and_restart("search").await;
        assert_eq!(found(&cluster, &query).await, ["one"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_away_keeps_nothing_else_up() {
    for topology in BOTH {
        let endpoint = OfWords::start();
        let mut cluster = Setup::new(topology)
            .search_setting("ANNALS_EMBEDDER", endpoint.url())
            .search_setting("ANNALS_EMBEDDER_MODEL", "small")
            .search_setting("ANNALS_EMBEDDER_DIMENSION", OfWords::DIMENSION.to_string())
            .start()
            .await;
        put(&cluster, "/harbour/one", "Crane", "").await;
        let ulid = put(&cluster, "/harbour/two", "Buoy", "").await;
        let (near, other) = ("q=the+crane&mode=semantic&top_k=1", "q=that+crane&mode=semantic&top_k=1");
        assert_eq!(found(&cluster, &format!("{near}&wait_for={ulid}")).await, ["one"]);

        endpoint.answer_with(503);
        let ulid = put(&cluster, "/harbour/three", "Pilot", "").await;
        assert_eq!(found(&cluster, &format!("q=pilot&wait_for={ulid}")).await, ["three"]);
        let refused = cluster.http().get(&format!("/_/search?{other}")).await;
        assert_eq!(refused.status, 503);
        assert!(refused.text().contains("EMBEDDER_UNAVAILABLE"), "{}", refused.text());
        // What was asked before has its vector.
        assert_eq!(found(&cluster, near).await, ["one"]);

        // A vector of another model is none.
        endpoint.answer_of(OfWords::DIMENSION + 1);
        endpoint.answer_with(200);
        assert_eq!(cluster.http().get(&format!("/_/search?{other}")).await.status, 503);
        cluster.kill_and_restart("search").await;
        assert_eq!(found(&cluster, &format!("q=pilot&wait_for={ulid}")).await, ["three"]);
        cluster.http().get("/_/readyz").await.expect(200);

        endpoint.answer_of(OfWords::DIMENSION);
        let of_three = format!("q=a+pilot&mode=semantic&top_k=1&wait_for={ulid}");
        assert_eq!(found(&cluster, &of_three).await, ["three"]);
        let like = cluster.http().get("/harbour/one?view=similar&mode=semantic").await.expect(200).json();
        assert_eq!(names(&like).len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_of_another_embedder_answer_once_they_are_whole() {
    const THINGS: usize = 300;
    for topology in BOTH {
        let endpoint = OfWords::start();
        let mut cluster = Setup::new(topology)
            .search_setting("ANNALS_EMBEDDER_MODEL", "small")
            .search_setting("ANNALS_EMBEDDER_DIMENSION", OfWords::DIMENSION.to_string())
            .start()
            .await;
        let mut newest = String::new();
        for number in 0..THINGS {
            let words = ["Crane", "Buoy", "Pilot"][number % 3];
            newest = put(&cluster, &format!("/harbour/{number}"), words, "").await;
        }
        let near = "q=crane&mode=semantic&top_k=1000";
        assert_eq!(found(&cluster, &format!("{near}&wait_for={newest}")).await.len(), THINGS);

        endpoint.answer_with(503);
        cluster.set_search("ANNALS_EMBEDDER", endpoint.url());
        cluster.kill_and_restart("search").await;
        let by_new = json!({"vector": [1, 0, 0, 0]});
        let url = "/_/search?mode=semantic&top_k=1000";
        for _ in 0..2 {
            newest = put(&cluster, "/harbour/0", "Crane", &newest).await;
            assert_eq!(found(&cluster, &format!("{near}&wait_for={newest}")).await.len(), THINGS);
            post(&cluster, url, &by_new).await.expect(400);
            // Also when it has been started once more meanwhile.
            cluster.kill_and_restart("search").await;
        }

        endpoint.answer_with(200);
        let is_switched = async || post(&cluster, url, &by_new).await.status == 200;
        while !is_switched().await {
            assert_eq!(found(&cluster, &format!("{near}&wait_for={newest}")).await.len(), THINGS);
            newest = put(&cluster, "/harbour/1", "Buoy", &newest).await;
        }
        assert_eq!(names(&post(&cluster, url, &by_new).await.json()).len(), THINGS);
        assert_eq!(found(&cluster, &format!("{near}&wait_for={newest}")).await.len(), THINGS);
        cluster.kill_and_restart("search").await;
        post(&cluster, url, &by_new).await.expect(200);
        assert_eq!(found(&cluster, &format!("{near}&wait_for={newest}")).await.len(), THINGS);
        let vectors = std::fs::read_dir(cluster.data_dir().join("search/vectors")).unwrap();
        assert_eq!(vectors.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_that_clients_give_are_found() {
    for topology in BOTH {
        let mut cluster = Setup::new(topology)
            .search_setting("ANNALS_EMBEDDER", "given")
            .search_setting("ANNALS_EMBEDDER_DIMENSION", "3")
            .start()
            .await;
        put_with(&cluster, "one", &[1.0, 0.0, 0.0]).await;
        put_with(&cluster, "one", &[0.0, 5.0, 0.1]).await;
        put_with(&cluster, "two", &[1.0, 0.1, 0.0]).await;
        put_with(&cluster, "three", &[0.1, 0.0, 1.0]).await;
        put_with(&cluster, "other", &[1.0, 0.0]).await;
        let newest = put_with(&cluster, "none", &[]).await;
        let all = ["two", "three", "one"];
        assert_eq!(near(&cluster, &[1.0, 0.0, 0.0], &newest).await, all);
        cluster.kill_and_restart("search").await;
        assert_eq!(near(&cluster, &[1.0, 0.0, 0.0], &newest).await, all);

        let patch = PatchThingRequest {
            key: Some(key("two")),
            clear: vec!["embedding".into()],
            ..PatchThingRequest::default()
        };
        let newest = cluster.things().await.patch_thing(patch).await.unwrap().into_inner().etag;
        assert_eq!(near(&cluster, &[1.0, 0.0, 0.0], &newest).await, ["three", "one"]);
        let like = cluster.http().get("/given/one?view=similar&mode=semantic").await.expect(200).json();
        assert_eq!(names(&like), ["three"]);

        let url = "/_/search?mode=semantic&top_k=1";
        let answer = post(&cluster, url, &json!({"vector": [0, 0, 2]})).await.expect(200).json();
        assert_eq!(names(&answer), ["three"]);
        let file = cluster.data_dir().join("vector.json");
        std::fs::write(&file, "[0, 2, 0.0]").unwrap();
        let mut shown = cluster.annals(&cluster.data_dir());
        shown.args(["search", "--mode", "semantic", "--top-k", "1", "--vector"]).arg(&file);
        assert!(String::from_utf8(shown.output().unwrap().stdout).unwrap().contains("given/one"));
        post(&cluster, url, &json!({"vector": []})).await.expect(400);
        post(&cluster, url, &json!({})).await.expect(400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vector_that_cannot_be_compared_is_refused_with_its_rule() {
    let cluster = Setup::new(Topology::AllInOne)
        .search_setting("ANNALS_EMBEDDER", "given")
        .search_setting("ANNALS_EMBEDDER_DIMENSION", "3")
        .start()
        .await;
    let mut search = cluster.search().await;
    for (mode, query, vector, field) in [
        (Mode::Semantic, "crane", vec![], "vector"),
        (Mode::Hybrid, "crane", vec![], "vector"),
        (Mode::Semantic, "", vec![1.0; 4], "vector"),
        (Mode::Semantic, "", vec![0.0; 3], "vector"),
        (Mode::Semantic, "", vec![1.0, f32::NAN, 1.0], "vector"),
        (Mode::Semantic, "", vec![1.0, f32::INFINITY, 1.0], "vector"),
        (Mode::Lexical, "crane", vec![1.0; 3], "vector"),
        (Mode::Hybrid, "", vec![1.0; 3], "query"),
    ] {
        let request = SearchRequest { query: query.into(), mode: mode.into(), vector, ..SearchRequest::default() };
        let refusal = Refusal::from_status(&search.search(request).await.expect_err(field));
        assert_eq!(refusal.violations[0].field, field, "{refusal:?}");
    }
}

async fn post(cluster: &Cluster, url: &str, body: &Value) -> Answer {
    cluster.http().call(Method::POST, url, &[("content-type", "application/json")], &body.to_string()).await
}

fn key(id: &str) -> Key {
    Key { ns: "given".into(), id: id.into(), ..Key::default() }
}

/// Puts a thing with a vector and says its ULID.
async fn put_with(cluster: &Cluster, id: &str, vector: &[f32]) -> String {
    let thing = Thing { key: Some(key(id)), r#type: "Note".into(), embedding: vector.to_vec(), ..Thing::default() };
    let request = PutThingRequest { thing: Some(thing), ..PutThingRequest::default() };
    cluster.things().await.put_thing(request).await.expect("it can be put").into_inner().etag
}

/// The things near a vector, the nearest first.
async fn near(cluster: &Cluster, vector: &[f32], wait_for: &str) -> Vec<String> {
    let (vector, wait_for) = (vector.to_vec(), wait_for.to_owned());
    let request = SearchRequest { vector, wait_for, mode: Mode::Semantic.into(), ..SearchRequest::default() };
    let hits = cluster.search().await.search(request).await.expect("it is answered").into_inner().hits;
    hits.into_iter().map(|hit| hit.key.expect("a name").id).collect()
}
