//! Follows events into the index.
//!
//! Owns when what has arrived is moved to the disk. Never answers a caller.

use std::{sync::Arc, time::Duration};

use domain::{Clock, Cursor, EntityKind, Mutation, State, TenantId, Timestamp};
use futures::FutureExt as _;
use proto::{
    common::v1::Reason,
    convert,
    events::v1::{Event, Start, SubscribeRequest, SubscribeResponse, events_service_client::EventsServiceClient},
};
use serve::{Peer, Refusal};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::{
    document::Document,
    index::{Change, Index},
};

/// Events that are applied together, if so many have come.
const BATCH: usize = 256;
/// What is in memory is moved to the disk when there are so many names, or so many bytes of texts, or when it has been there
/// for so long.
const MOST_NAMES: usize = 2_048;
const MOST_BYTES: usize = 8 << 20;
const LONGEST: Duration = Duration::from_secs(5);
/// The shortest and the longest pause after something went wrong; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The way from events to the index.
pub(crate) struct Follower {
    pub(crate) events: EventsServiceClient<Peer>,
    pub(crate) index: Arc<Index>,
    /// Up to where events are in the index.
    pub(crate) position: watch::Sender<u64>,
    pub(crate) clock: Clock,
}

impl Follower {
    /// Follows until `cancel`, then moves what has arrived to the disk. Fails if that cannot be written.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut pause = PAUSE.0;
        loop {
            let Some(ended) = cancel.run_until_cancelled(self.follow(&mut pause)).await else { break };
            let refusal = match ended? {
                Some(refusal) if refusal.reason == Reason::CursorInvalid => {
                    tracing::error!(error = %refusal, "the events are another journal's: the index is made again");
                    let index = Arc::clone(&self.index);
                    tokio::task::spawn_blocking(move || index.clear()).await??;
                    self.position.send_replace(0);
                    continue;
                }
                Some(refusal) => refusal,
                None => Refusal::new(Reason::PeerUnavailable, "events ended the subscription"),
            };
            if pause == PAUSE.0 || pause == PAUSE.1 {
                tracing::warn!(reason = refusal.reason_name(), error = %refusal, "events cannot be followed; will retry");
            }
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
        self.checkpoint().await
    }

    /// Follows from where the index is until the subscription ends, and why.
    async fn follow(&mut self, pause: &mut Duration) -> anyhow::Result<Option<Refusal>> {
        self.checkpoint().await?;
        let (cursor, start) = match self.index.position() {
            Some(cursor) => (cursor.to_string(), Start::Unspecified),
            None => (String::new(), Start::Beginning),
        };
        let request = SubscribeRequest {
            cursor,
            start: start.into(),
            event_types: vec!["mutation".into()],
            all_tenants: true,
            ..SubscribeRequest::default()
        };
        let mut stream = match self.events.subscribe(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(Refusal::from_status(&status))),
        };
        let mut oldest = None;
        loop {
            let due = oldest.map_or_else(|| Instant::now() + LONGEST, |oldest| oldest + LONGEST);
            let received = tokio::select! {
                received = receive(&mut stream) => received,
                () = tokio::time::sleep_until(due) => Ok(Vec::new()),
            };
            match received {
                Ok(received) if received.is_empty() => {}
                Ok(received) => {
                    *pause = PAUSE.0;
                    self.apply(received).await?;
                }
                Err(refusal) => return Ok(refusal),
            }
            let (names, bytes) = self.index.in_memory();
            metrics::gauge!("annals_search_names_in_memory").set(names as f64);
            if names == 0 {
                oldest = None;
            } else if names >= MOST_NAMES
                || bytes >= MOST_BYTES
                || oldest.is_some_and(|oldest| Instant::now() >= oldest + LONGEST)
            {
                self.checkpoint().await?;
                oldest = None;
            } else {
                oldest = oldest.or_else(|| Some(Instant::now()));
            }
        }
    }

    /// Takes what has come into the index, where it is found from then on.
    async fn apply(&self, received: Vec<SubscribeResponse>) -> anyhow::Result<()> {
        let index = Arc::clone(&self.index);
        let (cursor, newest) = tokio::task::spawn_blocking(move || {
            let (mut end, mut newest) = (None, None);
            for SubscribeResponse { event, cursor } in received {
                let cursor: Cursor =
                    cursor.parse().map_err(|invalid| anyhow::anyhow!("events gave a cursor: {invalid:?}"))?;
                if let Some(event) = event {
                    newest = event.timestamp;
                    apply(&index, event, cursor)?;
                }
                end = Some(cursor);
            }
            index.arrive(end);
            anyhow::Ok((end, newest))
        })
        .await??;
        if let Some(cursor) = cursor {
            self.position.send_replace(cursor.offset);
        }
        let taken_in = convert::timestamp("timestamp", newest).ok().flatten();
        let lag = taken_in.map_or(0, |taken_in| (self.clock.now().millis() - Timestamp::millis(taken_in)).max(0));
        metrics::gauge!("annals_search_lag_seconds").set(lag as f64 / 1_000.0);
        Ok(())
    }

    async fn checkpoint(&self) -> anyhow::Result<()> {
        let index = Arc::clone(&self.index);
        tokio::task::spawn_blocking(move || index.checkpoint()).await??;
        Ok(())
    }
}

/// What has come, in order, once something has; an error is how the subscription ended.
async fn receive(stream: &mut Streaming<SubscribeResponse>) -> Result<Vec<SubscribeResponse>, Option<Refusal>> {
    let next = |message: Result<Option<_>, tonic::Status>| match message {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(None),
        Err(status) => Err(Some(Refusal::from_status(&status))),
    };
    let mut received = vec![next(stream.message().await)?];
    while received.len() < BATCH
        && let Some(message) = stream.message().now_or_never()
    {
        received.push(next(message)?);
    }
    Ok(received)
}

/// Applies a mutation of a thing. One that cannot be read is told and left out: it would be that the next time too.
fn apply(index: &Index, event: Event, cursor: Cursor) -> Result<(), crate::index::Error> {
    let ulid = event.ulid.clone();
    let parsed = event.tenant.parse::<TenantId>().and_then(|tenant| Ok((tenant, convert::mutation(event)?)));
    let (tenant, Mutation { entity, after, .. }) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => {
            tracing::error!(ulid, error = %invalid, "a mutation cannot be read: its thing is not found by it");
            return Ok(());
        }
    };
    if entity.kind != EntityKind::Thing {
        return Ok(());
    }
    let document = after.and_then(|state| match state {
        State::Thing(thing) => Some(Document::of(&thing)),
        State::Relationship(_) => None,
    });
    index.apply(&tenant, Change { key: entity.key, document }, cursor.offset)
}
