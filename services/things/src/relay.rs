//! The relay: takes mutations out of the outbox to events.
//!
//! Owns when a batch is sent and sent again. A batch keeps its number and rows until events acknowledges it, and events
//! takes each number once: so each mutation takes effect exactly once, and those of a name in order.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp, parse_ulid};
use prost::Message as _;
use proto::common::v1::Reason;
use proto::events::v1::events_service_client::EventsServiceClient;
use proto::events::v1::{AppendRequest, Event, RelayBatch, SubscribeRequest};
use serve::deadline::Deadline;
use serve::health::Readiness;
use serve::{Peer, Refusal};
use tokio_util::sync::CancellationToken;

use crate::store::{Batch, Lease, Outbox, Taken};

/// The shortest and the longest pause after something went wrong; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long giving the lease back may take.
const RELEASE: Duration = Duration::from_secs(1);
/// How long events may take for a batch. After that it is sent again, under the same number.
const ATTEMPT: Duration = Duration::from_secs(15);

/// The way from an outbox to events.
pub(crate) struct Relay {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) events: EventsServiceClient<Peer>,
    pub(crate) clock: Clock,
    pub(crate) readiness: Readiness,
}

/// A position of events behind everything that it has acknowledged until now: where somebody who begins to follow it
/// would begin.
pub(crate) async fn cursor(mut events: EventsServiceClient<Peer>, deadline: Deadline) -> Result<String, Refusal> {
    let mut request = tonic::Request::new(SubscribeRequest::default());
    request.set_timeout(deadline.remaining());
    let first = async { events.subscribe(request).await?.into_inner().message().await };
    let away = || Refusal::new(Reason::PeerUnavailable, "events did not say where it is");
    match tokio::time::timeout_at(deadline.give_up(), first).await {
        Ok(Ok(Some(first))) => Ok(first.cursor),
        Ok(Ok(None)) | Err(_) => Err(away()),
        Ok(Err(status)) => Err(Refusal::from_status(&status)),
    }
}

impl Relay {
    /// Relays until `cancel`, while no other process does. What has not been acknowledged by then is sent at the next start,
    /// or by another.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        loop {
            let Some(lease) = cancel.run_until_cancelled(self.lease()).await else { return Ok(()) };
            let lost = cancel.run_until_cancelled(self.relay(lease)).await;
            let Some(lost) = lost else {
                // Who does not hear of it waits a little longer.
                let _ = tokio::time::timeout(RELEASE, self.outbox.release(lease)).await;
                return Ok(());
            };
            lost?;
            tracing::warn!("another process relays now");
        }
    }

    /// Takes the lease once nobody has it.
    async fn lease(&self) -> Lease {
        let mut pause = PAUSE.0;
        loop {
            let taken = async {
                self.outbox.vacant().await?;
                self.outbox.lease().await
            };
            match taken.await {
                Ok(lease) => return lease,
                Err(refusal) => self.failed(&refusal, &mut pause).await,
            }
        }
    }

    /// Returns when another has the lease.
    async fn relay(&mut self, lease: Lease) -> anyhow::Result<()> {
        let mut pause = PAUSE.0;
        let mut acknowledged = None;
        loop {
            match self.outbox.take(lease, acknowledged).await {
                Ok(Taken::Batch(batch)) => {
                    self.send(lease, &batch).await?;
                    acknowledged = Some(batch.number);
                    self.succeeded(&mut pause);
                }
                Ok(Taken::Nothing) => {
                    acknowledged = None;
                    self.succeeded(&mut pause);
                    self.measure(None);
                    self.outbox.wait().await;
                }
                Ok(Taken::LeaseLost) => return Ok(()),
                Err(refusal) => self.failed(&refusal, &mut pause).await,
            }
        }
    }

    /// Sends a batch until it is acknowledged.
    async fn send(&mut self, lease: Lease, batch: &Batch) -> anyhow::Result<()> {
        let mut pause = PAUSE.0;
        loop {
            // Decoded for each try: a copy to keep would cost the first, which is the last nearly always.
            let events: Result<Vec<_>, _> =
                batch.payloads.iter().map(|payload| Event::decode(payload.clone())).collect();
            let relay = RelayBatch { relay_id: lease.relay.to_string(), batch: batch.number as i64 };
            let request = AppendRequest { events: events?, relay: Some(relay) };
            self.measure(request.events.first());
            let attempt = tokio::time::timeout(ATTEMPT, self.events.append(request)).await;
            let refusal = match attempt {
                // What it calls duplicates it has; it says so loudly where that is another name's mutation.
                Ok(Ok(_)) => {
                    metrics::counter!("annals_relay_events_total").increment(batch.payloads.len() as u64);
                    return Ok(());
                }
                Ok(Err(status)) => Refusal::from_status(&status),
                Err(_) => Refusal::new(Reason::PeerUnavailable, "events did not answer in time"),
            };
            metrics::counter!("annals_relay_failures_total", "reason" => refusal.reason_name()).increment(1);
            self.failed(&refusal, &mut pause).await;
        }
    }

    /// Pauses before the next try. Once the pauses have become long, this process is not ready.
    async fn failed(&self, refusal: &Refusal, pause: &mut Duration) {
        // Said once for each row of failures, and again when it has become long.
        if *pause == PAUSE.0 || *pause == PAUSE.1 {
            tracing::warn!(reason = refusal.reason_name(), error = %refusal, "mutations cannot be relayed; will retry");
        }
        if *pause == PAUSE.1 {
            self.readiness.block("relay", format!("mutations cannot be relayed: {}", refusal.reason_name()));
        }
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(PAUSE.1);
    }

    fn succeeded(&self, pause: &mut Duration) {
        self.readiness.clear("relay");
        *pause = PAUSE.0;
    }

    /// Tells how far events is behind; `oldest` is the first mutation that it does not have.
    fn measure(&self, oldest: Option<&Event>) {
        let backlog = self.outbox.backlog();
        metrics::gauge!("annals_outbox_rows").set(backlog.rows as f64);
        metrics::gauge!("annals_outbox_bytes").set(backlog.bytes as f64);
        let made = oldest.and_then(|event| parse_ulid("ulid", &event.ulid).ok()).map(Timestamp::of_ulid);
        let age = made.map_or(0, |made| (self.clock.now().millis() - made.millis()).max(0));
        metrics::gauge!("annals_outbox_oldest_seconds").set(age as f64 / 1_000.0);
    }
}
