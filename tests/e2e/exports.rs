//! Everything exported, over HTTP and by the program, and imported again.

use harness::cluster::{Cluster, Topology};
use serde_json::{Value, json};

super::on_every_store! {
    what_the_program_exports_it_imports_again,
    an_export_over_http_goes_on_behind_its_token,
    an_export_of_nothing_is_whole,
}

async fn river(cluster: &Cluster) {
    let http = cluster.http();
    http.put("/_/namespaces/river/upper", &json!({"style": "literal"})).await.expect(200);
    let data: Value = serde_json::from_str(r#"{"n":1.50,"deep":[{"a":null}]}"#).unwrap();
    let body = json!({"type": "Gauge", "content": "# A\nb", "code": "g", "data": data, "embedding": [0.5, -1.0]});
    http.put("/river/upper/a_b", &body).await.expect(201);
    http.put("/river/a_b", &json!({"type": "Gauge", "visibility": "private"})).await.expect(201);
    http.put("/river/a_b%23es", &json!({"type": "Gauge", "visibility": "unlisted"})).await.expect(201);
    let link = json!({"type": "feeds", "from": "/river/upper/a_b", "to": "/river/a_b", "data": {"m": 12}});
    http.put("/_/relationships/river/upper/a_b", &link).await.expect(201);
}

fn annals(cluster: &Cluster, arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = cluster.annals(dir.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lines without what is another's after an import.
fn states(lines: &str) -> Vec<Value> {
    let state = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for kind in ["namespace", "thing", "relationship"] {
            if let Some(members) = row.get_mut(kind).and_then(Value::as_object_mut) {
                members.retain(|name, _| !matches!(name.as_str(), "created_at" | "updated_at" | "etag"));
            }
        }
        row
    };
    lines.lines().map(state).collect()
}

async fn what_the_program_exports_it_imports_again(cluster: &mut Cluster) {
    river(cluster).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("everything.ndjson");
    let file = file.to_str().unwrap();
    annals(cluster, &["export", "--output", file]);
    let again = annals(cluster, &["import", file, "--exported"]);
    assert!(again.contains("6 unchanged"), "{again}");
    let other = Cluster::start(Topology::AllInOne).await;
    let report = annals(&other, &["import", file, "--exported"]);
    assert!(report.contains("6 created") && report.contains("0 failed"), "{report}");
    let (first, second) = (annals(cluster, &["export"]), annals(&other, &["export"]));
    assert_eq!(states(&first), states(&second));
    assert!(first.contains(r#""data":{"deep":[{"a":null}],"n":1.5},"embedding":[0.5,-1]"#), "{first}");
    let one = annals(&other, &["export", "river/upper/"]);
    assert_eq!(one.lines().count(), 3, "{one}");
}

async fn an_export_over_http_goes_on_behind_its_token(cluster: &mut Cluster) {
    river(cluster).await;
    let http = cluster.http();
    let whole = http.get("/_/things:export?page_size=1").await.expect(200);
    assert_eq!(whole.header("content-type"), "application/x-ndjson");
    let whole = whole.text();
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.last(), Some(&r#"{"next_page_token":""}"#));
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/_/things:export?page_size=1&page_token={token}")).await.expect(200);
        let page = page.text();
        // As if the connection had ended there.
        let end = page.lines().position(|line| line.contains("next_page_token")).unwrap();
        rows.extend(page.lines().take(end).map(str::to_owned));
        let last: Value = serde_json::from_str(page.lines().nth(end).unwrap()).unwrap();
        last["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = lines.into_iter().filter(|line| !line.contains("next_page_token")).collect();
    assert_eq!(rows, expected);
    assert_eq!(rows.len(), 6);
    http.get("/_/things:export?page_token=garbage").await.expect(400);
    http.get("/_/things:export?ns=a&ns_prefix=b").await.expect(400);
}

async fn an_export_of_nothing_is_whole(cluster: &mut Cluster) {
    let nothing = cluster.http().get("/_/things:export?ns=none").await.expect(200);
    assert_eq!(nothing.text().trim(), r#"{"next_page_token":""}"#);
    assert_eq!(annals(cluster, &["export", "none/"]), "");
}
