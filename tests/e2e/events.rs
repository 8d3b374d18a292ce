//! Events: appended once, on disk when acknowledged, asked for and followed; mutations exactly once whatever restarts.

use std::collections::{BTreeMap, BTreeSet};

use domain::Clock;
use harness::{cluster::Cluster, http::Answer};
use http::Method;
use proto::events::v1::{AppendRequest, Event, Order, QueryRequest, Start, SubscribeRequest};
use serde_json::{Value, json};

super::on_both_topologies! {
    events_are_appended_as_an_array_or_lines_and_asked_for,
    a_column_that_is_given_comes_back_and_the_others_are_derived,
    an_event_with_a_ulid_is_stored_once_and_the_first_body_stays,
    acknowledged_events_survive_a_kill,
    the_tail_resumes_without_loss_or_repeats,
    the_tail_filters_and_shows_a_sign_of_life,
    a_subscription_begins_where_it_says,
    each_mutation_is_there_once_whatever_restarts,
}

async fn append(cluster: &Cluster, events: &[Value]) -> Answer {
    let json = [("content-type", "application/json")];
    cluster.http().call(Method::POST, "/_/events", &json, &Value::from(events).to_string()).await
}

fn log(number: usize) -> Value {
    json!({"event_type": "log", "data": {"number": number}})
}

async fn ulids(cluster: &Cluster, query: &str) -> Vec<String> {
    let (mut ulids, mut token) = (Vec::new(), String::new());
    loop {
        let page = cluster.http().get(&format!("/_/events?{query}&page_token={token}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        ulids.extend(items.iter().map(|event| event["ulid"].as_str().unwrap().to_owned()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return ulids;
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn events_are_appended_as_an_array_or_lines_and_asked_for(cluster: &mut Cluster) {
    let array: Vec<_> = (0..7).map(log).collect();
    let first = strings(&append(cluster, &array).await.expect(200).json()["ulids"]);
    let lines =
        "{\"event_type\":\"metric\",\"entity_ns\":\"river\",\"entity_id\":\"a\"}\n\n{\"event_type\":\"error\"}\r\n";
    let lines_type = [("content-type", "application/x-ndjson")];
    let second = cluster.http().call(Method::POST, "/_/events", &lines_type, lines).await.expect(200).json();
    let second = strings(&second["ulids"]);
    let all = [first.clone(), second.clone()].concat();
    assert_eq!(ulids(cluster, "").await, all);
    assert_eq!(ulids(cluster, "page_size=2").await, all);
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(ulids(cluster, "order=newest_first&page_size=4").await, reversed);
    assert_eq!(ulids(cluster, "event_type=log").await, first);
    assert_eq!(ulids(cluster, "event_type=metric,error").await, second);
    assert_eq!(ulids(cluster, "ns=river").await, second[..1]);
    assert_eq!(ulids(cluster, "ns=river&id=a&kind=thing").await, second[..1]);
    assert_eq!(ulids(cluster, "ns=river&id=b").await, [""; 0]);

    let items = cluster.http().get("/_/events").await.expect(200).json();
    let time = items["items"][7]["timestamp"].as_str().unwrap().to_owned();
    let since: BTreeSet<_> = ulids(cluster, &format!("from={time}")).await.into_iter().collect();
    let until: BTreeSet<_> = ulids(cluster, &format!("to={time}")).await.into_iter().collect();
    assert!(since.is_disjoint(&until) && since.contains(&second[0]), "{since:?} {until:?}");
    assert_eq!(since.len() + until.len(), all.len());

    let request = QueryRequest { order: Order::NewestFirst.into(), page_size: 1, ..Default::default() };
    let newest = cluster.events().await.query(request).await.unwrap().into_inner().events;
    assert_eq!(newest[0].ulid, *all.last().unwrap());
}

async fn a_column_that_is_given_comes_back_and_the_others_are_derived(cluster: &mut Cluster) {
    let given = json!({
        "event_type": "log", "event_timestamp": "2026-01-31T09:30:00.500Z", "entity_ns": "river", "entity_id": "a#es",
        "entity_type": "Gauge", "script_name": "s", "dispatch_namespace": "d", "worker_name": "w",
        "url": "https://a.example/?q=1", "method": "GET", "cf_ray": "r", "user_agent": "u", "ip": "::1", "status": 503,
        "outcome": "exception", "rpc_method": "m", "error_type": "TypeError", "error_message": "x".repeat(1_001),
        "cpu_time": 1.5, "wall_time": 0.25, "data": {"b": 1, "a": [null]}, "metadata": {"m": 1},
        "logs": [{"message": "x"}, {"message": "y"}], "exceptions": [{"name": "E"}], "retry_count": 2,
    });
    append(cluster, std::slice::from_ref(&given)).await.expect(200);
    let seen = cluster.http().get("/_/events").await.expect(200).json()["items"][0].clone();
    for (name, value) in given.as_object().unwrap().iter().filter(|(name, _)| *name != "error_message") {
        assert_eq!(seen[name], *value, "{name}");
    }
    assert_eq!(seen["error_message"].as_str().unwrap().chars().count(), 1_000);
    let derived = [
        ("log_count", json!(2)),
        ("exception_count", json!(1)),
        ("has_exception", json!(true)),
        ("entity_kind", json!("thing")),
        ("tenant", json!("default")),
        ("keep", json!("1y")),
        ("severity", json!("error")),
    ];
    for (name, value) in derived {
        assert_eq!(seen[name], value, "{name}: {seen}");
    }
}

async fn an_event_with_a_ulid_is_stored_once_and_the_first_body_stays(cluster: &mut Cluster) {
    let ulid = Clock::system().ulid().to_string();
    let event = |number: usize| {
        let mut event = log(number);
        event["ulid"] = ulid.clone().into();
        event
    };
    let first = append(cluster, &[log(0), event(1)]).await.expect(200).json();
    assert_eq!((&first["ulids"][1], &first["duplicates"]), (&json!(ulid), &json!([])));
    let again = append(cluster, &[event(2), log(3), event(4)]).await.expect(200).json();
    assert_eq!(again["duplicates"], json!([0, 2]));
    cluster.kill_and_restart("events").await;
    let later = append(cluster, &[event(5)]).await.expect(200).json();
    assert_eq!((&later["ulids"], &later["duplicates"]), (&json!([ulid]), &json!([0])));
    let events = cluster.http().get("/_/events").await.expect(200).json();
    let numbers: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["data"]["number"]).collect();
    assert_eq!(numbers, [0, 1, 3]);
}

async fn acknowledged_events_survive_a_kill(cluster: &mut Cluster) {
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let one = |batch: usize| {
            let events: Vec<_> = (0..20).map(|number| log(batch * 20 + number)).collect();
            let cluster = &*cluster;
            async move { strings(&append(cluster, &events).await.expect(200).json()["ulids"]) }
        };
        let answers = futures::future::join_all((0..8).map(one)).await;
        acknowledged.extend(answers.into_iter().flatten());
        cluster.kill_and_restart("events").await;
        let kept: BTreeSet<_> = ulids(cluster, "page_size=1000").await.into_iter().collect();
        assert_eq!(kept, acknowledged.iter().cloned().collect(), "round {round}");
    }
}

async fn the_tail_resumes_without_loss_or_repeats(cluster: &mut Cluster) {
    let mut stored = Vec::new();
    let (mut seen, mut last) = (Vec::new(), None::<String>);
    for round in 0..5 {
        let events: Vec<_> = (0..9).map(log).collect();
        stored.extend(strings(&append(cluster, &events).await.expect(200).json()["ulids"]));
        let http = cluster.http();
        let resume: Vec<_> = last.iter().map(|id| ("last-event-id", id.as_str())).collect();
        let mut tail = http.follow("/_/events/tail?start=beginning", &resume).await;
        let more = strings(&append(cluster, &events).await.expect(200).json()["ulids"]);
        stored.extend(more);
        // Stops in the middle of what there is.
        while seen.len() < stored.len() - 4 {
            let (id, event) = tail.next_event().await;
            seen.push(event["ulid"].as_str().unwrap().to_owned());
            last = Some(id);
        }
        drop(tail);
        if round == 2 {
            cluster.kill_and_restart("events").await;
        }
    }
    let mut tail = cluster.http().follow("/_/events/tail", &[("last-event-id", &last.unwrap())]).await;
    while seen.len() < stored.len() {
        seen.push(tail.next_event().await.1["ulid"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, stored);
}

async fn the_tail_filters_and_shows_a_sign_of_life(cluster: &mut Cluster) {
    let mut tail = cluster.http().follow("/_/events/tail?event_type=error&ns=river", &[]).await;
    let opening = tail.next().await.unwrap();
    assert_eq!((opening.id.as_str(), opening.data.as_str()), ("", ""));
    let begin = tail.next().await.unwrap();
    assert_eq!((begin.comment.as_str(), begin.data.as_str()), ("heartbeat", ""));
    let about = |event_type: &str, ns: &str| json!({"event_type": event_type, "entity_ns": ns, "entity_id": "a"});
    let events = [about("log", "river"), about("error", "lake"), about("error", "river"), about("log", "river")];
    let stored = append(cluster, &events).await.expect(200).json();
    let (id, event) = tail.next_event().await;
    assert_eq!(event["ulid"], stored["ulids"][2]);
    let sign = tail.next().await.unwrap();
    assert_eq!((sign.comment.as_str(), sign.data.as_str()), ("heartbeat", ""));
    assert_ne!(sign.id, id, "the cursor moves over what the filter left out");
    assert_eq!(sign.id, stored["cursor"].as_str().unwrap());
}

async fn a_subscription_begins_where_it_says(cluster: &mut Cluster) {
    let stored: Vec<_> = (0..3).map(log).collect();
    let stored = append(cluster, &stored).await.expect(200).json();
    let follow = async |request: SubscribeRequest| {
        let mut signs = cluster.events().await.subscribe(request).await.unwrap().into_inner();
        let begin = signs.message().await.unwrap().unwrap();
        assert_eq!(begin.event, None);
        (begin.cursor, signs)
    };
    let (cursor, mut all) = follow(SubscribeRequest { start: Start::Beginning.into(), ..Default::default() }).await;
    let first = all.message().await.unwrap().unwrap();
    assert_eq!(first.event.unwrap().ulid, stored["ulids"][0].as_str().unwrap());
    let (_, mut rest) = follow(SubscribeRequest { cursor: first.cursor, ..Default::default() }).await;
    assert_eq!(rest.message().await.unwrap().unwrap().event.unwrap().ulid, stored["ulids"][1].as_str().unwrap());
    let (_, mut again) = follow(SubscribeRequest { cursor, ..Default::default() }).await;
    assert_eq!(again.message().await.unwrap().unwrap().event.unwrap().ulid, stored["ulids"][0].as_str().unwrap());

    let (begin, mut now) = follow(SubscribeRequest::default()).await;
    assert_eq!(begin, stored["cursor"].as_str().unwrap());
    let event = Event { event_type: "metric".into(), ..Event::default() };
    let request = AppendRequest { events: vec![event], relay: None };
    let later = cluster.events().await.append(request).await.unwrap().into_inner();
    let seen = now.message().await.unwrap().unwrap();
    assert_eq!((seen.event.unwrap().ulid, seen.cursor), (later.ulids[0].clone(), later.cursor));
}

async fn each_mutation_is_there_once_whatever_restarts(cluster: &mut Cluster) {
    let mut written = BTreeMap::new();
    let mut last = String::new();
    for (round, service) in ["events", "things", "events", "gateway", "things"].into_iter().enumerate() {
        for number in 0..12 {
            let path = format!("/river/g{}", number % 5);
            let body = json!({"type": "Gauge", "content": format!("{round}.{number}")});
            cluster.http().put(&path, &body).await.header("annals-ulid").clone_into(&mut last);
            written.insert(last.clone(), path);
        }
        // The relay is in the middle of it.
        cluster.kill_and_restart(service).await;
    }
    let seen = ulids(cluster, &format!("event_type=mutation&page_size=1000&wait_for={last}")).await;
    let once: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "a mutation is there twice");
    assert_eq!(once, written.keys().cloned().collect());
    for number in 0..5 {
        let path = format!("/river/g{number}");
        let history = cluster.http().get(&format!("{path}?view=history&page_size=1000")).await.expect(200).json();
        let items = history["items"].as_array().unwrap();
        let told: Vec<_> = items.iter().map(|item| item["ulid"].as_str().unwrap()).collect();
        let expected: Vec<_> = written.iter().filter(|(_, at)| **at == path).map(|(ulid, _)| ulid.as_str()).collect();
        assert_eq!(told, expected, "{path}");
        assert!(items.windows(2).all(|pair| pair[0]["after"] == pair[1]["before"]), "{history}");
    }
}
