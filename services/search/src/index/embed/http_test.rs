//! An endpoint that answers, and one that does what endpoints do.

use serde_json::{Value, json};

use self::embeddings::Embeddings;
use super::*;

#[expect(unreachable_pub, dead_code, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/embeddings.rs"]
mod embeddings;

/// A model of two numbers behind an endpoint that answers so.
fn answering(answer: impl Fn(usize, &[String]) -> (u16, Value) + Send + 'static) -> (Embeddings, Http) {
    let endpoint = Embeddings::answering(answer);
    let (url, key) = (endpoint.url().parse().unwrap(), Some("t0ken".parse().unwrap()));
    let http = Http::new(url, "small".into(), key, 2).unwrap();
    (endpoint, http)
}

/// Vectors of the lengths of texts, the last first.
fn lengths(texts: &[String]) -> Value {
    let of = |(index, text): (usize, &String)| json!({"index": index, "embedding": [text.len(), 1]});
    json!({"object": "list", "data": texts.iter().enumerate().rev().map(of).collect::<Vec<_>>()})
}

/// Runs what blocks as a follower does.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn each_text_has_its_vector_and_an_empty_one_none() {
    let (endpoint, http) = answering(|_, texts| (200, lengths(texts)));
    let mut texts: Vec<String> = (1..=100).map(|length| "x".repeat(length)).collect();
    texts[41].clear();
    blocking(move || {
        let vectors = http.embed(&texts).unwrap();
        for (text, vector) in texts.iter().zip(vectors) {
            assert_eq!(vector, if text.is_empty() { [0.0, 0.0] } else { [text.len() as f32, 1.0] });
        }
        assert_eq!(http.embed_query("four").unwrap(), [4.0, 1.0]);
    })
    .await;
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.authorization == "Bearer t0ken" && asked.model == "small"), "{asked:?}");
}

#[tokio::test]
async fn what_passes_is_tried_again_for_things_and_told_at_once_for_queries() {
    let (endpoint, http) = answering(|time, texts| if time % 3 < 2 { (503, json!({})) } else { (200, lengths(texts)) });
    blocking(move || {
        assert_eq!(http.embed(&["ab".into()]).unwrap(), [[2.0, 1.0]]);
        let error = http.embed_query("ab").unwrap_err().to_string();
        assert!(error.contains("503"), "{error}");
    })
    .await;
    assert_eq!(endpoint.asked().len(), 4);
}

#[tokio::test]
async fn a_text_that_is_refused_has_no_vector_and_the_others_have() {
    let (_endpoint, http) = answering(|_, texts| {
        if texts.iter().any(|text| text == "bad") { (400, json!({"error": "no"})) } else { (200, lengths(texts)) }
    });
    let texts = ["a", "bb", "bad", "dddd", "eeeee"].map(String::from);
    let vectors = blocking(move || http.embed(&texts).unwrap()).await;
    assert_eq!(vectors, [[1.0, 1.0], [2.0, 1.0], [0.0, 0.0], [4.0, 1.0], [5.0, 1.0]]);
}

#[tokio::test]
async fn an_answer_that_is_not_a_vector_for_each_text_is_no_answer() {
    let good = |index: usize| json!({"index": index, "embedding": [1, 2]});
    for (answer, why) in [
        (json!({"data": [good(0), {"index": 1, "embedding": [1, 2, 3]}]}), "not the 2 of --embedder-dimension"),
        (json!({"data": [good(0)]}), "left out a text"),
        (json!({"data": [good(0), good(0)]}), "not asked about"),
        (json!({"data": [good(0), good(2)]}), "not asked about"),
        (json!({"data": [good(0), {"index": 1, "embedding": [1, 1e300]}]}), "not finite"),
        (json!({"data": "x".repeat(1 << 20)}), "more than"),
        (json!([]), "cannot be read"),
    ] {
        let (_endpoint, http) = answering(move |_, _| (200, answer.clone()));
        let asked = async move { http.ask(&["a", "b"], PATIENCE).await };
        let Err(Failure::Passing(told, None)) = asked.await else { panic!("{why}") };
        assert!(told.contains(why), "{told}");
    }
}
