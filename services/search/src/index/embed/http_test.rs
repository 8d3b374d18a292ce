//! An endpoint that answers, and one that does what endpoints do.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::*;

/// An endpoint: answers the n-th question, of these texts, with a status and a body.
struct Endpoint {
    http: Http,
    asked: Arc<AtomicUsize>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    fn new(answer: impl Fn(usize, &[String]) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/embeddings", listener.local_addr().unwrap());
        let (asked, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, seen) = (Arc::clone(&asked), Arc::clone(&keys));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut length, mut line) = (0, String::new());
                while stream.read_line(&mut line).unwrap() > 2 {
                    let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap(),
                        "authorization" => seen.lock().unwrap().push(value.trim().to_owned()),
                        _ => {}
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let question: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(question["model"], "small");
                let texts: Vec<String> = serde_json::from_value(question["input"].clone()).unwrap();
                let (status, answer) = answer(counted.fetch_add(1, Ordering::Relaxed), &texts);
                let body = answer.to_string();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        let key = Some("t0ken".parse().unwrap());
        let http = Http::new(url.parse().unwrap(), "small".into(), key, 2).unwrap();
        Self { http, asked, keys }
    }
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
    let Endpoint { http, asked, keys } = Endpoint::new(|_, texts| (200, lengths(texts)));
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
    assert_eq!((asked.load(Ordering::Relaxed), keys.lock().unwrap()[0].as_str()), (3, "Bearer t0ken"));
}

#[tokio::test]
async fn what_passes_is_tried_again_for_things_and_told_at_once_for_queries() {
    let Endpoint { http, asked, .. } =
        Endpoint::new(|time, texts| if time % 3 < 2 { (503, json!({})) } else { (200, lengths(texts)) });
    blocking(move || {
        assert_eq!(http.embed(&["ab".into()]).unwrap(), [[2.0, 1.0]]);
        let error = http.embed_query("ab").unwrap_err().to_string();
        assert!(error.contains("503"), "{error}");
    })
    .await;
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_text_that_is_refused_has_no_vector_and_the_others_have() {
    let Endpoint { http, .. } = Endpoint::new(|_, texts| {
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
        let Endpoint { http, .. } = Endpoint::new(move |_, _| (200, answer.clone()));
        let asked = async move { http.ask(&["a", "b"], PATIENCE).await };
        let Err(Failure::Passing(told, None)) = asked.await else { panic!("{why}") };
        assert!(told.contains(why), "{told}");
    }
}
