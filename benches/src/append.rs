//! Append of 1 KiB events in batches of 100 over gRPC, against one thread that writes the same bytes to a file with an
//! fdatasync for each batch; and in one stream, against as many single appends at once.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::stream;
use proto::events::v1::{AppendRequest, AppendStreamRequest, Event};
use tokio::sync::mpsc;

use crate::{
    report::{Report, Row, median},
    server::{Server, directory},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const BATCH: usize = 100;
const EVENT_BYTES: usize = 1_024;
/// How many batches are under way at once.
const CONCURRENT: [usize; 2] = [1, 8];
/// Batches of one stream that are under way at once.
const STREAMED: usize = 32;

pub(crate) async fn run() -> anyhow::Result<Report> {
    let server = Server::start().await?;
    let mut baseline = Vec::new();
    let mut ours = CONCURRENT.map(|_| Vec::new());
    let mut streamed = Vec::new();
    for _ in 0..ROUNDS {
        baseline.push(file_rate()?);
        for (rates, senders) in ours.iter_mut().zip(CONCURRENT) {
            rates.push(append_rate(&server, senders).await?);
        }
        streamed.push(stream_rate(&server).await?);
    }
    let baseline = median(baseline);
    let mut report = Report::default();
    let mut unary = 0.0;
    for (rates, senders) in ours.into_iter().zip(CONCURRENT) {
        let rate = median(rates);
        unary = rate;
        report.push(Row {
            what: format!("append of 1 KiB events in batches of {BATCH}, {senders} at once"),
            ours: format!("{rate:.0} events/s"),
            baseline: format!("{baseline:.0} events/s, file"),
            ratio: rate / baseline,
            bounds: Some((0.08, 0.25)),
        });
    }
    let rate = median(streamed);
    report.push(Row {
        what: format!("append of 1 KiB events in batches of {BATCH}, one stream, {STREAMED} under way"),
        ours: format!("{rate:.0} events/s"),
        baseline: format!("{unary:.0} events/s, single appends, {} at once", CONCURRENT[1]),
        ratio: rate / unary,
        bounds: None,
    });
    println!("memory of the server after the appends: {} MiB", server.resident_bytes()? >> 20);
    Ok(report)
}

fn file_rate() -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(directory()?)?;
    let batch = vec![b'x'; BATCH * EVENT_BYTES];
    let start = Instant::now();
    let mut batches = 0_u32;
    while start.elapsed() < ROUND {
        file.write_all(&batch)?;
        file.sync_data()?;
        batches += 1;
    }
    Ok(f64::from(batches) * BATCH as f64 / start.elapsed().as_secs_f64())
}

async fn append_rate(server: &Server, senders: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let senders = (0..senders).map(|_| async move {
        let mut client = server.events().await?;
        let request = AppendRequest { events: vec![event(); BATCH], relay: None };
        let mut batches = 0_u32;
        while start.elapsed() < ROUND {
            client.append(request.clone()).await?;
            batches += 1;
        }
        anyhow::Ok(batches)
    });
    let batches: u32 = futures::future::try_join_all(senders).await?.into_iter().sum();
    Ok(f64::from(batches) * BATCH as f64 / start.elapsed().as_secs_f64())
}

async fn stream_rate(server: &Server) -> anyhow::Result<f64> {
    let mut client = server.events().await?;
    let request = AppendStreamRequest { events: vec![event(); BATCH], batch: 0 };
    let (sender, batches) = mpsc::channel(STREAMED);
    let batches = stream::unfold(batches, async |mut batches| Some((batches.recv().await?, batches)));
    let mut told = client.append_stream(batches).await?.into_inner();
    let (start, mut acknowledged) = (Instant::now(), 0_u32);
    for _ in 0..STREAMED {
        sender.send(request.clone()).await?;
    }
    while start.elapsed() < ROUND {
        told.message().await?.context("the stream goes on")?;
        acknowledged += 1;
        sender.send(request.clone()).await?;
    }
    drop(sender);
    while told.message().await?.is_some() {
        acknowledged += 1;
    }
    Ok(f64::from(acknowledged) * BATCH as f64 / start.elapsed().as_secs_f64())
}

/// A log line of about 1 KiB on the wire.
pub(crate) fn event() -> Event {
    Event {
        event_type: "log".into(),
        script_name: "gauge-reader".into(),
        severity: "info".into(),
        data: format!("{{\"message\":\"{}\"}}", "level ".repeat(EVENT_BYTES / 6 - 8)),
        ..Default::default()
    }
}
