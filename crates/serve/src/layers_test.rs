//! The inner ring, by calls of a generated client to a service in process.

use std::time::Duration;

use axum::routing::Route;
use futures::FutureExt as _;
use http::HeaderValue;
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::things::v1::things_service_client::ThingsServiceClient;
use tonic::{Code, Request, Status};

use super::*;
use crate::Peer;
use crate::stub::{self, Stub, keyed, query, subscribe};

fn service_name<S: Inner, L: Layer<S, Service: Inner>>(_: &L) -> &'static str {
    std::any::type_name::<L::Service>()
}

/// The words of the answer to a query, or its refusal.
async fn ask<T: Into<Request<proto::events::v1::QueryRequest>>>(
    client: &mut EventsServiceClient<Peer>,
    request: T,
) -> Result<String, Refusal> {
    let answer = client.query(request.into()).await.map_err(|status| explained(&status))?;
    Ok(answer.into_inner().next_page_token)
}

/// The parts of a status, which must have come with its reason.
fn explained(status: &Status) -> Refusal {
    assert!(Refusal::explains(status), "{status:?} has no ErrorInfo");
    Refusal::from_status(status)
}

#[test]
fn the_layers_stand_in_their_order() {
    let ring = Ring::new("events", &stub::context());
    let name = service_name::<Route, _>(&ring.stack());
    let order = ["Measured<", "Explained<", "Caught<", "Bounded<", "Authenticated<", "Metered<", "Weighed<", "Route"];
    let places = order.map(|layer| name.find(layer).expect(layer));
    assert!(places.is_sorted(), "{name}");
}

#[tokio::test]
async fn a_verb_is_given_its_caller_and_its_deadline() {
    let mut client = Stub::default().client(&stub::context());
    assert_eq!(ask(&mut client, query("caller")).await.as_deref(), Ok("default/local"));
    assert!(ask(&mut client, query("remaining")).await.expect("answered").starts_with("Some(9.9"));
}

#[tokio::test]
async fn every_call_is_counted_by_method_and_code_but_no_strangers_path() {
    crate::telemetry::init("off").expect("a filter");
    // A name of its own: the other tests count too.
    let context = stub::context();
    let ring = Ring::new("counted", &context);
    let server = proto::events::v1::events_service_server::EventsServiceServer::new(Stub::default());
    let peer = Peer::local(ring.around(Routes::new(server)));
    let mut client = EventsServiceClient::new(peer.clone());
    ask(&mut client, query("x")).await.expect("answered");
    ask(&mut client, query("bare")).await.expect_err("bare");
    let stranger = http::Request::post("http://peer/nobody.v1.NoService/Nothing").body(tonic::body::Body::empty());
    let Ok(answer) = peer.clone().call(stranger.expect("a request")).await;
    drop(answer);

    let page = crate::telemetry::metrics();
    let count = |method: &str, code: &str| {
        let line = format!("annals_rpc_total{{service=\"counted\",method=\"{method}\",code=\"{code}\"}} 1");
        assert!(page.contains(&line), "{line} is not in:\n{page}");
    };
    count("/annals.events.v1.EventsService/Query", "Ok");
    count("/annals.events.v1.EventsService/Query", "Unavailable");
    count("unknown", "Unimplemented");
    assert!(!page.contains("NoService"));
}

#[tokio::test]
async fn without_a_good_key_no_verb_is_reached() {
    let key = Keyring::generate(&"acme".parse().expect("a tenant"), "importer", &[crate::auth::Scope::ReadEvents]);
    let (context, _) = stub::context_with_keys(&key.entry);
    let mut client = Stub::default().client(&context);
    assert_eq!(ask(&mut client, query("panic")).await, Err(Refusal::unauthenticated()));
    assert_eq!(ask(&mut client, keyed(query("caller"), &key.text)).await.as_deref(), Ok("acme/importer"));
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_taken_out_or_given_other_scopes_and_no_other_stream_does() {
    let tenant = "acme".parse().expect("a tenant");
    let [taken, changed, kept] =
        ["a", "b", "c"].map(|name| Keyring::generate(&tenant, name, &[crate::auth::Scope::ReadEvents]));
    let entries = [&taken.entry, &changed.entry, &kept.entry].map(String::as_str).concat();
    let (context, _) = stub::context_with_keys(&entries);
    let mut client = Stub::default().client(&context);
    let mut open = async |text: &str| {
        let mut stream = client.subscribe(keyed(subscribe("quiet"), text)).await.expect("open").into_inner();
        stream.message().await.expect("the first").expect("message");
        stream
    };
    let (mut of_taken, mut of_changed) = (open(&taken.text).await, open(&changed.text).await);
    let mut of_kept = open(&kept.text).await;

    let other = changed.entry.replace("events:read", "events:write");
    let looked = context.keyring.look(Ok([other.as_str(), kept.entry.as_str()].concat()));
    assert_eq!(looked, Ok(crate::auth::Looked::Changed));
    for stream in [&mut of_taken, &mut of_changed] {
        assert_eq!(explained(&stream.message().await.expect_err("the end")), Refusal::unauthenticated());
    }
    assert!(of_kept.message().now_or_never().is_none(), "still open");
}

#[tokio::test]
async fn a_signed_peer_is_a_peer_unless_the_call_has_a_key_of_its_own() {
    let key = Keyring::generate(&"acme".parse().expect("a tenant"), "importer", &[crate::auth::Scope::ReadEvents]);
    let (context, _) = stub::context_with_keys(&key.entry);
    let peer = Stub::default().service(&context).peer().signed(context.credentials());
    let mut client = EventsServiceClient::new(peer);
    assert_eq!(ask(&mut client, query("peer")).await.as_deref(), Ok("peer"));
    assert_eq!(ask(&mut client, keyed(query("caller"), &key.text)).await.as_deref(), Ok("acme/importer"));
    let refusal = ask(&mut client, keyed(query("peer"), &key.text)).await.expect_err("only reads events");
    assert_eq!(refusal.message, "the key lacks the scope peer");
}

#[tokio::test]
async fn an_anonymous_call_passed_on_by_a_peer_is_anonymous_at_the_verb() {
    let context = stub::context();
    let mut request = query("anonymous");
    context.credentials().sign_anonymous(request.metadata_mut().as_mut(), &"acme".parse().expect("a tenant"));
    assert_eq!(ask(&mut Stub::default().client(&context), request).await.as_deref(), Ok("true"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_in_process() {
    let mut client = Stub::default().client(&stub::context());
    let began = tokio::time::Instant::now();
    let mut request = query("hang");
    request.set_timeout(Duration::from_secs(3));
    assert_eq!(ask(&mut client, request).await, Err(Refusal::deadline_exceeded()));
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_has_ten_seconds_at_most() {
    let mut client = Stub::default().client(&stub::context());
    let began = tokio::time::Instant::now();
    let mut request = query("hang");
    request.set_timeout(Duration::from_hours(1));
    assert_eq!(ask(&mut client, request).await, Err(Refusal::deadline_exceeded()));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_deadline_only_if_its_caller_says_so() {
    let mut client = Stub::default().client(&stub::context());
    let mut quiet = client.subscribe(subscribe("quiet")).await.expect("open").into_inner();
    quiet.message().await.expect("the first").expect("message");
    let long = tokio::time::timeout(Duration::from_hours(1), quiet.message()).await;
    long.expect_err("still open after an hour");

    for word in ["quiet", "endless"] {
        let mut request = subscribe(word);
        request.set_timeout(Duration::from_secs(3));
        let mut stream = client.subscribe(request).await.expect("open").into_inner();
        let end = loop {
            match stream.message().await {
                Ok(message) => drop(message.expect("it does not end well")),
                Err(status) => break explained(&status),
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        };
        assert_eq!(end, Refusal::deadline_exceeded(), "{word}");
    }
}

#[tokio::test]
async fn a_drain_ends_the_streams_that_would_go_on_for_ever() {
    let context = stub::context();
    let mut client = Stub::default().client(&context);
    let mut stream = client.subscribe(subscribe("quiet")).await.expect("open").into_inner();
    stream.message().await.expect("the first").expect("message");
    context.draining.cancel();
    let end = explained(&stream.message().await.expect_err("the end"));
    assert_eq!((end.reason_name(), &*end.message), ("CANCELLED", "the server is draining"));
}

#[tokio::test]
async fn a_call_that_sends_a_stream_ends_at_the_drain_and_with_its_key() {
    let key = Keyring::generate(&"acme".parse().expect("a tenant"), "importer", &["write:*".parse().expect("a scope")]);
    let (context, _) = stub::context_with_keys(&key.entry);
    let import = || {
        let mut client = ThingsServiceClient::new(stub::imports(&context).peer());
        let request = keyed(Request::new(futures::stream::pending()), &key.text);
        Box::pin(async move { client.import_things(request).await })
    };
    let mut revoked = import();
    assert!(futures::poll!(&mut revoked).is_pending());
    context.keyring.look(Ok(String::new())).expect("no keys");
    assert_eq!(explained(&revoked.await.expect_err("the end")), Refusal::unauthenticated());

    context.keyring.look(Ok(key.entry.clone())).expect("the key");
    let mut drained = import();
    assert!(futures::poll!(&mut drained).is_pending());
    context.draining.cancel();
    let end = explained(&drained.await.expect_err("the end"));
    assert_eq!((end.reason_name(), &*end.message), ("CANCELLED", "the server is draining"));
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let mut request = query("x");
    request.metadata_mut().insert("grpc-timeout", "soon".parse().expect("ASCII"));
    let refusal = ask(&mut Stub::default().client(&stub::context()), request).await.expect_err("no timeout");
    assert_eq!(refusal.violations[0].field, "grpc-timeout");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_call_is_served() {
    let mut client = Stub::default().client(&stub::context());
    let refusal = ask(&mut client, query("panic")).await.expect_err("it panics");
    assert_eq!(refusal.reason_name(), "INTERNAL");
    assert!(refusal.message.starts_with("internal error "), "{}", refusal.message);
    assert_eq!(ask(&mut client, query("next")).await.as_deref(), Ok("next"));
}

#[tokio::test]
async fn every_error_has_its_reason_also_within_a_stream() {
    let mut client = Stub::default().client(&stub::context());
    let bare = ask(&mut client, query("bare")).await.expect_err("bare");
    assert_eq!((bare.code, bare.reason_name()), (Code::Unavailable, "PEER_UNAVAILABLE"));

    let mut stream = client.subscribe(subscribe("broken")).await.expect("open").into_inner();
    stream.message().await.expect("the first").expect("message");
    let end = explained(&stream.message().await.expect_err("the end"));
    assert_eq!(end.reason_name(), "PEER_UNAVAILABLE");

    let refused = client.subscribe(subscribe("")).await.expect_err("no such word");
    assert_eq!(explained(&refused).violations[0].field, "cursor");
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_as_too_large() {
    let mut client = Stub::default().client(&stub::context());
    let refusal = ask(&mut client, query(&"x".repeat(stub::MESSAGE_BYTES))).await.expect_err("too large");
    assert_eq!((refusal.code, refusal.reason_name()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
}

/// The status that raw bytes, sent as a call to `method`, are answered with.
async fn raw(method: &str, message: &'static [u8]) -> Refusal {
    let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).expect("short")];
    body.extend_from_slice(message);
    let request = http::Request::post(format!("http://peer{method}"))
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(axum::body::Body::from(body)))
        .expect("a request");
    let Ok(answer) = Stub::default().service(&stub::context()).peer().call(request).await;
    explained(&Status::from_header_map(answer.headers()).expect("a status"))
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_mistake() {
    let refusal = raw("/annals.events.v1.EventsService/Query", b"\xff\xff\xff").await;
    assert_eq!((refusal.code, refusal.reason_name()), (Code::InvalidArgument, "FIELD_INVALID"));
    let latin1 = raw("/annals.events.v1.EventsService/Query", b"\x22\x01\xe9").await;
    assert_eq!((latin1.code, latin1.reason_name()), (Code::InvalidArgument, "FIELD_INVALID"));
}

#[tokio::test]
async fn an_unknown_method_says_so() {
    for method in ["/annals.events.v1.EventsService/Nothing", "/nobody.v1.NoService/Nothing"] {
        let refusal = raw(method, b"").await;
        assert_eq!((refusal.code, refusal.reason_name()), (Code::Unimplemented, "METHOD_UNKNOWN"), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_above_its_quota_is_refused_with_the_time_to_come_back() {
    let key = Keyring::generate(&"acme".parse().expect("a tenant"), "importer", &[crate::auth::Scope::ReadEvents]);
    let (context, _) = stub::context_with_keys(&format!(
        "{}quotas = {{ requests_per_second = 4, bytes_per_second = 100, concurrent_streams = 1 }}\n",
        key.entry
    ));
    let mut client = Stub::default().client(&context);
    let first = client.subscribe(keyed(subscribe("quiet"), &key.text)).await.expect("open");
    let second = client.subscribe(keyed(subscribe("quiet"), &key.text)).await.expect_err("one at a time");
    assert_eq!(explained(&second).quota.expect("which").description, "concurrent streams: 1");
    drop(first);
    client.subscribe(keyed(subscribe("quiet"), &key.text)).await.expect("the first has ended");

    ask(&mut client, keyed(query(&"x".repeat(500)), &key.text)).await.expect("owed by the next");
    let refusal = ask(&mut client, keyed(query("x"), &key.text)).await.expect_err("bytes are owed");
    assert_eq!(refusal.reason_name(), "QUOTA_EXCEEDED");
    let wait = refusal.retry_after.expect("when");
    assert!(wait > Duration::from_secs(4), "{wait:?}");
    tokio::time::advance(wait).await;
    ask(&mut client, keyed(query("x"), &key.text)).await.expect("as was told");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_requests_above_its_quota_is_held_back() {
    let key = Keyring::generate(&"acme".parse().expect("a tenant"), "appender", &[crate::auth::Scope::WriteEvents]);
    let (context, _) = stub::context_with_keys(&format!("{}quotas = {{ bytes_per_second = 100 }}\n", key.entry));
    let mut client = Stub::default().client(&context);
    let event = proto::events::v1::Event { event_type: "x".repeat(190), ..Default::default() };
    let batch = move |batch| proto::events::v1::AppendStreamRequest { events: vec![event.clone()], batch };
    let began = tokio::time::Instant::now();
    let request = keyed(Request::new(futures::stream::iter((1..=5).map(batch))), &key.text);
    let mut told = client.append_stream(request).await.expect("open").into_inner();
    let mut batches = Vec::new();
    while let Some(answer) = told.message().await.expect("it is not refused") {
        batches.push(answer.batch);
    }
    assert_eq!(batches, [1, 2, 3, 4, 5]);
    assert!(began.elapsed() >= Duration::from_secs(8), "1,000 bytes passed in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_its_verb() {
    let stub = Stub::default();
    let mut client = stub.client(&stub::context());
    let mut call = client.query(query("hold")).boxed();
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    stub.release.notify_one();
    // Had the verb gone on, it would have taken the notification.
    stub.release.notified().await;
}

#[tokio::test]
async fn health_is_outside_the_ring_but_its_errors_have_reasons() {
    let (context, _) = stub::context_with_keys("");
    let router = crate::health::register(axum::Router::new(), &context.readiness);
    let request = http::Request::post("/grpc.health.v1.Health/Nothing")
        .header("content-type", HeaderValue::from_static("application/grpc"))
        .body(Body::empty())
        .expect("a request");
    let answer = tower::ServiceExt::oneshot(router, request).await.expect("infallible");
    let status = Status::from_header_map(answer.headers()).expect("a status");
    assert_eq!(explained(&status).reason_name(), "METHOD_UNKNOWN");
}
