//! Schemas of types: over gRPC, over HTTP and by the program.

use harness::cluster::Cluster;
use harness::http::Answer;
use http::Method;
use proto::common::v1::Key;
use proto::things::v1::{
    GetSchemaRequest, ListSchemasRequest, PutSchemaRequest, PutThingRequest, RegisterNamespaceRequest, Thing,
};
use serde_json::{Value, json};
use tonic_types::StatusExt as _;

super::on_every_store! {
    a_write_that_breaks_the_schema_of_its_type_is_refused_over_grpc,
    schemas_are_put_read_and_deleted_over_http,
    what_a_thing_was_is_not_restored_against_its_schema,
    the_program_knows_schemas,
}

async fn send(cluster: &Cluster, method: Method, path: &str, body: &Value) -> Answer {
    cluster.http().call(method, path, &[("content-type", "application/json")], &body.to_string()).await
}

async fn a_write_that_breaks_the_schema_of_its_type_is_refused_over_grpc(cluster: &mut Cluster) {
    let mut things = cluster.things().await;
    let register = RegisterNamespaceRequest { ns: "river".into(), ..Default::default() };
    things.register_namespace(register).await.unwrap();
    let (ns, r#type) = ("river".to_owned(), "Gauge".to_owned());
    let schema = r#"{ "properties": {"level": {"type": "number"}}, "required": ["level"] }"#;
    let put = PutSchemaRequest { ns: ns.clone(), r#type: r#type.clone(), schema: schema.into() };
    let answer = things.put_schema(put.clone()).await.unwrap();
    assert_eq!(answer.metadata().get("annals-outcome").unwrap(), "created");
    let kept = answer.into_inner();
    assert_eq!(kept.schema, r#"{"properties":{"level":{"type":"number"}},"required":["level"]}"#);
    let again = things.put_schema(put).await.unwrap();
    assert_eq!(again.metadata().get("annals-outcome").unwrap(), "unchanged");
    let get = GetSchemaRequest { ns: ns.clone(), r#type: r#type.clone() };
    assert_eq!(things.get_schema(get).await.unwrap().into_inner(), kept);
    let listed = things.list_schemas(ListSchemasRequest { ns: ns.clone() }).await.unwrap().into_inner();
    assert_eq!(listed.schemas, [kept]);
    let key = Some(Key { ns: ns.clone(), id: "a".into(), ..Key::default() });
    let thing = Thing { key, r#type: r#type.clone(), data: Some(r#"{"level":"high"}"#.into()), ..Thing::default() };
    let mut request = PutThingRequest { thing: Some(thing), ..Default::default() };
    let refused = things.put_thing(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "SCHEMA_VIOLATED");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "thing.data/level");
    request.thing.as_mut().unwrap().data = Some(r#"{"level":2.5}"#.into());
    things.put_thing(request).await.unwrap();
    let lower = r#"{"properties":{"level":{"maximum":2}}}"#.to_owned();
    let refused = things.put_schema(PutSchemaRequest { ns, r#type, schema: lower }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "SCHEMA_BROKEN");
    let broken = &details.bad_request().unwrap().field_violations[0];
    assert_eq!((broken.field.as_str(), broken.description.starts_with("/level: ")), ("river/a", true));
}

async fn schemas_are_put_read_and_deleted_over_http(cluster: &mut Cluster) {
    let http = cluster.http();
    http.put("/_/namespaces/river/upper", &json!({"style": "literal"})).await.expect(200);
    let (url, schema) = ("/_/schemas/river/upper?type=Gauge", json!({"schema": {"required": ["level"]}}));
    http.get(url).await.expect(404);
    let put = http.put(url, &schema).await.expect(201).json();
    assert_eq!((&put["ns"], &put["type"]), (&json!("river/upper"), &json!("Gauge")));
    let found = http.get(url).await.expect(200).json();
    assert_eq!(found, put);
    // What a GET answers can be put again.
    http.put(url, &found).await.expect(200);
    let listed = http.get("/_/schemas/river/upper").await.expect(200).json();
    assert_eq!(listed, json!({"items": [put]}));
    let refused = http.put("/river/upper/a", &json!({"type": "Gauge", "data": {"depth": 1}})).await.expect(400).json();
    assert_eq!(
        (&refused["type"], &refused["errors"][0]["field"]),
        (&json!("/_/reasons/SCHEMA_VIOLATED"), &json!("data"))
    );
    http.put("/river/upper/a", &json!({"type": "Gauge", "data": {"level": 1}})).await.expect(201);
    let patched =
        send(cluster, Method::PATCH, "/river/upper/a", &json!({"data": {"level": null}})).await.expect(400).json();
    assert_eq!(patched["type"], "/_/reasons/SCHEMA_VIOLATED", "{patched}");
    let broken = http.put(url, &json!({"schema": {"required": ["depth"]}})).await.expect(400).json();
    assert_eq!(broken["type"], "/_/reasons/SCHEMA_BROKEN", "{broken}");
    assert_eq!(broken["errors"][0]["field"], "river/upper/a", "{broken}");
    for (url, body) in [
        (url, json!({"schema": {"type": "none"}})),
        (url, json!({"schema": {"$ref": "https://example.com/"}})),
        (url, json!({"shema": true})),
        ("/_/schemas/river/upper", schema),
    ] {
        http.put(url, &body).await.expect(400);
    }
    http.delete(url).await.expect(204);
    http.delete(url).await.expect(404);
    http.put("/river/upper/a", &json!({"type": "Gauge", "data": {}})).await.expect(200);
}

async fn what_a_thing_was_is_not_restored_against_its_schema(cluster: &mut Cluster) {
    let http = cluster.http();
    let old = http.put("/river/a", &json!({"type": "Gauge", "data": {"level": "high"}})).await.expect(201).json();
    http.put("/river/b", &json!({"type": "Gauge"})).await.expect(201);
    http.delete("/river/b").await.expect(204);
    http.put("/river/a", &json!({"type": "Gauge", "data": {"level": 3}})).await.expect(200);
    let schema = json!({"schema": {"required": ["level"], "properties": {"level": {"type": "number"}}}});
    http.put("/_/schemas/river?type=Gauge", &schema).await.expect(201);
    let restore = json!({"url": "/river/a", "at": old["etag"]});
    let refused = send(cluster, Method::POST, "/_/things:restore", &restore).await.expect(400).json();
    assert_eq!(refused["type"], "/_/reasons/SCHEMA_VIOLATED", "{refused}");
    assert_eq!(refused["errors"][0]["field"], "data/level", "{refused}");
    let refused =
        send(cluster, Method::POST, "/_/things:undelete", &json!({"url": "/river/b"})).await.expect(400).json();
    assert_eq!(refused["type"], "/_/reasons/SCHEMA_VIOLATED", "{refused}");
}

async fn the_program_knows_schemas(cluster: &mut Cluster) {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
        let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.success(), out, error)
    };
    let annals = |arguments: &[&str]| {
        let (is_done, out, error) = run(arguments);
        assert!(is_done, "{arguments:?}: {error}");
        out
    };
    let file = dir.path().join("note.json");
    std::fs::write(&file, r#"{"required": ["title"]}"#).unwrap();
    annals(&["namespace", "register", "river"]);
    let said = annals(&["schema", "put", "river", "Note", file.to_str().unwrap()]);
    assert_eq!(said, "created the schema of type Note in river\n");
    let found: Value = serde_json::from_str(&annals(&["schema", "get", "river", "Note"])).unwrap();
    assert_eq!(found, json!({"required": ["title"]}));
    assert!(annals(&["schema", "list", "river"]).contains("Note"));
    let (is_done, _, error) = run(&["put", "river/a", "--type", "Note", "--data", "{}"]);
    assert!(!is_done && error.contains("SCHEMA_VIOLATED") && error.contains("annals schema get"), "{error}");
    annals(&["schema", "delete", "river", "Note"]);
    annals(&["put", "river/a", "--type", "Note", "--data", "{}"]);
    let (is_done, _, error) = run(&["schema", "put", "river", "Note", file.to_str().unwrap()]);
    assert!(!is_done && error.contains("SCHEMA_BROKEN") && error.contains("river/a"), "{error}");
    let listed: Value = serde_json::from_str(&annals(&["schema", "list", "river", "--json"])).unwrap();
    assert_eq!(listed, json!({"items": []}));
}
