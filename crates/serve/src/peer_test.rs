//! Peers far away: spread, told to go, absent and back again.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use proto::events::v1::events_service_client::EventsServiceClient;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::*;
use crate::accept::{self, Limits, Undrained};
use crate::stub::{self, Stub, query, subscribe};

/// A server that remembers where its callers called from.
struct Far {
    address: SocketAddr,
    callers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Undrained>>,
}

impl Far {
    async fn at(address: &str, age: Option<Duration>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let callers: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
        let remember = Arc::clone(&callers);
        let page = get(async move |ConnectInfo(caller): ConnectInfo<SocketAddr>| {
            remember.lock().expect("no panic").insert(caller);
        });
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let limits = Limits { age, ..Limits::peer() };
        tasks.spawn(accept::serve(listener, Router::new().route("/", page), limits, stop.clone()));
        Self { address, callers, stop, tasks }
    }

    fn peer(&self) -> Peer {
        Peer::remote(format!("http://{}", self.address).parse().expect("a URL"))
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic").expect("drained");
        }
    }

    fn connections(&self) -> usize {
        self.callers.lock().expect("no panic").len()
    }
}

async fn call(peer: &mut Peer) -> Response<Body> {
    let request = Request::get("http://far/").body(Body::empty()).expect("a request");
    let Ok(answer) = peer.call(request).await;
    answer
}

#[tokio::test]
async fn calls_are_spread_over_a_few_connections() {
    let far = Far::at("127.0.0.1:0", None).await;
    let mut peer = far.peer();
    for _ in 0..3 * CONNECTIONS {
        assert_eq!(call(&mut peer).await.status(), 200);
    }
    assert_eq!(far.connections(), CONNECTIONS);
    far.end().await;
}

#[tokio::test]
async fn no_call_fails_when_connections_are_told_to_go() {
    let far = Far::at("127.0.0.1:0", Some(Duration::from_millis(5))).await;
    let mut peer = far.peer();
    while far.connections() < 10 * CONNECTIONS {
        let answer = call(&mut peer).await;
        assert_eq!(answer.headers().get(Status::GRPC_STATUS), None);
        assert_eq!(answer.status(), 200);
    }
    far.end().await;
}

#[tokio::test]
async fn a_connection_takes_no_calls_when_it_is_no_longer_young() {
    let far = Far::at("127.0.0.1:0", None).await;
    let address: Uri = format!("http://{}", far.address).parse().expect("a URL");
    let mut old = Peer(BoxCloneSyncService::new(Remote::new(address, Duration::ZERO)));
    for calls in 1..=3 * CONNECTIONS {
        assert_eq!(call(&mut old).await.status(), 200);
        assert_eq!(far.connections(), calls);
    }
    far.end().await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_an_answer_that_says_to_come_back() {
    let far = Far::at("127.0.0.1:0", None).await;
    let mut peer = far.peer();
    far.end().await;
    let status = Status::from_header_map(call(&mut peer).await.headers()).expect("a status");
    let refusal = Refusal::from_status(&status);
    assert_eq!((refusal.code, refusal.reason_name()), (Code::Unavailable, "PEER_UNAVAILABLE"));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
    assert!(!refusal.message.contains("127.0.0.1"), "{refusal}");
}

#[tokio::test]
async fn a_peer_that_comes_back_is_found_again() {
    let far = Far::at("127.0.0.1:0", None).await;
    let (mut peer, address) = (far.peer(), far.address.to_string());
    assert_eq!(call(&mut peer).await.status(), 200);
    far.end().await;
    let again = Far::at(&address, None).await;
    // Each connection learns by a failed call at most that the other side went.
    let mut answered = 0;
    for _ in 0..2 * CONNECTIONS {
        let answer = call(&mut peer).await;
        answered += usize::from(!answer.headers().contains_key(Status::GRPC_STATUS));
    }
    assert!(answered >= CONNECTIONS, "{answered}");
    again.end().await;
}

#[tokio::test]
async fn streams_that_are_passed_on_end_at_the_drain_and_other_calls_complete() {
    let (draining, stub) = (CancellationToken::new(), Stub::default());
    // Its own process goes on.
    let peer = stub.service(&stub::context()).peer().draining(draining.clone());
    let mut client = EventsServiceClient::new(peer);
    let mut stream = client.subscribe(subscribe("quiet")).await.expect("open").into_inner();
    stream.message().await.expect("the first").expect("message");
    let mut held = Box::pin(client.query(query("hold")));
    assert!(futures::poll!(&mut held).is_pending());
    draining.cancel();
    let end = Refusal::from_status(&stream.message().await.expect_err("the end"));
    assert_eq!((end.reason_name(), &*end.message), ("CANCELLED", "the server is draining"));
    stub.release.notify_one();
    assert_eq!(held.await.expect("not cut off").into_inner().next_page_token, "released");
}
