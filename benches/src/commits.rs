//! Commits of the archive, one after the other with upkeep on: how many files and manifests a day has then, and what
//! reading of it costs. Without upkeep both would grow with every commit.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::Clock;
use proto::events::v1::{
    AppendRequest, Archive, GetArchiveRequest, Order, QueryRequest, events_service_client::EventsServiceClient,
};
use tonic::transport::Channel;

use crate::{
    archive::settled,
    load::event,
    report::{Report, Row},
    server::Server,
};

/// The least that a flush may wait for.
const FLUSH_BYTES: &str = "65536";
/// More than that.
const BATCH: usize = 80;
const MAX_FILES: i64 = 8;
const MAX_MANIFESTS: i64 = 10;

pub(crate) async fn run(commits: usize) -> anyhow::Result<Report> {
    let server = Server::start_with(&["--archive-flush-bytes", FLUSH_BYTES]).await?;
    let mut client = server.events().await?;
    let (clock, mut seed, start) = (Clock::system(), 1, Instant::now());
    let (mut done, mut most, mut cursor) = (0, (0, 0), String::new());
    while done < commits {
        let events = (0..BATCH).map(|_| event(&clock, &mut seed)).collect();
        client.append(AppendRequest { events, relay: None }).await?;
        loop {
            let archive = archive(&mut client).await?;
            let events = &archive.tables[0];
            most = (most.0.max(events.files), most.1.max(events.manifests));
            if events.cursor != cursor {
                cursor.clone_from(&events.cursor);
                done += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let table = settled(&mut client).await?;
    println!("at most {} files and {} manifests meanwhile; {seconds:.0} s for {done} commits", most.0, most.1);
    println!("{table:#?}");
    ensure!(table.files <= MAX_FILES && table.manifests <= MAX_MANIFESTS, "{table:?}");
    // A page from the middle of the day, in whichever file it is.
    let from = clock.now().plus_millis(-(seconds * 500.0) as i64);
    let from = Some(proto::convert::timestamp_to_wire(from));
    let order = Order::OldestFirst.into();
    let request = QueryRequest { from, order, page_size: 1_000, ..QueryRequest::default() };
    let cost = client.query(request).await?.into_inner().cost.context("an answer says its cost")?;
    let mut report = Report::default();
    report.push(Row {
        what: format!("a page of 1,000 events of a day of {done} commits"),
        ours: format!(
            "{} files, {} manifests; {} opened, {} requests",
            table.files, table.manifests, cost.files, cost.requests
        ),
        baseline: format!("{MAX_FILES} files, {MAX_MANIFESTS} manifests"),
        ratio: (MAX_FILES as f64 / table.files as f64).min(MAX_MANIFESTS as f64 / table.manifests as f64),
        bounds: Some((1.0, 1.0)),
    });
    Ok(report)
}

async fn archive(client: &mut EventsServiceClient<Channel>) -> anyhow::Result<Archive> {
    Ok(client.get_archive(GetArchiveRequest {}).await?.into_inner())
}
