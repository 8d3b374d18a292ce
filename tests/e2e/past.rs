//! Reads of the past: as of a time or ULID, history, and never behind a write that was answered.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use harness::{
    cluster::{Cluster, Setup, Topology},
    http::Http,
};
use proto::{
    common::v1::Key,
    events::v1::{
        AppendRequest, AsOf, DiffRequest, Event, Operation, QueryRequest, RelayBatch, StateAtRequest, as_of,
        events_service_client::EventsServiceClient,
    },
};
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::transport::Endpoint;

super::on_every_store! {
    a_past_state_is_the_same_bytes_as_it_was_then,
    history_lists_every_change_with_before_after_and_actor,
    a_deleted_thing_is_absent_now_and_readable_as_of_before,
    a_read_in_the_future_is_refused,
    a_read_right_after_each_of_many_writes_sees_it,
    a_past_list_is_the_same_bytes_as_it_was_then,
    a_past_list_right_after_each_of_many_writes_sees_it,
    a_difference_has_both_states_and_typed_changes,
}

fn numbered(number: u32) -> Value {
    json!({"type": "Gauge", "content": format!("level {number}"), "data": {"number": number, "exact": 1.10}})
}

async fn a_past_state_is_the_same_bytes_as_it_was_then(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/river/a", &numbered(1)).await.expect(201);
    let then = http.get("/river/a").await.expect(200);
    let second = http.put("/river/a", &numbered(2)).await.expect(200).header("annals-ulid").to_owned();
    let first = then.header("etag").trim_matches('"').to_owned();
    assert_eq!(http.get(&format!("/river/a?at={first}")).await.expect(200).body, then.body);
    let now = http.get("/river/a").await.expect(200);
    assert_eq!(http.get(&format!("/river/a?at={second}")).await.expect(200).body, now.body);
    let time = then.json()["updated_at"].as_str().unwrap().to_owned();
    if time != now.json()["updated_at"] {
        assert_eq!(http.get(&format!("/river/a?at={time}")).await.expect(200).body, then.body);
    }
}

async fn history_lists_every_change_with_before_after_and_actor(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/river/a", &numbered(1)).await.expect(201);
    http.put("/river/a", &numbered(2)).await.expect(200);
    http.delete("/river/a").await.expect(204);
    let history = http.get("/river/a?view=history").await.expect(200).json();
    let items = history["items"].as_array().unwrap();
    let types: Vec<_> = items.iter().map(|item| item["mutation_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["created", "updated", "deleted"]);
    assert_eq!(items[1]["before"]["content"], "level 1");
    assert_eq!(items[1]["after"]["content"], "level 2");
    assert_eq!((&items[0]["before"], &items[2]["after"]), (&Value::Null, &Value::Null));
    assert!(items.iter().all(|item| item["actor"] == "local"), "{history}");
}

async fn a_deleted_thing_is_absent_now_and_readable_as_of_before(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/river/a", &numbered(1)).await.expect(201);
    let then = http.get("/river/a").await.expect(200);
    let deletion = http.delete("/river/a").await.expect(204).header("annals-ulid").to_owned();
    http.get("/river/a").await.expect(404);
    http.get(&format!("/river/a?at={deletion}")).await.expect(404);
    let created = then.header("etag").trim_matches('"').to_owned();
    assert_eq!(http.get(&format!("/river/a?at={created}")).await.expect(200).body, then.body);
    let reborn = http.put("/river/a", &numbered(3)).await.expect(201);
    assert!(reborn.header("annals-ulid") > deletion.as_str());
}

async fn a_read_in_the_future_is_refused(cluster: &mut Cluster) {
    cluster.http().put("/river/a", &numbered(1)).await.expect(201);
    let refused = cluster.http().get("/river/a?at=2999-01-01T00:00:00Z").await.expect(400);
    assert_eq!(refused.json()["type"], "/_/reasons/AS_OF_IN_FUTURE");
}

async fn a_read_right_after_each_of_many_writes_sees_it(cluster: &mut Cluster) {
    let http = cluster.http();
    for number in 0..100 {
        let ulid = http.put("/river/a", &numbered(number)).await.header("annals-ulid").to_owned();
        let seen = http.get(&format!("/river/a?at={ulid}")).await.expect(200).json();
        assert_eq!(seen["content"], format!("level {number}"));
    }
}

async fn a_past_list_is_the_same_bytes_as_it_was_then(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/_/namespaces/river/log", &json!({"style": "literal"})).await.expect(200);
    for ns in ["river", "river/log"] {
        let put = async |id: &str, number| {
            let put = http.put(&format!("/{ns}/{id}"), &numbered(number)).await;
            put.header("annals-ulid").to_owned()
        };
        for (number, id) in (0..).zip(["b_c", "a", "d", "x%2Fy"]) {
            put(id, number).await;
        }
        let then = put("a%23es", 9).await;
        let list = http.get(&format!("/{ns}/")).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 5);
        let time =
            http.get(&format!("/{ns}/a%23es")).await.expect(200).json()["updated_at"].as_str().unwrap().to_owned();

        put("a", 10).await;
        http.delete(&format!("/{ns}/d")).await.expect(204);
        put("e", 11).await;
        assert_eq!(http.get(&format!("/{ns}/?at={then}")).await.expect(200).text(), list.text());
        let typed = http.get(&format!("/{ns}/?at={then}&type=Gauge")).await.expect(200);
        assert_eq!(typed.json(), list.json());
        assert_eq!(http.get(&format!("/{ns}/?at={then}&type=None")).await.expect(200).json()["items"], json!([]));
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let page = http.get(&format!("/{ns}/?at={then}&page_size=2&page_token={token}")).await.expect(200).json();
            items.extend(page["items"].as_array().unwrap().clone());
            page["next_page_token"].as_str().unwrap().clone_into(&mut token);
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(Value::from(items), list.json()["items"]);
        let by_time = http.get(&format!("/{ns}/?at={time}")).await.expect(200).json();
        assert_eq!(by_time["items"][1], list.json()["items"][1]);
    }
    let refused = http.get("/river/?at=2999-01-01T00:00:00Z").await.expect(400);
    assert_eq!(refused.json()["type"], "/_/reasons/AS_OF_IN_FUTURE");
    let first = http.get("/river/?at=2020-01-01T00:00:00Z").await.expect(200).json();
    assert_eq!(first, json!({"items": [], "next_page_token": ""}));
}

async fn a_past_list_right_after_each_of_many_writes_sees_it(cluster: &mut Cluster) {
    let http = cluster.http();
    for number in 0..20 {
        http.put(&format!("/river/{number:02}"), &numbered(number)).await.expect(201);
        let now = domain::Clock::system().now();
        let seen = http.get(&format!("/river/?at={now}")).await.expect(200).json();
        assert_eq!(seen["items"].as_array().unwrap().len(), number as usize + 1, "{now}");
    }
}

async fn a_difference_has_both_states_and_typed_changes(cluster: &mut Cluster) {
    let http = cluster.http();
    let ulid = http.put("/river/a", &numbered(1)).await.expect(201).header("annals-ulid").to_owned();
    http.put("/river/a", &json!({"type": "Gauge", "data": {"exact": 1.10, "new": [1]}})).await.expect(200);
    let key = Some(Key { ns: "river".into(), id: "a".into(), ..Key::default() });
    let wait_for = http.get("/river/a").await.expect(200).header("etag").trim_matches('"').to_owned();
    let from = Some(AsOf { as_of: Some(as_of::AsOf::Ulid(ulid.clone())) });
    let request = DiffRequest { key, from, wait_for: wait_for.clone(), ..Default::default() };
    let told = cluster.events().await.diff(request).await.unwrap().into_inner();
    let changes: Vec<_> = told.changes.iter().map(|change| (change.path.as_str(), change.operation())).collect();
    assert_eq!(
        changes,
        [("/content", Operation::Removed), ("/data/number", Operation::Removed), ("/data/new", Operation::Added)]
    );
    assert_eq!(told.changes[0].hunks[0].removed, "level 1");
    assert_eq!((&*told.changes[1].before, &*told.changes[2].after), ("1", "[1]"));
    assert!(told.before.is_some() && told.after.is_some());
    let over_http = http.get(&format!("/river/a?view=diff&from={ulid}")).await.expect(200).json();
    let expected = json!([
        {"path": "/content", "before": "level 1"},
        {"path": "/data/number", "before": 1},
        {"path": "/data/new", "after": [1]}
    ]);
    assert_eq!(over_http, json!({"url": "/river/a", "from": ulid, "to": wait_for, "changes": expected}));
}

/// Whoever wrote it had a clock that was ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_ahead_of_the_clock_can_be_read_by_its_ulid_but_no_other_ulid_can() {
    let cluster = Cluster::start(Topology::Separate).await;
    let http = cluster.http();
    let first = http.put("/river/a", &numbered(1)).await.expect(201).header("annals-ulid").to_owned();
    let request = QueryRequest { wait_for: first.clone(), ..QueryRequest::default() };
    let events = cluster.events().await.query(request).await.unwrap().into_inner().events;
    let ahead = ulid(7_200);
    let data = events[0].data.replace("level 1", "level 2").replace(&first, &ahead);
    let event = Event { ulid: ahead.clone(), data, ..events[0].clone() };
    let relay = Some(RelayBatch { relay_id: ulid(0), batch: 1 });
    let mut request = tonic::Request::new(AppendRequest { events: vec![event], relay });
    request.metadata_mut().insert("authorization", format!("Bearer {}", cluster.peer_key()).parse().unwrap());
    let events = Endpoint::new(format!("http://{}", cluster.events)).unwrap().connect().await.unwrap();
    EventsServiceClient::new(events).append(request).await.unwrap();

    let seen = http.get(&format!("/river/a?at={ahead}")).await.expect(200).json();
    assert_eq!(seen["content"], "level 2");
    let changes = http.get(&format!("/river/a?view=diff&from={first}&to={ahead}")).await.expect(200).json();
    assert_eq!(changes["changes"], json!([{"path": "/content", "before": "level 1", "after": "level 2"}]));
    let refused = http.get(&format!("/river/a?at={}", ulid(3_600))).await.expect(400);
    assert_eq!(refused.json()["type"], "/_/reasons/AS_OF_IN_FUTURE");
}

/// One of so many seconds ahead.
fn ulid(seconds: i64) -> String {
    domain::Clock::manual(domain::Clock::system().now().plus_millis(seconds * 1_000)).ulid().to_string()
}

/// A proxy in front of events: connections wait while its gate is closed, and closing it cuts them.
async fn gated_proxy(target: Arc<OnceLock<SocketAddr>>) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (gate, open) = watch::channel(true);
    let accept = async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let (mut open, target) = (open.clone(), *target.get().expect("events has an address"));
            let pass = async move {
                if open.wait_for(|open| *open).await.is_err() {
                    return;
                }
                let Ok(mut outside) = TcpStream::connect(target).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut inside, &mut outside) => {}
                    _ = open.wait_for(|open| !open) => {}
                }
            };
            #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
            tokio::spawn(pass);
        }
    };
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(accept);
    (address, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_relay_held_up_a_read_of_the_past_is_right_or_relay_behind() {
    let target = Arc::default();
    let (proxy, gate) = gated_proxy(Arc::clone(&target)).await;
    let cluster = Setup::new(Topology::Separate).relay_through(proxy, target).start().await;
    let http = cluster.http();
    let first = http.put("/river/a", &numbered(1)).await.header("annals-ulid").to_owned();
    http.get(&format!("/river/a?at={first}")).await.expect(200);

    gate.send(false).unwrap();
    let second = http.put("/river/a", &numbered(2)).await.expect(200).header("annals-ulid").to_owned();
    for at in [&first, &second] {
        let refused = read_at(&http, at).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.json()["type"], "/_/reasons/RELAY_BEHIND");
    }
    gate.send(true).unwrap();
    assert_eq!(http.get(&format!("/river/a?at={second}")).await.expect(200).json()["content"], "level 2");
    assert_eq!(http.get(&format!("/river/a?at={first}")).await.expect(200).json()["content"], "level 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_relay_held_up_a_list_of_the_past_is_right_or_relay_behind() {
    let target = Arc::default();
    let (proxy, gate) = gated_proxy(Arc::clone(&target)).await;
    let cluster = Setup::new(Topology::Separate).relay_through(proxy, target).start().await;
    let http = cluster.http();
    let first = http.put("/river/a", &numbered(1)).await.header("annals-ulid").to_owned();
    let list =
        async |at: &str| http.call(http::Method::GET, &format!("/river/?at={at}"), &[("grpc-timeout", "1S")], "").await;
    let then = list(&first).await.expect(200).json();

    gate.send(false).unwrap();
    let second = http.put("/river/b", &numbered(2)).await.expect(201).header("annals-ulid").to_owned();
    for at in [&first, &second] {
        let refused = list(at).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.json()["type"], "/_/reasons/RELAY_BEHIND");
    }
    gate.send(true).unwrap();
    let both = http.get(&format!("/river/?at={second}")).await.expect(200).json();
    assert_eq!(both["items"].as_array().unwrap().len(), 2);
    assert_eq!(list(&first).await.expect(200).json(), then);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_relay_held_up_what_became_private_is_hidden_from_who_waits_for_it() {
    let target = Arc::default();
    let (proxy, gate) = gated_proxy(Arc::clone(&target)).await;
    let tenant = "a".parse().unwrap();
    let [owner, guest] = [("owner", "admin:*"), ("guest", "read:elsewhere")]
        .map(|(name, scope)| serve::Keyring::generate(&tenant, name, &[scope.parse().unwrap()]));
    let setup = Setup::new(Topology::Separate).keys(format!("{}{}", owner.entry, guest.entry));
    let cluster = setup.relay_through(proxy, target).start().await;
    let (http, owner, guest) = (cluster.http(), format!("Bearer {}", owner.text), format!("Bearer {}", guest.text));
    let put = async |visibility| {
        let headers = [("authorization", owner.as_str()), ("content-type", "application/json")];
        let body = json!({"type": "Gauge", "visibility": visibility}).to_string();
        http.call(http::Method::PUT, "/river/a", &headers, &body).await.header("annals-ulid").to_owned()
    };
    let first = put("public").await;
    let url = format!("/river/a?at={first}");
    let over_http = async || http.call(http::Method::GET, &url, &[("authorization", &guest)], "").await;
    over_http().await.expect(200);

    gate.send(false).unwrap();
    let hidden = put("private").await;
    over_http().await.expect(404);
    let directly = async |wait_for: &str| {
        let key = Some(Key { ns: "river".into(), id: "a".into(), ..Key::default() });
        let as_of = Some(AsOf { as_of: Some(as_of::AsOf::Ulid(first.clone())) });
        let mut request =
            tonic::Request::new(StateAtRequest { key, as_of, wait_for: wait_for.into(), ..Default::default() });
        request.metadata_mut().insert("authorization", guest.parse().unwrap());
        request.metadata_mut().insert("grpc-timeout", "1S".parse().unwrap());
        cluster.events().await.state_at(request).await.map_or_else(|status| status.code(), |_| tonic::Code::Ok)
    };
    assert_eq!(directly("").await, tonic::Code::Ok, "events cannot know yet");
    assert_eq!(directly(&hidden).await, tonic::Code::Unavailable);
    gate.send(true).unwrap();
    // As the owner, who sees when it has arrived.
    let arrived =
        http.call(http::Method::GET, &format!("/river/a?at={hidden}"), &[("authorization", &owner)], "").await;
    arrived.expect(200);
    assert_eq!(directly("").await, tonic::Code::NotFound);
}

/// With a deadline of a second, so that the test need not wait for the default one.
async fn read_at(http: &Http, at: &str) -> harness::http::Answer {
    http.call(http::Method::GET, &format!("/river/a?at={at}"), &[("grpc-timeout", "1S")], "").await
}
