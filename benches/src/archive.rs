//! Appends of 1 KiB events with a share of resends while the archive is written and kept up, against one thread that
//! writes the same bytes twice in pieces of 100 KiB with an fdatasync each, and compresses them once.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use domain::{Clock, Cursor};
use proto::events::v1::{
    AppendRequest, Event, GetArchiveRequest, VerifyArchiveRequest, events_service_client::EventsServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::{
    report::{Report, Row},
    server::{Server, directory},
};

const SENDERS: u64 = 8;
const FRESH: usize = 70;
const RESENT: usize = 30;
const PIECE: usize = 100 << 10;
/// The level that the archive has.
const ZSTD_LEVEL: i32 = 3;
const BASELINE: Duration = Duration::from_secs(10);
const MIB: f64 = (1 << 20) as f64;

pub(crate) async fn run(events: usize) -> anyhow::Result<Report> {
    let baseline = baseline()?;
    let mut server = Server::start().await?;
    let start = Instant::now();
    let senders = (0..SENDERS).map(|sender| send(&server, sender, events / SENDERS as usize));
    let stored: usize = futures::future::try_join_all(senders).await?.into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    let mut client = connect(&server).await?;
    // A position counts what is stored: all fresh events, and no resent one.
    let answer = client.append(AppendRequest { events: vec![event(&Clock::system(), &mut 1)], relay: None }).await?;
    let end = answer.into_inner().cursor.parse::<Cursor>().map_err(|invalid| anyhow::anyhow!("{invalid:?}"))?.offset;
    ensure!(end == stored as u64 + 1, "{stored} events were sent, {end} are stored");
    let peak = server.peak_bytes()?;
    let archive = client.get_archive(GetArchiveRequest {}).await?.into_inner();
    println!("{archive:#?}");
    let mut tables = client.verify_archive(VerifyArchiveRequest {}).await?.into_inner();
    while let Some(table) = tables.message().await? {
        ensure!(table.problems.is_empty(), "{table:?}");
    }
    server.end()?;
    let start = Instant::now();
    server.restart()?;
    server.ready().await?;
    println!("killed and ready again: {:.2} s, {} MiB", start.elapsed().as_secs_f64(), server.resident_bytes()? >> 20);
    let rate = stored as f64 / seconds;
    let mut report = Report::default();
    report.push(Row {
        what: format!("append of {stored} events of 1 KiB and 30 % resends, archived meanwhile"),
        ours: format!("{rate:.0} events/s, {:.0} MiB/s, {:.0} MiB at most", rate * 1_024.0 / MIB, peak as f64 / MIB),
        baseline: format!("{baseline:.0} events/s, written twice, compressed once"),
        ratio: rate / baseline,
        bounds: Some((0.4, 1.0)),
    });
    Ok(report)
}

async fn connect(server: &Server) -> anyhow::Result<EventsServiceClient<Channel>> {
    Ok(EventsServiceClient::new(Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?))
}

/// Sends `count` fresh events, and with each batch some of the one before.
async fn send(server: &Server, sender: u64, count: usize) -> anyhow::Result<usize> {
    let (clock, mut seed) = (Clock::system(), sender * 2 + 1);
    let mut client = connect(server).await?;
    let (mut stored, mut before): (usize, Vec<Event>) = (0, Vec::new());
    while stored < count {
        let mut events: Vec<_> = (0..FRESH).map(|_| event(&clock, &mut seed)).collect();
        let fresh = events.clone();
        events.extend(before.iter().take(RESENT).cloned());
        let resent = events.len() - FRESH;
        let request = AppendRequest { events, relay: None };
        let duplicates = loop {
            match client.append(request.clone()).await {
                Ok(answer) => break answer.into_inner().duplicates,
                Err(status) if status.code() == tonic::Code::ResourceExhausted => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(status) => return Err(status).context("an append fails"),
            }
        };
        ensure!(duplicates.len() == resent, "{} of {resent} resent events are told", duplicates.len());
        stored += FRESH;
        before = fresh;
    }
    Ok(stored)
}

/// Events a second of one thread that does what cannot be left out.
fn baseline() -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(directory()?)?;
    let (clock, mut seed) = (Clock::system(), 99);
    let mut piece = Vec::new();
    while piece.len() < PIECE {
        piece.extend_from_slice(event(&clock, &mut seed).data.as_bytes());
    }
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < BASELINE {
        for _ in 0..2 {
            file.write_all(&piece)?;
            file.sync_data()?;
        }
        std::hint::black_box(zstd::bulk::compress(&piece, ZSTD_LEVEL)?);
        bytes += piece.len();
    }
    Ok(bytes as f64 / 1_024.0 / start.elapsed().as_secs_f64())
}

/// A log line of about 1 KiB: words that repeat and numbers that do not.
pub(crate) fn event(clock: &Clock, seed: &mut u64) -> Event {
    const WORDS: [&str; 16] = [
        "gauge", "level", "river", "upper", "lower", "station", "reading", "sent", "received", "retry", "timeout",
        "worker", "queue", "batch", "error", "done",
    ];
    let mut next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    };
    let mut message = String::with_capacity(1_000);
    while message.len() < 900 {
        let number = next();
        message += WORDS[(number % 16) as usize];
        message += &[" ", &(number >> 44).to_string(), " "].concat();
    }
    Event {
        ulid: clock.ulid().to_string(),
        event_type: if next() % 10 == 0 { "error" } else { "log" }.into(),
        script_name: format!("worker-{}", next() % 40),
        wall_time: Some((next() % 10_000) as f64 / 10.0),
        data: format!("{{\"message\":\"{message}\"}}"),
        ..Default::default()
    }
}
