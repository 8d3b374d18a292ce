//! Start on a journal of many events, which are read into the index again, against reading the same files.

use std::{fs, path::Path, time::Instant};

use proto::events::v1::AppendRequest;

use crate::{
    append::event,
    report::{Report, Row, median},
    server::Server,
};

const ROUNDS: usize = 5;
/// As many as an append takes with 1 KiB each: one sync for them all.
const BATCH: usize = 1_000;
const MIB: f64 = (1 << 20) as f64;

pub(crate) async fn run(events: usize) -> anyhow::Result<Report> {
    let mut server = Server::start().await?;
    // Where the archive would put its files: so it takes none, and the journal keeps all.
    fs::write(server.dir.path().join("data/events/archive/events/data"), "")?;
    let mut client = server.events().await?;
    for appended in (0..events).step_by(BATCH) {
        let request = AppendRequest { events: vec![event(); BATCH.min(events - appended)], relay: None };
        client.append(request).await?;
    }
    let journal = server.dir.path().join("data/events/journal");
    let (mut ours, mut resident, mut baseline, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        bytes = read(&journal)?;
        baseline.push(start.elapsed().as_secs_f64());
        server.end()?;
        let start = Instant::now();
        server.restart()?;
        server.ready().await?;
        ours.push(start.elapsed().as_secs_f64());
        resident.push(server.resident_bytes()? as f64);
    }
    let (ours, resident, baseline) = (median(ours), median(resident), median(baseline));
    let mut report = Report::default();
    report.push(Row {
        what: format!("ready after start on a journal of {events} events, {:.0} MiB", bytes as f64 / MIB),
        ours: format!("{ours:.2} s, {:.0} MiB resident", resident / MIB),
        baseline: format!("{baseline:.2} s, reading its files"),
        ratio: baseline / ours,
        bounds: None,
    });
    Ok(report)
}

/// Reads every file of `dir`; returns their bytes.
fn read(dir: &Path) -> anyhow::Result<usize> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_file() {
            bytes += fs::read(path)?.len();
        }
    }
    Ok(bytes)
}
