//! What reflection tells a client.

use tonic_reflection::pb::{v1, v1alpha};

use super::*;
use crate::Peer;

fn peer() -> Peer {
    Peer::local(register(Router::new()).into())
}

const NAMES: [&str; 5] = [
    "annals.events.v1.EventsService",
    "annals.search.v1.SearchService",
    "annals.things.v1.ThingsService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
];

#[tokio::test]
async fn reflection_v1_lists_every_service() {
    use v1::server_reflection_client::ServerReflectionClient;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;

    let ask = v1::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..v1::ServerReflectionRequest::default()
    };
    let mut answers = ServerReflectionClient::new(peer())
        .server_reflection_info(futures::stream::iter([ask]))
        .await
        .expect("a stream")
        .into_inner();
    let answer = answers.message().await.expect("no error").expect("an answer").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?} is no list") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in NAMES {
        assert!(names.iter().any(|listed| listed == name), "{name} is not in {names:?}");
    }
}

#[tokio::test]
async fn reflection_v1alpha_finds_the_file_of_a_service() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(MessageRequest::FileContainingSymbol(NAMES[0].to_owned())),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let mut answers = ServerReflectionClient::new(peer())
        .server_reflection_info(futures::stream::iter([ask]))
        .await
        .expect("a stream")
        .into_inner();
    let answer = answers.message().await.expect("no error").expect("an answer").message_response;
    assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?} is no file");
}

#[test]
fn the_streaming_methods_are_known() {
    let methods = methods();
    let streaming = |path: &str| methods.iter().find(|method| method.path == path).expect(path).is_streaming;
    assert!(streaming("/annals.events.v1.EventsService/Subscribe"));
    assert!(streaming("/annals.things.v1.ThingsService/ImportThings"));
    assert!(!streaming("/annals.things.v1.ThingsService/GetThing"));
}

#[test]
fn the_lists_of_a_request_are_known() {
    let methods = methods();
    let lists = |path: &str| {
        let method = methods.iter().find(|method| method.path == path).expect(path);
        method.lists.iter().map(|list| (list.number, list.name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(lists("/annals.events.v1.EventsService/Append"), [(1, "events")]);
    assert_eq!(lists("/annals.things.v1.ThingsService/GetThing"), [(2, "preferred_variants")]);
    // An embedding's numbers take no more room decoded than they do on the wire.
    assert_eq!(lists("/annals.things.v1.ThingsService/PatchThing"), [(8, "clear")]);
}
