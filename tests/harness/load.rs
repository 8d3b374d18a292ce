//! Owns a load of log lines of about 1 KiB, some of which are sent again. Never checks what is stored of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::Clock;
use proto::events::v1::{AppendRequest, Event, events_service_client::EventsServiceClient};
use tonic::transport::Channel;

/// Events of a batch that were not sent before.
pub const FRESH: usize = 70;
/// Events of a batch that were; of the first none.
pub const RESENT: usize = 30;

/// Sends at least `count` fresh events, and with each batch some of the one before; returns how many fresh ones.
///
/// No two senders of a load may have the same number.
pub async fn send(mut client: EventsServiceClient<Channel>, sender: u64, count: usize) -> anyhow::Result<usize> {
    let (clock, mut seed) = (Clock::system(), sender * 2 + 1);
    let (mut stored, mut before): (usize, Vec<Event>) = (0, Vec::new());
    while stored < count {
        let fresh = fresh(&clock, &mut seed);
        append(&mut client, with_resent(&fresh, &before)).await?;
        before = fresh;
        stored += FRESH;
    }
    Ok(stored)
}

/// The events of a batch that were not sent before.
pub fn fresh(clock: &Clock, seed: &mut u64) -> Vec<Event> {
    (0..FRESH).map(|_| event(clock, seed)).collect()
}

/// The events of a batch: the fresh ones and some of `before`.
pub fn with_resent(fresh: &[Event], before: &[Event]) -> Vec<Event> {
    fresh.iter().chain(before.iter().take(RESENT)).cloned().collect()
}

/// Appends a batch, of which what is not fresh is told as known.
pub async fn append(client: &mut EventsServiceClient<Channel>, events: Vec<Event>) -> anyhow::Result<()> {
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
    Ok(())
}

/// A log line of about 1 KiB: words that repeat and numbers that do not.
pub fn event(clock: &Clock, seed: &mut u64) -> Event {
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
