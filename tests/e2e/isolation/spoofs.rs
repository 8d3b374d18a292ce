//! Nobody becomes somebody else by what they say of themselves: headers that only services may send, and hosts.

use harness::{cluster::Topology, http::Http};
use prost_reflect::MethodDescriptor;
use proto::events::v1::{AppendRequest, Event};

use super::{
    Scene,
    asks::{Ask, TAIL, asks},
    callers::{Caller, HOST, Keys, signed},
    over_http::{OverHttp, spell},
    requests, rpcs,
    wire::{Answer, Door},
    world::Secret,
};

/// What a caller may say of themselves.
fn spoofs() -> Vec<Vec<(&'static str, String)>> {
    let one = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    vec![
        one("annals-tenant", "a"),
        one("annals-caller", "anonymous; tenant=a"),
        [one("annals-tenant", "a"), one("annals-caller", "anonymous; tenant=a")].concat(),
        one("x-forwarded-host", HOST),
        one("forwarded", &format!("host={HOST}")),
        one("x-annals-tenant", "a"),
    ]
}

/// One request of each method, about a private thing.
fn calls(secret: &Secret, scene: &Scene) -> Vec<(MethodDescriptor, Vec<u8>)> {
    let methods = rpcs::methods().into_iter().filter(|method| !requests::is_endless(method));
    let calls = methods.map(|method| {
        let request = match rpcs::strings(&method.input()).first() {
            Some(path) => requests::request(&method, path, secret, &scene.given, None).expect("a good request"),
            // There is nothing to say in it.
            None => Vec::new(),
        };
        (method, request)
    });
    calls.collect()
}

fn private(scene: &Scene) -> &Secret {
    scene.world.secrets.iter().find(|secret| secret.what == "a private thing").expect("there is one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_becomes_another_by_what_they_say_in_one_process() {
    saying_so_changes_nothing(&Scene::open(Topology::AllInOne).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_becomes_another_by_what_they_say_in_separate_processes() {
    let scene = Scene::open(Topology::Separate).await;
    saying_so_changes_nothing(&scene).await;
    only_a_peer_may_say_so_to_a_service(&scene).await;
}

async fn saying_so_changes_nothing(scene: &Scene) {
    let secret = private(scene);
    let nobody = Caller { host: None, headers: Vec::new(), name: "nobody", ..Keys::anonymous() };
    let reads: Vec<_> = asks(secret, &scene.given).into_iter().filter(Ask::is_read).collect();
    for caller in [scene.keys.stranger(), scene.keys.neighbour(), Keys::anonymous(), nobody] {
        let honest = http(scene, &caller);
        let door = caller.door(scene.cluster.gateway).await;
        for spoof in spoofs() {
            let mut liar = caller.clone();
            liar.headers.extend(spoof.clone());
            let spoofed = http(scene, &liar);
            for ask in reads.iter().filter(|ask| !ask.url.contains("wait_for")) {
                let (plain, other) = (honest.send(ask).await, spoofed.send(ask).await);
                assert_eq!(spell(&plain), spell(&other), "{} with {spoof:?}: {}", caller.name, ask.url);
                assert!(caller.name != "nobody" || plain.status == 401, "{}: {}", ask.url, plain.status);
            }
            let spoofed = liar.door(scene.cluster.gateway).await;
            for (method, request) in calls(secret, scene).iter().filter(|(method, _)| requests::is_read(method)) {
                let plain = door.call(method, request.clone(), 0, None).await;
                let other = spoofed.call(method, request.clone(), 0, None).await;
                assert_eq!(plain, other, "{} with {spoof:?}: {}", caller.name, method.name());
                let plain = web(&honest, method, request).await;
                assert_eq!(plain, web(&http(scene, &liar), method, request).await, "{} over the web", method.name());
                assert!(scene.world.markers.leaked(&caller.eyes, request, &plain).is_empty(), "{}", method.name());
            }
        }
    }
    a_host_is_only_what_it_is_called(scene, &reads).await;
}

fn http<'a>(scene: &'a Scene, caller: &'a Caller) -> OverHttp<'a> {
    OverHttp { http: Http::new(scene.cluster.gateway), world: &scene.world, given: &scene.given, caller }
}

/// A call over gRPC-Web: the answer's bytes.
async fn web(from: &OverHttp<'_>, method: &MethodDescriptor, request: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(request.len()).expect("short").to_be_bytes());
    frame.extend(request);
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut headers = vec![("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    headers.extend(from.caller.headers.iter().map(|(name, value)| (*name, value.as_str())));
    headers.extend(from.caller.host.map(|host| ("host", host)));
    spell(&from.http.try_call(http::Method::POST, &path, &headers, frame.into()).await.expect("an answer"))
}

/// A key counts more than a host, and a host counts as it is, in any letter case and with any port.
async fn a_host_is_only_what_it_is_called(scene: &Scene, reads: &[Ask]) {
    let stranger = scene.keys.stranger();
    let at_host = Caller { host: Some(HOST), ..stranger.clone() };
    for ask in reads.iter().filter(|ask| ask.route != TAIL && !ask.url.contains("wait_for")) {
        let (plain, other) = (http(scene, &stranger).send(ask).await, http(scene, &at_host).send(ask).await);
        assert_eq!(spell(&plain), spell(&other), "{}", ask.url);
    }
    let public = scene.world.secrets.iter().find(|secret| secret.what == "a public thing").expect("there is one");
    let url = format!("/{}/{}", public.ns, public.id);
    for (host, status) in [
        (HOST, 200),
        ("A.Example", 200),
        ("a.example:8080", 200),
        ("a.example.", 401),
        ("x.a.example", 401),
        ("a.example.evil", 401),
        ("b.example", 401),
        ("127.0.0.1", 401),
    ] {
        let caller = Caller { host: Some(host), ..Keys::anonymous() };
        let ask = Ask { url: url.clone(), ..reads[0].clone() };
        assert_eq!(http(scene, &caller).send(&ask).await.status, status, "{host}");
    }
}

/// What a service is told directly: refused from everybody without the peer's key.
async fn only_a_peer_may_say_so_to_a_service(scene: &Scene) {
    let secret = private(scene);
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    for key in [Some(&scene.keys.stranger), None] {
        for spoof in spoofs().into_iter().take(3) {
            let headers = [key.map(|key| bearer(key)).into_iter().collect(), spoof.clone()].concat();
            let things = Door::open(scene.cluster.things, Some(HOST), &headers).await;
            let events = Door::open(scene.cluster.events, Some(HOST), &headers).await;
            for (method, request) in calls(secret, scene) {
                let is_things = method.parent_service().name() == "ThingsService";
                let door = if is_things { &things } else { &events };
                let Answer { code, .. } = door.call(&method, request, 0, None).await;
                let expected = if key.is_some() { tonic::Code::PermissionDenied } else { tonic::Code::Unauthenticated };
                assert_eq!(code, expected, "{} with {spoof:?}", method.name());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ulid_of_another_tenant_is_no_duplicate() {
    let (cluster, keys) = Keys::cluster(Topology::AllInOne).await;
    let mut events = cluster.events().await;
    let event = Event { event_type: "log".into(), ..Event::default() };
    let request = AppendRequest { events: vec![event.clone()], relay: None };
    let ulids = events.append(signed(&keys.owner, request)).await.unwrap().into_inner().ulids;
    let event = Event { ulid: ulids[0].clone(), ..event };
    for (key, duplicates) in [(&keys.stranger, vec![]), (&keys.stranger, vec![0]), (&keys.owner, vec![0])] {
        let request = AppendRequest { events: vec![event.clone()], relay: None };
        let answer = events.append(signed(key, request)).await.unwrap().into_inner();
        assert_eq!((answer.ulids, answer.duplicates), (ulids.clone(), duplicates));
    }
}
