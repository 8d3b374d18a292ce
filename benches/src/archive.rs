//! Appends of 1 KiB events with a share of resends while the archive is written and kept up, against one thread that
//! writes the same bytes twice in pieces of 100 KiB with an fdatasync each, and compresses them once; then the time that
//! an acknowledgement takes at half that rate.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::ensure;
use domain::{Clock, Cursor};
use proto::events::v1::{
    AppendRequest, ArchiveTable, Event, GetArchiveRequest, VerifyArchiveRequest,
    events_service_client::EventsServiceClient,
};
use tonic::transport::Channel;

use crate::{
    engine::Engine,
    load::{FRESH, append, event, fresh, send, with_resent},
    report::{Report, Row},
    server::{Server, directory},
};

const SENDERS: u64 = 8;
const PIECE: usize = 100 << 10;
/// Its default level.
const ZSTD_LEVEL: i32 = 3;
const BASELINE: Duration = Duration::from_secs(10);
/// How long events are sent at half the rate.
const HALF_RATE: Duration = Duration::from_secs(30);
/// So long nothing must change before what is left is done.
const QUIET: Duration = Duration::from_secs(3);
/// What 99 of 100 acknowledgements shall take at most then.
const GOAL: Duration = Duration::from_millis(25);
/// What the server shall have resident at most.
const MEMORY: u64 = 512 << 20;
const MIB: f64 = (1 << 20) as f64;

pub(crate) async fn run(events: usize) -> anyhow::Result<Report> {
    let baseline = baseline()?;
    let mut server = Server::start().await?;
    let start = Instant::now();
    let count = events / SENDERS as usize;
    let senders = (0..SENDERS).map(async |sender| send(server.events().await?, sender, count).await);
    let stored: usize = futures::future::try_join_all(senders).await?.into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    settled(&mut server.events().await?).await?;
    let interval = Duration::from_secs_f64(2.0 * seconds * SENDERS as f64 * FRESH as f64 / stored as f64);
    let senders = (0..SENDERS).map(|sender| send_slowly(&server, sender, interval));
    let paced: Vec<_> = futures::future::try_join_all(senders).await?;
    let paced_events: usize = paced.iter().map(|took| took.len() * FRESH).sum();
    let mut took: Vec<_> = paced.into_iter().flatten().collect();
    took.sort_unstable();
    let mut client = server.events().await?;
    // A position counts what is stored: all fresh events, and no resent one.
    let answer = client.append(AppendRequest { events: vec![event(&Clock::system(), &mut 1)], relay: None }).await?;
    let end = answer.into_inner().cursor.parse::<Cursor>().map_err(|invalid| anyhow::anyhow!("{invalid:?}"))?.offset;
    let sent = (stored + paced_events) as u64;
    ensure!(end == sent + 1, "{sent} events were sent, {end} are stored");
    let peak = server.peak_bytes()?;
    let archive = client.get_archive(GetArchiveRequest {}).await?.into_inner();
    println!("{archive:#?}");
    let mut tables = client.verify_archive(VerifyArchiveRequest {}).await?.into_inner();
    while let Some(table) = tables.message().await? {
        ensure!(table.problems.is_empty(), "{table:?}");
    }
    let size = Engine::start(&server.dir.path().join("data/events"), "clickhouse")?.size("lines of 1 KiB")?;
    server.end()?;
    let start = Instant::now();
    server.restart()?;
    server.ready().await?;
    println!("killed and ready again: {:.2} s, {} MiB", start.elapsed().as_secs_f64(), server.resident_bytes()? >> 20);
    let rate = stored as f64 / seconds;
    let mut report = Report::default();
    report.push(Row {
        what: format!("append of {stored} events of 1 KiB and 30 % resends, archived meanwhile"),
        ours: format!("{rate:.0} events/s, {:.0} MiB/s", rate * 1_024.0 / MIB),
        baseline: format!("{baseline:.0} events/s, written twice, compressed once"),
        ratio: rate / baseline,
        bounds: Some((0.4, 1.0)),
    });
    let of_100 = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
    let goal = GOAL.as_secs_f64() * 1_000.0;
    report.push(Row {
        what: format!("acknowledgement of an append at half that rate, 99 of 100 of {}", took.len()),
        ours: format!("{:.1} ms; 50 of 100 {:.1} ms, all {:.1} ms", of_100(99), of_100(50), of_100(100)),
        baseline: format!("{goal:.0} ms, the limit"),
        ratio: goal / of_100(99),
        bounds: Some((1.0, 1.0)),
    });
    report.push(Row {
        what: "most memory of the server meanwhile".into(),
        ours: format!("{:.0} MiB", peak as f64 / MIB),
        baseline: format!("{:.0} MiB, the limit", MEMORY as f64 / MIB),
        ratio: MEMORY as f64 / peak as f64,
        bounds: Some((1.0, 1.0)),
    });
    report.push(size);
    Ok(report)
}

/// The table of events, once nothing of the load before is left to archive or to merge.
pub(crate) async fn settled(client: &mut EventsServiceClient<Channel>) -> anyhow::Result<ArchiveTable> {
    let (mut table, mut since) = (ArchiveTable::default(), Instant::now());
    while since.elapsed() < QUIET {
        let now = client.get_archive(GetArchiveRequest {}).await?.into_inner().tables.swap_remove(0);
        if now.metadata_location != table.metadata_location {
            (table, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(table)
}

/// Sends a batch every `interval`; how long each took from when it was due until it was acknowledged.
async fn send_slowly(server: &Server, sender: u64, interval: Duration) -> anyhow::Result<Vec<Duration>> {
    let (clock, mut seed) = (Clock::system(), sender * 2 + 1_001);
    let mut client = server.events().await?;
    let (mut took, mut before): (Vec<_>, Vec<Event>) = (Vec::new(), Vec::new());
    // Senders take turns.
    let mut due = tokio::time::Instant::now() + interval.mul_f64(sender as f64 / SENDERS as f64);
    let end = due + HALF_RATE;
    while due < end {
        let fresh = fresh(&clock, &mut seed);
        let events = with_resent(&fresh, &before);
        before = fresh;
        tokio::time::sleep_until(due).await;
        append(&mut client, events).await?;
        took.push(due.elapsed());
        due += interval;
    }
    Ok(took)
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
