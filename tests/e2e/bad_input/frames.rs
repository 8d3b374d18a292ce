//! What is no request at all: too large, garbage, unknown methods, headers without end.

use bytes::{BufMut as _, Bytes};
use harness::cluster::Cluster;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use proto::{events::v1::AppendRequest, things::v1::Thing};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{assert_nothing_stored, assert_problem, assert_refused, key, put, reason, thing};

crate::on_both_topologies! {
    what_is_too_large_is_refused_as_such,
    a_small_request_never_takes_much_memory,
    garbage_is_refused_with_a_reason,
    an_unknown_method_is_refused_with_a_reason,
    headers_have_a_limit,
}

async fn what_is_too_large_is_refused_as_such(cluster: &mut Cluster) {
    let http = cluster.http();
    let huge = json!({"type": "T", "content": "x".repeat(4 << 20)});
    for path in ["/river/a", "/_/relationships/river/a", "/_/namespaces/river"] {
        assert_problem(&http.put(path, &huge).await, 413, "MESSAGE_TOO_LARGE");
    }
    let json_type = [("content-type", "application/json")];
    let lines = format!("[{{\"event_type\":\"log\",\"data\":\"{}\"}}]", "x".repeat(4 << 20));
    assert_problem(&http.call(Method::POST, "/_/events", &json_type, &lines).await, 413, "MESSAGE_TOO_LARGE");
    let chunked = without_length(cluster, 5 << 20).await;
    assert_eq!(chunked, 413);

    let huge = Thing { content: Some("x".repeat(5 << 20)), ..thing(key("river", "a", "")) };
    let refused = cluster.things().await.put_thing(put(huge)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    let event = |kib: usize| proto::events::v1::Event {
        event_type: "log".into(),
        data: format!("\"{}\"", "x".repeat(kib << 10)),
        ..Default::default()
    };
    let request = AppendRequest { events: vec![event(1_000); 5], relay: None };
    let refused = cluster.events().await.append(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert_nothing_stored(cluster).await;
}

async fn a_small_request_never_takes_much_memory(cluster: &mut Cluster) {
    let types = ["application/json", "application/x-ndjson"];
    let bodies = [format!("[{}{{}}]", "{},".repeat(1_398_000)), "{}\n".repeat(1_398_000)];
    for (content_type, body) in types.iter().zip(&bodies) {
        let answer = cluster.http().call(Method::POST, "/_/events", &[("content-type", content_type)], body).await;
        assert_problem(&answer, 400, "FIELD_INVALID");
        assert!(answer.text().contains(r#""field":"events""#), "{}", answer.text());
    }
    let elements = |bytes: u32| frame(0, bytes, &[0x0a, 0x00].repeat(bytes as usize / 2));
    for (method, list) in [
        ("events.v1.EventsService/Append", "events"),
        ("things.v1.ThingsService/ImportThings", "rows"),
        ("things.v1.ThingsService/BatchGetThings", "keys"),
    ] {
        let answer = grpc(cluster, &format!("/annals.{method}"), elements(4 << 20)).await;
        assert_refused(tonic::Status::from_header_map(&answer).map_or(Ok(()), Err), &[list]);
        let answer = grpc(cluster, &format!("/annals.{method}"), elements(32 << 20)).await;
        assert_eq!(reason(&tonic::Status::from_header_map(&answer).unwrap()), "MESSAGE_TOO_LARGE", "{list}");
    }
    assert!(cluster.peak_memory() < 512 << 20, "{} MiB", cluster.peak_memory() >> 20);
    assert_nothing_stored(cluster).await;
}

/// The status of a PUT whose body does not say how long it is.
async fn without_length(cluster: &Cluster, bytes: usize) -> u16 {
    let chunks =
        (0..bytes >> 16).map(|_| Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from(vec![b' '; 1 << 16]))));
    let body = StreamBody::new(tokio_stream::iter(chunks));
    let client: Client<_, _> = Client::builder(TokioExecutor::new()).build_http();
    let request =
        Request::put(format!("http://{}/river/a", cluster.gateway)).header("content-type", "application/json");
    client.request(request.body(body).unwrap()).await.unwrap().status().as_u16()
}

/// Posts bytes as gRPC over HTTP/2, and answers the headers and trailers together.
async fn grpc(cluster: &Cluster, path: &str, body: Bytes) -> http::HeaderMap {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{}{path}", cluster.gateway))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let answer = client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
    let mut headers = answer.headers().clone();
    let rest = answer.into_body().collect().await.unwrap();
    headers.extend(rest.trailers().cloned().unwrap_or_default());
    headers
}

fn frame(flag: u8, length: u32, message: &[u8]) -> Bytes {
    let mut frame = vec![flag];
    frame.put_u32(length);
    frame.extend(message);
    frame.into()
}

async fn garbage_is_refused_with_a_reason(cluster: &mut Cluster) {
    let frames = [
        Bytes::from_static(b"not a frame"),
        Bytes::new(),
        frame(0, 5, b"hello"),
        frame(0, 100, b"short"),
        frame(0, u32::MAX, b""),
        frame(1, 5, b"hello"),
        frame(7, 0, b""),
        frame(0, 6, b"\x0a\x04\x0a\x02\xff\xfe"),
        [frame(0, 0, b""), frame(0, 0, b"")].concat().into(),
    ];
    let mut wrong = Vec::new();
    for method in ["annals.things.v1.ThingsService/PutThing", "annals.events.v1.EventsService/Append"] {
        for frame in &frames {
            let headers = grpc(cluster, &format!("/{method}"), frame.clone()).await;
            let status = tonic::Status::from_header_map(&headers).unwrap_or_else(|| panic!("{frame:?}: {headers:?}"));
            assert_ne!(status.code(), tonic::Code::Ok, "{frame:?}");
            if status.code() == tonic::Code::Internal || reason(&status) == "INTERNAL" {
                wrong.push(format!("{method} {frame:?}: {}", status.message()));
            }
        }
    }
    assert!(wrong.is_empty(), "no defects of ours:\n{}", wrong.join("\n"));
    let web = [("content-type", "application/grpc-web-text")];
    let path = "/annals.things.v1.ThingsService/PutThing";
    let answer = cluster.http().call(Method::POST, path, &web, "!no base64!").await;
    assert!(answer.status < 500, "{answer:?}");
    assert_nothing_stored(cluster).await;
}

async fn an_unknown_method_is_refused_with_a_reason(cluster: &mut Cluster) {
    for path in [
        "/annals.things.v1.ThingsService/Nothing",
        "/annals.things.v1.ThingsService/",
        "/annals.search.v1.SearchService/Nothing",
        "/nothing",
        "/",
    ] {
        let headers = grpc(cluster, path, frame(0, 0, b"")).await;
        let status = tonic::Status::from_header_map(&headers).unwrap_or_else(|| panic!("{path}: {headers:?}"));
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unimplemented, "METHOD_UNKNOWN"), "{path}");
    }
    for path in ["/_/nothing", "/_/sql", "/_", "/_/events/nothing"] {
        assert_eq!(cluster.http().get(path).await.status, 404, "{path}");
    }
}

async fn headers_have_a_limit(cluster: &mut Cluster) {
    let many: Vec<_> = (0..40).map(|number| (format!("x-{number}"), "x".repeat(1_000))).collect();
    let headers: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match cluster.http().try_call(Method::GET, "/river/a", &headers, Bytes::new()).await {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(_closed) => {}
    }
    let mut endless = TcpStream::connect(cluster.gateway).await.unwrap();
    endless.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let mut sent = 0;
    while sent < 64 << 20 && endless.write_all(b"x-a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n").await.is_ok() {
        sent += 38;
    }
    assert!(sent < 64 << 20, "the server has read 64 MiB of headers");
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer).await;
    cluster.http().get("/_/healthz").await.expect(200);
}
