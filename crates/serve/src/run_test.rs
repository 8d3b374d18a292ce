//! A whole process: start, calls from outside, and the order of the end.

use proto::events::v1::events_service_client::EventsServiceClient;
use tokio::sync::oneshot;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::stub::{self, Stub, query, subscribe};

const LIMIT: Duration = Duration::from_secs(30);

fn remote(address: SocketAddr) -> Peer {
    Peer::remote(format!("http://{address}").parse().expect("a URL"))
}

async fn bind(context: &Context, services: Vec<Service>) -> Server {
    Server::bind("127.0.0.1:0".parse().expect("an address"), context.clone(), services).await.expect("a free port")
}

#[tokio::test]
async fn a_service_is_called_the_same_from_another_process() {
    let (context, stub) = (stub::context(), Stub::default());
    let server = bind(&context, vec![stub.service(&context)]).await;
    let peer = remote(server.address());
    let (stop, asked) = oneshot::channel::<()>();
    let calls = async move {
        let mut client = EventsServiceClient::new(peer.clone());
        let answer = client.query(query("caller")).await.expect("answered").into_inner();
        assert_eq!(answer.next_page_token, "default/local");
        let status = client.query(query("bare")).await.expect_err("bare");
        assert_eq!(crate::Refusal::from_status(&status).reason_name(), "PEER_UNAVAILABLE");
        HealthClient::new(peer).check(HealthCheckRequest::default()).await.expect("health is there");
        stop.send(()).expect("the server runs");
    };
    let (ended, ()) = tokio::join!(server.run(async { drop(asked.await) }), calls);
    ended.expect("a clean end");
}

#[tokio::test]
async fn a_stop_ends_endless_streams_and_then_the_tasks_the_last_opened_first() {
    let (context, stub) = (stub::context(), Stub::default());
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks = ["events", "things"].map(|name| {
        let (tasks, order) = (Tasks::new(name), std::sync::Arc::clone(&order));
        tasks.spawn("work", |cancel| async move {
            cancel.cancelled().await;
            order.lock().expect("no panic").push(name);
        });
        tasks
    });
    let [events, things] = tasks;
    let first = Service { tasks: events, ..stub.service(&context) };
    let second = Service { tasks: things, name: "things", routes: Routes::default(), http: None };
    let server = bind(&context, vec![first, second]).await;
    let peer = remote(server.address());
    let (stop, asked) = oneshot::channel::<()>();
    let calls = async move {
        let mut stream = EventsServiceClient::new(peer).subscribe(subscribe("quiet")).await.expect("open").into_inner();
        stream.message().await.expect("the first").expect("message");
        stop.send(()).expect("the server runs");
        let end = stream.message().await.expect_err("the end");
        assert_eq!(end.message(), "the server is draining");
    };
    let (ended, ()) = tokio::join!(server.run(async { drop(asked.await) }), calls);
    ended.expect("a clean end");
    assert_eq!(*order.lock().expect("no panic"), ["things", "events"]);
}

#[tokio::test]
async fn a_failed_task_ends_the_process_with_its_error() {
    let (context, stub) = (stub::context(), Stub::default());
    let service = stub.service(&context);
    service.tasks.spawn("flush", |_| async { Err::<(), _>("no space") });
    let server = bind(&context, vec![service]).await;
    let error = tokio::time::timeout(LIMIT, server.run(std::future::pending())).await.expect("it ends");
    assert_eq!(error.expect_err("it failed").to_string(), "task events/flush failed: no space");
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let context = stub::context();
    let taken = bind(&context, Vec::new()).await;
    let again = Server::bind(taken.address(), context, Vec::new()).await;
    assert_eq!(again.err().expect("taken").to_string(), format!("{} cannot be listened on", taken.address()));
}

#[tokio::test]
async fn the_gateways_router_is_served_in_place_of_the_methods() {
    let context = stub::context();
    let gateway = Service {
        name: "gateway",
        routes: Routes::default(),
        http: Some(health::pages(&context.readiness)),
        tasks: Tasks::new("gateway"),
    };
    let server = bind(&context, vec![Stub::default().service(&context), gateway]).await;
    assert_eq!(server.limits, Limits::public());
    let answer = tower::ServiceExt::oneshot(
        server.router.clone(),
        http::Request::get("/_/readyz").body(axum::body::Body::empty()).expect("a request"),
    );
    assert_eq!(answer.await.expect("infallible").status(), http::StatusCode::OK);
}

#[tokio::test]
async fn a_process_opens_with_the_keys_that_its_settings_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = |listen: &str, keys: Option<PathBuf>| Config {
        listen: listen.parse().expect("an address"),
        data_dir: directory.path().into(),
        keys,
        peer_key: None,
        log: "off".to_owned(),
    };
    let open = Context::open(&config("127.0.0.1:0", None)).expect("loopback");
    assert!(open.keyring.is_open());
    assert!(
        open.require_peer_key()
            .expect_err("minted")
            .to_string()
            .starts_with("--peer-key (ANNALS_PEER_KEY) must be given")
    );
    let shared = Config { peer_key: Some(PeerKey::mint()), ..config("127.0.0.1:0", None) };
    Context::open(&shared).expect("loopback").require_peer_key().expect("given");
    Context::open(&config("0.0.0.0:0", None)).err().expect("exposed");
    Context::open(&config("127.0.0.1:0", Some("nowhere.toml".into()))).err().expect("no such file");
    std::fs::write(directory.path().join("keys.toml"), "").expect("writable");
    assert!(!Context::open(&config("0.0.0.0:0", None)).expect("an empty list of keys").keyring.is_open());
    let wrong = Config { log: "=".to_owned(), ..config("127.0.0.1:0", None) };
    assert!(Context::open(&wrong).err().expect("no filter").to_string().starts_with("log: `=`"));
}
