//! Foreign clients, unmodified: buf's curl and a Python grpcio client that knows the protos only from reflection.

use std::process::Command;

use harness::{
    backends::{buf, python},
    cluster::Cluster,
};

super::on_both_topologies! {
    buf_curl_lists_services_puts_and_gets,
    a_python_client_made_from_reflection_puts_and_gets,
    grpc_web_gets_on_the_same_port,
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().expect("the client starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

async fn buf_curl_lists_services_puts_and_gets(cluster: &mut Cluster) {
    let cache = tempfile::tempdir().unwrap();
    let server = format!("http://{}", cluster.gateway);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new(buf());
        command.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"]).args(arguments);
        output(command.env("BUF_CACHE_DIR", cache.path()).env("HOME", cache.path()))
    };
    let services = curl(&["--list-services", &server]);
    for service in [
        "annals.things.v1.ThingsService",
        "annals.events.v1.EventsService",
        "annals.search.v1.SearchService",
        "grpc.health.v1.Health",
    ] {
        assert!(services.contains(service), "{services}");
    }
    let method = |name: &str| format!("{server}/annals.things.v1.ThingsService/{name}");
    let thing = r#"{"thing":{"key":{"path":"river/Upper gauge"},"type":"Gauge","content":"high"}}"#;
    curl(&["-d", thing, &method("PutThing")]);
    let seen = curl(&["-d", r#"{"key":{"ns":"river","id":"Upper_gauge"}}"#, &method("GetThing")]);
    assert!(
        seen.contains(r#""url": "/river/Upper_gauge""#) || seen.contains(r#""url":"/river/Upper_gauge""#),
        "{seen}"
    );
}

async fn a_python_client_made_from_reflection_puts_and_gets(cluster: &mut Cluster) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/reflection.py");
    let out = output(Command::new(python()).arg(script).arg(cluster.gateway.to_string()));
    assert_eq!(out.trim(), "/river/Lower_gauge Gauge low\nNOT_FOUND thing river/none does not exist");
}

async fn grpc_web_gets_on_the_same_port(cluster: &mut Cluster) {
    cluster.http().put("/river/a", &serde_json::json!({"type": "Gauge"})).await.expect(201);
    let request = prost::Message::encode_to_vec(&proto::things::v1::GetThingRequest {
        key: Some(proto::common::v1::Key { path: "river/a".into(), ..Default::default() }),
        ..Default::default()
    });
    let mut frame = vec![0];
    frame.extend(u32::try_from(request.len()).unwrap().to_be_bytes());
    frame.extend(request);
    let headers = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let path = "/annals.things.v1.ThingsService/GetThing";
    let answer = cluster.http().try_call(http::Method::POST, path, &headers, frame.into()).await.unwrap().expect(200);
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("/river/a") && text.contains("grpc-status:0"), "{text}");
}
