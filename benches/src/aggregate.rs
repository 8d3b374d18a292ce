//! Aggregates over the archive, against DuckDB (and, for information, the ClickHouse engine) on the same Parquet files.
//!
//! Hours are those of `event_timestamp`, which spreads over a day: the time of intake is that of the load. The other engines
//! run in Python processes that stay; their time is that of the query and its rows, ours that of the call over gRPC.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::{Clock, Timestamp};
use proto::{
    convert::{column, measure, timestamp_to_wire},
    events::v1::{
        AggregateRequest, AppendRequest, Column, CompactArchiveRequest, Event, GetArchiveRequest, MeasureOrder,
        TextFilter, TimeBucket, aggregate_value::Value, events_service_client::EventsServiceClient,
    },
};
use tonic::transport::Channel;

use crate::{
    engine::Engine,
    report::{Report, Row, median},
    server::Server,
};

const SENDERS: u64 = 8;
/// Events of one append: the most.
const BATCH: usize = 1_000;
const ROUNDS: usize = 7;
/// The hours that `event_timestamp` spreads over.
const DAY: u64 = 24 * 3_600_000;
const QUERIES: [(&str, &str); 3] = [
    ("hours", "count by hour and type"),
    ("errors", "top 10 scripts by errors"),
    ("p99", "p99 of wall_time by script"),
];

pub(crate) async fn run(events: usize) -> anyhow::Result<Report> {
    // Soon, so that all of it is archived when it is asked.
    let server = Server::start_with(&["--archive-flush-interval", "2s"]).await?;
    let start = Instant::now();
    let senders = (0..SENDERS).map(|sender| send(&server, sender, events / SENDERS as usize));
    let sent: usize = futures::future::try_join_all(senders).await?.into_iter().sum();
    println!("{sent} events appended in {:.0} s", start.elapsed().as_secs_f64());
    let mut client = server.events().await?;
    while client.get_archive(GetArchiveRequest {}).await?.into_inner().pending_bytes > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut merges = client.compact_archive(CompactArchiveRequest {}).await?.into_inner();
    while merges.message().await?.is_some() {}
    let archive = client.get_archive(GetArchiveRequest {}).await?.into_inner();
    let table = archive.tables.iter().find(|table| table.name == "events").context("there is the table")?;
    ensure!(table.rows == sent as i64, "{sent} events were sent, {} are archived", table.rows);
    println!("{} files, {} MiB, after {:.0} s", table.files, table.bytes >> 20, start.elapsed().as_secs_f64());
    let dir = server.dir.path().join("data/events");
    let mut duckdb = Engine::start(&dir, "duckdb")?;
    let mut clickhouse = Engine::start(&dir, "clickhouse")?;
    let mut report = Report::default();
    for (query, what) in QUERIES {
        let mut times = [vec![], vec![], vec![]];
        // The first round warms all of them and is not counted.
        for round in 0..=ROUNDS {
            let (seconds, figure) = ask(&mut client, query).await?;
            let others = [duckdb.ask(query)?, clickhouse.ask(query)?];
            // Estimates of quantiles differ a little.
            let most = if query == "p99" { 0.03 * figure } else { 0.0 };
            for (_, other) in others {
                ensure!((figure - other).abs() <= most, "{what}: we say {figure}, another says {other}");
            }
            if round > 0 {
                for (times, seconds) in times.iter_mut().zip([seconds, others[0].0, others[1].0]) {
                    times.push(seconds);
                }
            }
        }
        let [ours, duckdb, clickhouse] = times.map(median);
        for (name, other, bounds) in [("DuckDB", duckdb, Some((0.33, 1.0))), ("ClickHouse", clickhouse, None)] {
            report.push(Row {
                what: format!("{what}, {sent} events"),
                ours: format!("{:.0} ms", ours * 1e3),
                baseline: format!("{:.0} ms, {name} on the same files", other * 1e3),
                ratio: other / ours,
                bounds,
            });
        }
    }
    println!("memory of the server: {} MiB at most", server.peak_bytes()? >> 20);
    report.push(clickhouse.size(&format!("{sent} lines of workers' logs"))?);
    Ok(report)
}

/// Asks us; answers the seconds, and the sum of the last column.
async fn ask(client: &mut EventsServiceClient<Channel>, query: &str) -> anyhow::Result<(f64, f64)> {
    let measure = |name| measure("measures", name).map_err(|invalid| anyhow::anyhow!("{invalid}"));
    let by = |name| column("group_by", name).map(i32::from).map_err(|invalid| anyhow::anyhow!("{invalid}"));
    let request = match query {
        "hours" => AggregateRequest {
            bucket: Some(TimeBucket {
                width: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
                column: by("event_timestamp")?,
            }),
            group_by: vec![by("event_type")?],
            measures: vec![measure("count")?],
            ..Default::default()
        },
        "errors" => AggregateRequest {
            filters: vec![TextFilter { column: Column::Severity.into(), values: vec!["error".into()] }],
            group_by: vec![by("script_name")?],
            measures: vec![measure("count")?],
            order: Some(MeasureOrder { measure: 0, ascending: false }),
            limit: 10,
            ..Default::default()
        },
        _ => AggregateRequest {
            group_by: vec![by("script_name")?],
            measures: vec![measure("p99_wall_time")?],
            ..Default::default()
        },
    };
    let start = Instant::now();
    let answer = client.aggregate(request).await?.into_inner();
    let seconds = start.elapsed().as_secs_f64();
    let last = answer.rows.iter().filter_map(|row| row.values.last()?.value.as_ref());
    let figure = last.map(|value| match value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        _ => f64::NAN,
    });
    Ok((seconds, figure.sum()))
}

async fn send(server: &Server, sender: u64, count: usize) -> anyhow::Result<usize> {
    let (now, mut seed) = (Clock::system().now(), (sender + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut client = server.events().await?;
    let mut sent = 0;
    while sent < count {
        let events: Vec<_> = (0..BATCH.min(count - sent)).map(|_| event(now, &mut seed)).collect();
        sent += events.len();
        let request = AppendRequest { events, relay: None };
        while let Err(status) = client.append(request.clone()).await {
            ensure!(status.code() == tonic::Code::ResourceExhausted, "an append fails: {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(sent)
}

/// A line of a worker's log: some types, 200 scripts of which few are busy, one in ten with an error.
fn event(now: Timestamp, seed: &mut u64) -> Event {
    let mut next = |most: u64| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed >> 11) % most
    };
    let is_error = next(10) == 0;
    let script = next(200).min(next(200));
    let wall = next(1_000) * next(1_000) / 100;
    Event {
        event_timestamp: Some(timestamp_to_wire(now.plus_millis(-(next(DAY) as i64)))),
        event_type: ["log", "metric", "request", "trace"][next(4) as usize].into(),
        script_name: format!("worker-{script}"),
        outcome: if is_error { "exception" } else { "ok" }.into(),
        status: Some(if is_error { 500 } else { 200 }),
        wall_time: Some(wall as f64 / 10.0),
        cpu_time: Some(next(1_000) as f64 / 100.0),
        ..Default::default()
    }
}
