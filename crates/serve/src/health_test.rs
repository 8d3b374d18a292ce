//! Health over gRPC and as pages.

use tonic::Code;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::Peer;
use crate::stub;

fn client(readiness: &Readiness) -> HealthClient<Peer> {
    HealthClient::new(Peer::local(register(Router::new(), readiness).into()))
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_blocked_process_is_not_serving_until_all_is_clear() {
    let readiness = Readiness::default();
    let mut client = client(&readiness);
    let mut watch = client.watch(of("")).await.expect("a stream").into_inner();
    let mut next = async || watch.message().await.expect("no error").expect("no end").status();
    assert_eq!(next().await as i32, ServingStatus::Serving as i32);
    readiness.block("things relay", "has not reached events yet");
    assert_eq!(next().await as i32, ServingStatus::NotServing as i32);
    let status = client.check(of("annals.events.v1.EventsService")).await.expect("known").into_inner().status();
    assert_eq!(status as i32, ServingStatus::NotServing as i32);
    readiness.clear("things relay");
    assert_eq!(next().await as i32, ServingStatus::Serving as i32);
    readiness.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_blocks_until_one_succeeds_or_nobody_has_tried_for_five_seconds() {
    let readiness = Readiness::default();
    let tasks = crate::Tasks::new("process");
    tasks.spawn("readiness", |cancel| readiness.clone().upkeep(cancel));
    readiness.failed("store", "the disk is full");
    readiness.clear("store");
    assert!(readiness.is_ready());

    let began = Instant::now();
    readiness.failed("store", "the disk is full");
    tokio::time::advance(Duration::from_secs(3)).await;
    readiness.failed("store", "the disk is full");
    readiness.ready().await;
    assert_eq!(began.elapsed().as_secs(), 8);
    tasks.drain(Duration::from_secs(1)).await.expect("it ends");
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_not_found() {
    let status = client(&Readiness::default()).check(of("nobody.v1.NoService")).await.expect_err("unknown");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "service nobody.v1.NoService does not exist"));
}

#[tokio::test]
async fn the_page_says_why_the_process_cannot_serve() {
    let readiness = stub::context().readiness;
    readiness.block("things relay", "has not reached events yet");
    readiness.block("things relay", "events refused the last batch");
    assert_eq!(
        readyz(State(readiness.clone())).await,
        (StatusCode::SERVICE_UNAVAILABLE, "things relay: events refused the last batch\n".to_owned())
    );
    readiness.clear("things relay");
    assert_eq!(readyz(State(readiness)).await.0, StatusCode::OK);
}
