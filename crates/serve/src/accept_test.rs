//! The limits of a listener, by real sockets and clients.

use std::collections::BTreeSet;
use std::future::IntoFuture as _;
use std::sync::Mutex;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;

/// A listener on a free port whose pages are `/` (says `home`), `/hold` (waits for `release`) and `/panic`.
struct Site {
    address: SocketAddr,
    begun: Arc<Notify>,
    release: Arc<Notify>,
    /// Everybody who has asked for `/`.
    seen: Arc<Mutex<Vec<SocketAddr>>>,
    stop: CancellationToken,
    /// The server and the connections of clients.
    tasks: JoinSet<Result<(), Undrained>>,
}

impl Site {
    async fn new(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (begun, release, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::default());
        let (on_begin, on_release, visitors) = (Arc::clone(&begun), Arc::clone(&release), Arc::clone(&seen));
        let hold = async move || {
            on_begin.notify_one();
            on_release.notified().await;
            "released"
        };
        let home = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
            let visitors: &Mutex<Vec<SocketAddr>> = &visitors;
            visitors.lock().expect("no panic").push(peer);
            "home"
        };
        let panic = async || -> &'static str { panic!("the page was asked to") };
        let router = Router::new()
            .route("/", get(home))
            .route("/hold", get(hold).post(std::future::pending::<&'static str>))
            .route("/panic", get(panic))
            .route("/endless", get(async || Body::from_stream(futures::stream::repeat(CHUNK))));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, limits, stop.clone()));
        Self { address, begun, release, seen, stop, tasks }
    }

    async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    async fn http2(&mut self) -> http2::SendRequest<Body> {
        let io = TokioIo::new(self.socket().await);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (sender, connection) = http2::handshake(executor, io).await.expect("HTTP/2");
        self.tasks.spawn(async move {
            let _ = connection.await;
            Ok(())
        });
        sender
    }

    async fn http1(&mut self) -> http1::SendRequest<Body> {
        let io = TokioIo::new(self.socket().await);
        let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
        self.tasks.spawn(async move {
            let _ = connection.await;
            Ok(())
        });
        sender
    }
}

const CHUNK: Result<bytes::Bytes, std::convert::Infallible> = Ok(bytes::Bytes::from_static(&[0; 16 * 1024]));

fn page(path: &str) -> Request<Body> {
    Request::get(format!("http://site{path}")).body(Body::empty()).expect("a request")
}

async fn text(answer: Response<Incoming>) -> String {
    let bytes = answer.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("a text")
}

/// Everything that the server sends until it closes.
async fn until_closed(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a way of closing too.
    let _ = socket.read_to_end(&mut bytes).await;
    bytes
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_HEADERS: u8 = 4;

/// The kinds and payloads of the frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let Some(payload) = bytes.get(9..9 + length) else { break };
        frames.push((bytes[3], payload));
        bytes = &bytes[9 + length..];
    }
    frames
}

/// Whether a connection ended because of `ENHANCE_YOUR_CALM` (RFC 9113, section 7).
fn was_calmed(bytes: &[u8]) -> bool {
    frames(bytes).iter().any(|(kind, payload)| *kind == GO_AWAY && payload[4..8] == [0, 0, 0, 11])
}

#[tokio::test]
async fn both_versions_of_http_are_served_on_one_port() {
    let mut site = Site::new(Limits::public()).await;
    let one = site.http1().await.send_request(page("/")).await.expect("an answer");
    let two = site.http2().await.send_request(page("/")).await.expect("an answer");
    assert_eq!((one.version(), text(one).await.as_str()), (http::Version::HTTP_11, "home"));
    assert_eq!((two.version(), text(two).await.as_str()), (http::Version::HTTP_2, "home"));
}

/// The settings that the server announces (RFC 9113, section 6.5.2).
async fn settings(limits: Limits) -> Vec<(u16, u32)> {
    let site = Site::new(limits).await;
    let mut socket = site.socket().await;
    socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("written");
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], SETTINGS);
    let mut payload = vec![0; usize::from(head[2])];
    socket.read_exact(&mut payload).await.expect("its payload");
    let setting = |entry: &[u8]| {
        (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    };
    payload.chunks_exact(6).map(setting).collect()
}

#[tokio::test]
async fn the_limits_of_streams_and_headers_are_announced_to_the_caller() {
    const STREAMS: u16 = 3;
    const HEADER_BYTES: u16 = 6;
    let announced = settings(Limits::peer()).await;
    assert!(announced.contains(&(STREAMS, 200)) && announced.contains(&(HEADER_BYTES, 16 * 1024)), "{announced:?}");
    let announced = settings(Limits { streams: 7, header_bytes: 9_000, ..Limits::public() }).await;
    assert!(announced.contains(&(STREAMS, 7)) && announced.contains(&(HEADER_BYTES, 9_000)), "{announced:?}");
}

#[tokio::test]
async fn larger_headers_are_refused_in_both_versions() {
    let mut site = Site::new(Limits::public()).await;
    let large = || {
        let mut request = page("/");
        for at in 0..9 {
            let name = http::HeaderName::try_from(format!("x-{at}")).expect("a name");
            request.headers_mut().insert(name, "x".repeat(2 * 1024).parse().expect("ASCII"));
        }
        request
    };
    let one = site.http1().await.send_request(large()).await.expect("an answer");
    assert_eq!(one.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    // The client may know the limit already and refuse by itself.
    if let Ok(two) = site.http2().await.send_request(large()).await {
        assert_eq!(two.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert!(site.seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let site = Site::new(Limits::public()).await;
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (1..2_000).step_by(2) {
        // GET http://a/hold
        bytes.extend(frame(HEADERS, END_HEADERS | 1, stream, b"\x82\x86\x44\x05/hold\x41\x01a"));
        bytes.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    let mut socket = site.socket().await;
    socket.write_all(&bytes).await.expect("written");
    assert!(was_calmed(&until_closed(socket).await));
}

#[tokio::test]
async fn a_caller_whose_every_stream_must_be_reset_is_sent_away() {
    let site = Site::new(Limits::public()).await;
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (1..2 * 1_100).step_by(2) {
        // POST http://a/hold with content-length 1, and then two bytes.
        bytes.extend(frame(HEADERS, END_HEADERS, stream, b"\x83\x86\x44\x05/hold\x41\x01a\x5c\x011"));
        bytes.extend(frame(0, 0, stream, b"xx"));
    }
    let mut socket = site.socket().await;
    socket.write_all(&bytes).await.expect("written");
    assert!(was_calmed(&until_closed(socket).await));
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let site = Site::new(Limits { handshake: Duration::from_millis(20), ..Limits::public() }).await;
    assert_eq!(until_closed(site.socket().await).await, b"");
    let mut slow = site.socket().await;
    slow.write_all(b"GET / HT").await.expect("written");
    until_closed(slow).await;
    let mut preface = site.socket().await;
    preface.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("written");
    assert!(frames(&until_closed(preface).await).iter().any(|(kind, _)| *kind == GO_AWAY));
}

#[tokio::test]
async fn headers_have_a_time_on_every_request_of_a_connection() {
    let site = Site::new(Limits { handshake: Duration::from_millis(20), ..Limits::public() }).await;
    let mut socket = site.socket().await;
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT").await.expect("written");
    let answers = String::from_utf8(until_closed(socket).await).expect("a text");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_not_one_that_waits_for_its_answer() {
    let mut site = Site::new(Limits { idle: Duration::from_millis(20), ..Limits::public() }).await;
    let mut idle = site.http2().await;
    text(idle.send_request(page("/")).await.expect("an answer")).await;
    let mut busy = site.http2().await;
    let held = busy.send_request(page("/hold"));
    site.begun.notified().await;
    // The server closes it.
    while idle.ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
    site.release.notify_one();
    assert_eq!(text(held.await.expect("an answer")).await, "released");
}

#[tokio::test]
async fn a_client_that_stops_reading_a_large_answer_loses_its_connection_and_one_that_reads_on_does_not() {
    let (idle, handshake) = (Duration::from_millis(200), Duration::from_millis(20));
    let mut site = Site::new(Limits { connections: 2, idle, handshake, ..Limits::public() }).await;
    let mut read_on = site.http1().await.send_request(page("/endless")).await.expect("an answer").into_body();
    let mut reader = JoinSet::new();
    reader.spawn(async move { while let Some(Ok(_)) = read_on.frame().await {} });
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let stalled = match version {
            http::Version::HTTP_2 => site.http2().await.send_request(page("/endless")).await,
            _ => site.http1().await.send_request(page("/endless")).await,
        };
        let stalled = stalled.expect("an answer");
        // There is a slot for the next one only when the stalled one has lost its own.
        let served = site.http1().await.send_request(page("/")).await.expect("an answer");
        assert_eq!(text(served).await, "home", "{version:?}");
        drop(stalled);
    }
    assert!(reader.try_join_next().is_none(), "it still reads");
}

#[tokio::test]
async fn a_connection_above_the_cap_waits_for_its_turn() {
    let mut site = Site::new(Limits { connections: 1, ..Limits::public() }).await;
    let mut first = site.http1().await;
    text(first.send_request(page("/")).await.expect("an answer")).await;
    let mut second = site.http1().await;
    let waiting = second.send_request(page("/"));
    tokio::pin!(waiting);
    for _ in 0..20 {
        first.ready().await.expect("open");
        text(first.send_request(page("/")).await.expect("an answer")).await;
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    drop(first);
    assert_eq!(text(waiting.await.expect("an answer")).await, "home");
    assert_eq!(site.seen.lock().expect("no panic").iter().collect::<BTreeSet<_>>().len(), 2);
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_its_calls_complete() {
    let mut site = Site::new(Limits { age: Some(Duration::from_millis(20)), ..Limits::public() }).await;
    let mut sender = site.http2().await;
    let held = sender.send_request(page("/hold"));
    site.begun.notified().await;
    // New calls are taken until the client has heard it.
    while sender.ready().await.is_ok() && sender.send_request(page("/")).await.is_ok() {}
    site.release.notify_one();
    assert_eq!(text(held.await.expect("not cut off")).await, "released");
}

#[tokio::test]
async fn a_stop_completes_what_is_in_flight_and_takes_nothing_new() {
    let mut site = Site::new(Limits::public()).await;
    let mut sender = site.http2().await;
    let held = sender.send_request(page("/hold"));
    site.begun.notified().await;
    site.stop.cancel();
    while TcpStream::connect(site.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    site.release.notify_one();
    assert_eq!(text(held.await.expect("not cut off")).await, "released");
    while let Some(ended) = site.tasks.join_next().await {
        assert_eq!(ended.expect("no panic"), Ok(()));
    }
}

#[tokio::test]
async fn a_drain_has_an_end_even_if_a_call_has_none() {
    let mut site = Site::new(Limits { drain: Duration::from_millis(20), ..Limits::public() }).await;
    let mut sender = site.http2().await;
    let held = sender.send_request(page("/hold"));
    site.begun.notified().await;
    site.stop.cancel();
    held.into_future().await.expect_err("cut off");
    let mut ended = Vec::new();
    while let Some(task) = site.tasks.join_next().await {
        ended.extend(task.expect("no panic").err());
    }
    assert_eq!(ended, [Undrained { connections: 1 }]);
}

#[tokio::test]
async fn a_page_that_panics_takes_no_connection_with_it() {
    let mut site = Site::new(Limits::public()).await;
    let mut sender = site.http1().await;
    let answer = sender.send_request(page("/panic")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text(answer).await.starts_with("internal error "));
    sender.ready().await.expect("open");
    assert_eq!(text(sender.send_request(page("/")).await.expect("an answer")).await, "home");
}

#[test]
fn ages_differ_by_a_tenth_at_most() {
    let age = Duration::from_secs(30);
    let ages: BTreeSet<_> = (0..100).map(|_| super::connection::jittered(age)).collect();
    assert!(ages.len() > 10);
    assert!(ages.iter().all(|age| (27..=33).contains(&age.as_secs())), "{ages:?}");
}
