//! Aggregates: every rule and limit of what can be asked.

use harness::cluster::Cluster;
use proto::{
    convert::{column, measure},
    events::v1::{AggregateRequest, Measure, TextFilter},
};

use super::{assert_problem, assert_refused};

crate::on_both_topologies! {
    what_an_aggregate_must_not_say_is_told,
}

async fn what_an_aggregate_must_not_say_is_told(cluster: &mut Cluster) {
    let over_http = [
        ("group_by=script_nam", "FIELD_UNKNOWN", "group_by"),
        ("group_by=wall_time", "FIELD_INVALID", "group_by"),
        ("group_by=status,status", "FIELD_INVALID", "group_by"),
        ("measures=sum_wal_time", "FIELD_UNKNOWN", "measures"),
        ("measures=median_status", "FIELD_INVALID", "measures"),
        ("measures=sum_script_name", "FIELD_INVALID", "measures[0].column"),
        ("measures=count,count", "FIELD_INVALID", "measures"),
        ("measures=", "FIELD_INVALID", "measures"),
        ("order_by=count_status", "FIELD_INVALID", "order_by"),
        ("order=lowest_first", "FIELD_INVALID", "order_by"),
        ("order=up&order_by=count", "FIELD_INVALID", "order"),
        ("bucket=fortnight", "FIELD_INVALID", "bucket"),
        ("bucket=367d", "FIELD_INVALID", "bucket"),
        ("bucket=hour&bucket_by=status", "FIELD_INVALID", "bucket_by"),
        ("bucket_by=timestamp", "FIELD_INVALID", "bucket"),
        ("limit=0", "FIELD_INVALID", "limit"),
        ("limit=10001", "FIELD_INVALID", "limit"),
        ("status_from=x", "FIELD_INVALID", "status_from"),
        ("has_exception=1", "FIELD_INVALID", "has_exception"),
        ("script_name=", "FIELD_INVALID", "filters[0].values"),
        ("kind=edge", "FIELD_INVALID", "kind"),
        ("id=a", "FIELD_INVALID", "entity_ns"),
        ("from=yesterday", "FIELD_INVALID", "from"),
        ("page_size=3", "FIELD_UNKNOWN", "page_size"),
    ];
    for (query, reason, field) in over_http {
        let answer = cluster.http().get(&format!("/_/events/aggregate?{query}")).await;
        assert_problem(&answer, 400, reason);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
    let counted = || AggregateRequest { measures: vec![measure("", "count").unwrap()], ..Default::default() };
    let quantile = |quantile| {
        let measures = vec![Measure { quantile, ..measure("", "p50_wall_time").unwrap() }];
        AggregateRequest { measures, ..counted() }
    };
    let filter = |name: &str, values: Vec<String>| {
        let column = column("", name).unwrap().into();
        AggregateRequest { filters: vec![TextFilter { column, values }], ..counted() }
    };
    let cases = [
        (AggregateRequest { measures: vec![], ..counted() }, "measures"),
        (AggregateRequest { group_by: vec![0], ..counted() }, "group_by"),
        (AggregateRequest { group_by: vec![99], ..counted() }, "group_by"),
        (AggregateRequest { limit: -1, ..counted() }, "limit"),
        (quantile(0.0), "measures[0].quantile"),
        (quantile(1.0), "measures[0].quantile"),
        (quantile(f64::NAN), "measures[0].quantile"),
        (filter("status", vec!["1".into()]), "filters[0].column"),
        (filter("url", vec!["x".into(); 101]), "filters[0].values"),
        (filter("url", vec!["x".repeat(8_193)]), "filters[0].values"),
    ];
    for (request, field) in cases {
        assert_refused(cluster.events().await.aggregate(request).await, &[field]);
    }
}
