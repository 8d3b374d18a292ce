//! What a search can be asked besides words: conditions on data, counts, pages, reasons, completions.

use harness::cluster::Cluster;
use serde_json::{Value, json};

use super::search::{found, names, put};

super::on_both_topologies! {
    a_field_of_data_is_a_condition_whatever_is_looked_for,
    things_are_counted_by_what_is_asked,
    pages_have_everything_once_while_others_write,
    a_hit_says_how_its_score_is_made,
    what_is_typed_is_completed,
    an_answer_is_never_older_than_a_write_that_it_waits_for,
}

/// Puts a thing with data and says its ULID.
async fn put_data(cluster: &Cluster, url: &str, content: &str, data: Value) -> String {
    let thing = json!({"type": "Note", "content": content, "data": data});
    let answer = cluster.http().put(url, &thing).await;
    assert!(answer.status < 300, "{}", answer.text());
    answer.header("annals-ulid").to_owned()
}

async fn a_field_of_data_is_a_condition_whatever_is_looked_for(cluster: &mut Cluster) {
    put_data(cluster, "/harbour/one", "crane", json!({"city": "Berlin", "built": 1924})).await;
    put_data(cluster, "/harbour/two", "crane", json!({"city": "Bonn", "built": 1950})).await;
    let ulid = put_data(cluster, "/harbour/three", "crane", json!({"at": {"pier": [1, 2]}})).await;
    for mode in ["lexical", "semantic", "hybrid"] {
        let found = async |conditions: &str| {
            let mut found = found(cluster, &format!("q=crane&mode={mode}&wait_for={ulid}{conditions}")).await;
            found.sort_unstable();
            found
        };
        assert_eq!(found("&where=/city=Berlin").await, ["one"], "{mode}");
        assert_eq!(found("&where=/built%3E=1924&where=/built%3C1951").await, ["one", "two"], "{mode}");
        assert_eq!(found("&where=/at/pier=2").await, ["three"], "{mode}");
        assert_eq!(found("&where=!/city").await, ["three"], "{mode}");
        assert_eq!(found("&where=/city=%221924%22").await, [""; 0], "{mode}");
    }
    let like = cluster.http().get("/harbour/one?view=similar&where=/built%3E=1930").await.expect(200).json();
    assert_eq!(names(&like), ["two"]);
    let ulid = put_data(cluster, "/harbour/one", "crane", json!({"city": "Bonn"})).await;
    assert_eq!(found(cluster, &format!("q=crane&wait_for={ulid}&mode=semantic&where=/city=Berlin")).await, [""; 0]);
}

async fn things_are_counted_by_what_is_asked(cluster: &mut Cluster) {
    put_data(cluster, "/harbour/one", "crane", json!({"city": "Berlin"})).await;
    put_data(cluster, "/harbour/two", "crane", json!({"city": "Berlin"})).await;
    let ulid = put_data(cluster, "/river/three", "crane", json!({"city": "Bonn", "none": null})).await;
    let url = format!("/_/search?q=crane&top_k=1&facet=ns,type,/city,/none&wait_for={ulid}");
    let answer = cluster.http().get(&url).await.expect(200).json();
    let facets = json!([
        {"name": "ns", "values": [{"value": "harbour", "count": 2}, {"value": "river", "count": 1}], "others": 0},
        {"name": "type", "values": [{"value": "Note", "count": 3}], "others": 0},
        {"name": "/city", "values": [{"value": "Berlin", "count": 2}, {"value": "Bonn", "count": 1}], "others": 0},
        {"name": "/none", "values": [{"value": null, "count": 1}], "others": 0},
    ]);
    assert_eq!(answer["facets"], facets);
    let shown = cluster.annals(&cluster.data_dir()).args(["search", "crane", "--facet", "/city"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.ends_with("/city\n       2  \"Berlin\"\n       1  \"Bonn\"\n"), "{shown}");
}

async fn pages_have_everything_once_while_others_write(cluster: &mut Cluster) {
    let mut newest = String::new();
    for number in 0..60 {
        newest = put(cluster, &format!("/harbour/{number}"), "Crane", &"a crane ".repeat(number % 7)).await;
    }
    for mode in ["lexical", "semantic", "hybrid"] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let url = format!("/_/search?q=crane&mode={mode}&top_k=7&wait_for={newest}&page_token={token}");
            let answer = cluster.http().get(&url).await.expect(200).json();
            seen.extend(names(&answer));
            token = answer["next_page_token"].as_str().expect("a token").to_owned();
            if token.is_empty() {
                break;
            }
            // What comes meanwhile changes every score, and what was found last is written anew.
            let last = seen.last().expect("a page has hits").clone();
            put(cluster, &format!("/harbour/{last}"), "Crane", "crane crane").await;
            newest = put(cluster, &format!("/other/{mode}{}", seen.len()), "Buoy", "no such thing").await;
        }
        let mut cranes: Vec<usize> = seen.iter().filter_map(|name| name.parse().ok()).collect();
        cranes.sort_unstable();
        assert_eq!(cranes, (0..60).collect::<Vec<_>>(), "{mode}");
    }
    let answer = cluster.http().get("/_/search?q=crane&top_k=7").await.expect(200).json();
    let token = answer["next_page_token"].as_str().expect("a token").to_owned();
    let other = cluster.http().get(&format!("/_/search?q=buoy&top_k=7&page_token={token}")).await.expect(400);
    assert!(other.text().contains("PAGE_TOKEN_INVALID"), "{}", other.text());
    // The ranking is gone, the token is good.
    cluster.kill_and_restart("search").await;
    let url = format!("/_/search?q=crane&top_k=7&wait_for={newest}&page_token={token}");
    let second = names(&cluster.http().get(&url).await.expect(200).json());
    assert!(second.len() == 7 && names(&answer).iter().all(|first| !second.contains(first)), "{second:?}");
}

async fn a_hit_says_how_its_score_is_made(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Old crane", "a crane").await;
    let ulid = put(cluster, "/harbour/two", "Crane", "").await;
    for mode in ["lexical", "semantic", "hybrid"] {
        let url = format!("/_/search?q=old+cranes&mode={mode}&explain=true&wait_for={ulid}");
        let answer = cluster.http().get(&url).await.expect(200).json();
        for hit in answer["items"].as_array().expect("items") {
            let (score, explanation) = (hit["score"].as_f64().unwrap(), &hit["explanation"]);
            let terms = explanation["terms"].as_array().unwrap();
            let words: f64 = terms.iter().map(|term| term["score"].as_f64().unwrap()).sum();
            let number = |name: &str| explanation[name].as_f64().unwrap_or_default();
            let told = match mode {
                "lexical" => words,
                "semantic" => number("cosine"),
                _ => {
                    let weight = number("lexical_weight");
                    weight * words / number("best_words") + (1.0 - weight) * number("cosine") / number("best_cosine")
                }
            };
            assert!((told - score).abs() < 2e-3, "{mode}: {told} {hit}");
        }
    }
    let shown = cluster.annals(&cluster.data_dir()).args(["search", "old", "crane", "--explain"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("old in title"), "{shown}");
}

async fn what_is_typed_is_completed(cluster: &mut Cluster) {
    put(cluster, "/harbour/one", "Lighthouse keeper", "").await;
    put(cluster, "/harbour/two", "Lightship", "a keeper").await;
    let ulid = put(cluster, "/river/three", "Lighter", "").await;
    let offered = async |query: &str| {
        let url = format!("/_/complete?q={query}&wait_for={ulid}");
        names(&cluster.http().get(&url).await.expect(200).json())
    };
    assert_eq!(offered("ligh").await.len(), 3);
    assert_eq!(offered("lights").await, ["two"]);
    assert_eq!(offered("keeper+light").await, ["one"]);
    assert_eq!(offered("ligh&ns=river").await, ["three"]);
    cluster.http().get("/_/complete?q=").await.expect(400);
    cluster.http().get("/_/complete?q=a&page_token=x").await.expect(400);
}

async fn an_answer_is_never_older_than_a_write_that_it_waits_for(cluster: &mut Cluster) {
    let count = async |ulid: &str| found(cluster, &format!("q=crane&top_k=100&wait_for={ulid}")).await.len();
    for number in 0..30 {
        let ulid = put(cluster, &format!("/harbour/{number}"), "Crane", "").await;
        assert_eq!((count(&ulid).await, count(&ulid).await), (number + 1, number + 1));
    }
    let ulid = cluster.http().delete("/harbour/7").await.expect(204).header("annals-ulid").to_owned();
    assert_eq!(count(&ulid).await, 29);
}
