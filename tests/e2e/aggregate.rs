//! Figures of events, over HTTP, gRPC and the command line, wherever the events are.

use harness::cluster::{Cluster, Topology};
use http::Method;
use proto::{
    convert::{column, measure},
    events::v1::{AggregateRequest, CompactArchiveRequest, GetArchiveRequest, aggregate_value::Value as Figure},
};
use serde_json::{Value, json};
use std::time::Duration;

super::on_both_topologies! {
    figures_are_told_in_groups,
}

async fn append(cluster: &Cluster, events: &[Value]) {
    let json = [("content-type", "application/json")];
    cluster.http().call(Method::POST, "/_/events", &json, &Value::from(events).to_string()).await.expect(200);
}

async fn told(cluster: &Cluster, query: &str) -> Value {
    cluster.http().get(&format!("/_/events/aggregate?{query}")).await.expect(200).json()
}

async fn figures_are_told_in_groups(cluster: &mut Cluster) {
    let event = |script: &str, hour: usize, wall: usize, status: usize| {
        json!({"event_type": "log", "script_name": script, "event_timestamp": format!("2026-01-31T0{hour}:30:00Z"),
               "wall_time": wall, "status": status})
    };
    let events = [event("a", 1, 10, 200), event("a", 1, 20, 500), event("b", 2, 30, 500), event("b", 2, 40, 500)];
    append(cluster, &events).await;
    append(cluster, &[json!({"event_type": "metric"})]).await;
    // Where cases run apart it is archived at once.
    let passes: &[bool] = if matches!(cluster.topology, Topology::Separate) { &[false, true] } else { &[false] };
    for is_archived in passes.iter().copied() {
        if is_archived {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            let mut client = cluster.events().await;
            while client.get_archive(GetArchiveRequest {}).await.unwrap().into_inner().pending_bytes > 0 {
                tick.tick().await;
            }
            let mut merges = client.compact_archive(CompactArchiveRequest {}).await.unwrap().into_inner();
            while merges.message().await.unwrap().is_some() {}
        }
        assert_eq!(told(cluster, "").await, json!({"items": [{"count": 5}], "is_truncated": false}));
        let by_script = "group_by=script_name&measures=count,sum_status,avg_wall_time&event_type=log";
        let expected = json!([
            {"script_name": "a", "count": 2, "sum_status": 700, "avg_wall_time": 15},
            {"script_name": "b", "count": 2, "sum_status": 1000, "avg_wall_time": 35},
        ]);
        assert_eq!(told(cluster, by_script).await["items"], expected);
        let errors = "group_by=script_name&severity=error&order_by=count&limit=1";
        let expected = json!({"items": [{"script_name": "b", "count": 2}], "is_truncated": true});
        assert_eq!(told(cluster, errors).await, expected);
        let by_hour = "bucket=hour&bucket_by=event_timestamp&event_type=log&measures=count,max_wall_time";
        let expected = json!([
            {"bucket": "2026-01-31T01:00:00.000Z", "count": 2, "max_wall_time": 20},
            {"bucket": "2026-01-31T02:00:00.000Z", "count": 2, "max_wall_time": 40},
        ]);
        assert_eq!(told(cluster, by_hour).await["items"], expected);
        let none = "group_by=script_name&event_type=metric";
        assert_eq!(told(cluster, none).await["items"], json!([{"script_name": null, "count": 1}]));

        let request = AggregateRequest {
            group_by: vec![column("", "status").unwrap().into()],
            measures: vec![measure("", "p50_wall_time").unwrap()],
            status_from: Some(500),
            ..AggregateRequest::default()
        };
        let answer = cluster.events().await.aggregate(request).await.unwrap().into_inner();
        assert_eq!(answer.rows[0].group[0].value, Some(Figure::Integer(500)));
        assert_eq!(answer.rows[0].values[0].value, Some(Figure::Number(30.0)));
        assert!(!is_archived || answer.cost.unwrap().files > 0);
    }
}
