//! Follows events into an index.
//!
//! Owns when what has arrived is moved to the disk. Never answers a caller.

mod given;

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{Clock, Cursor, EntityKind, Etag, Invalid, Mutation, State, TenantId};
use futures::FutureExt as _;
use proto::{
    common::v1::Reason,
    convert,
    events::v1::{Event, Start, SubscribeRequest, SubscribeResponse, events_service_client::EventsServiceClient},
};
use serve::{
    Peer, Refusal,
    health::Readiness,
    leisure::{self, Pace},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

pub(crate) use self::given::Given;
use crate::{
    document::Document,
    index::{self, Change, Index, OfTenant},
};

/// Events that are applied together, if so many have come.
pub(crate) const BATCH: usize = 256;
/// What is in memory is moved to the disk when there are so many names, or so many bytes of texts, or when it has been there
/// for so long.
const MOST_NAMES: usize = 2_048;
const MOST_BYTES: usize = 8 << 20;
const LONGEST: Duration = Duration::from_secs(5);
/// An index that is so far behind events does not wait for callers any more.
const LATE: Duration = Duration::from_secs(5);
/// The shortest and the longest pause after something went wrong; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The way from events to an index.
pub(crate) struct Follower<T: OfTenant> {
    /// Which index, in metrics and where it is said why the service is not ready.
    pub(crate) name: &'static str,
    pub(crate) events: EventsServiceClient<Peer>,
    pub(crate) index: Arc<Index<T>>,
    /// Where the vectors are that clients gave, for an index of those.
    pub(crate) given: Option<Given>,
    /// Up to where events are in the index.
    pub(crate) position: watch::Sender<u64>,
    pub(crate) clock: Clock,
    pub(crate) readiness: Readiness,
    /// How old the newest event was when it was applied last.
    pub(crate) lag: Duration,
}

impl<T: OfTenant> Follower<T> {
    /// Follows until `cancel`, then moves what has arrived to the disk. What fails is tried again, from where the index is.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut pause = PAUSE.0;
        loop {
            let Some(refusal) = cancel.run_until_cancelled(self.follow(&mut pause)).await else { break };
            if refusal.reason == Reason::CursorInvalid {
                tracing::error!(error = %refusal, "the events are another journal's: the index is made again");
                self.position.send_replace(0);
                let cleared = self.blocking(Index::clear).await;
                if cleared.is_ok() {
                    continue;
                }
            }
            // Said once for each row of failures, and again when it has become long.
            if pause == PAUSE.0 || pause == PAUSE.1 {
                tracing::warn!(reason = refusal.reason_name(), error = %refusal, "events cannot be followed; will retry");
            }
            // Without vectors everything else goes on.
            if pause == PAUSE.1 && refusal.reason != Reason::EmbedderUnavailable {
                let why = format!("events cannot be followed into the index: {}", refusal.reason_name());
                self.readiness.block(self.name, why);
            }
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
        // What cannot be written now is followed again after the next start.
        let _ = self.blocking(Index::checkpoint).await;
    }

    /// Follows from where the index is, and says why that came to an end.
    async fn follow(&mut self, pause: &mut Duration) -> Refusal {
        match self.try_follow(pause).await {
            Ok(()) => Refusal::new(Reason::PeerUnavailable, "events ended the subscription"),
            Err(refusal) => refusal,
        }
    }

    async fn try_follow(&mut self, pause: &mut Duration) -> Result<(), Refusal> {
        self.blocking(Index::checkpoint).await?;
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
        let answer = self.events.subscribe(request).await;
        let mut stream = answer.map_err(|status| Refusal::from_status(&status))?.into_inner();
        let mut oldest = None;
        loop {
            let due = oldest.unwrap_or_else(Instant::now) + LONGEST;
            let received = tokio::select! {
                received = receive(&mut stream) => received?,
                () = tokio::time::sleep_until(due) => Some(Vec::new()),
            };
            let Some(received) = received else { return Ok(()) };
            if !received.is_empty() {
                self.apply(received).await?;
                *pause = PAUSE.0;
                self.readiness.clear(self.name);
            }
            let size = self.index.in_memory();
            let is_old = oldest.is_some_and(|oldest| Instant::now() >= oldest + LONGEST);
            if is_full(size) || is_old {
                self.blocking(Index::checkpoint).await?;
                oldest = None;
            } else if size.0 > 0 {
                oldest = oldest.or_else(|| Some(Instant::now()));
            }
            metrics::gauge!("annals_search_names_in_memory", "index" => self.name).set(self.index.in_memory().0 as f64);
        }
    }

    /// Takes what has come into the index, where it is found from then on.
    async fn apply(&mut self, received: Vec<SubscribeResponse>) -> Result<(), Refusal> {
        let newest = received.iter().rev().find_map(|received| received.event.as_ref()?.timestamp);
        let position = match &self.given {
            None => self.blocking(move |index| Arrived::of(received)?.apply(index)).await?,
            Some(given) => {
                let mut arrived = self.blocking(move |_| Arrived::of(received)).await?;
                given.fetch(&mut arrived).await?;
                self.blocking(move |index| arrived.apply(index)).await?
            }
        };
        self.position.send_replace(position);
        let taken_in = convert::timestamp("timestamp", newest).ok().flatten();
        let lag = taken_in.map_or(0, |taken_in| (self.clock.now().millis() - taken_in.millis()).max(0));
        self.lag = Duration::from_millis(lag as u64);
        metrics::gauge!("annals_search_lag_seconds", "index" => self.name).set(self.lag.as_secs_f64());
        Ok(())
    }

    /// Does what blocks with the index, at its pace.
    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Index<T>) -> Result<R, index::Error> + Send + 'static,
    ) -> Result<R, Refusal> {
        let (index, never) = (Arc::clone(&self.index), CancellationToken::new());
        let work = move || work(&index);
        Ok(leisure::run(self.name, self.pace(), work, &never, || {}).await.map_err(Refusal::internal)??)
    }

    /// Callers' work goes first, unless one of them waits for the index, or it is late.
    fn pace(&self) -> Pace {
        // One receiver stays with the service; each other is of a query that waits.
        let somebody_waits = self.position.receiver_count() > 1;
        if somebody_waits || self.lag > LATE { Pace::Urgent } else { Pace::Idle }
    }
}

/// Whether so many names and bytes in memory are moved to the disk.
pub(crate) fn is_full((names, bytes): (usize, usize)) -> bool {
    names >= MOST_NAMES || bytes >= MOST_BYTES
}

/// What has come, in order, once something has; nothing is the end of the subscription.
async fn receive(stream: &mut Streaming<SubscribeResponse>) -> Result<Option<Vec<SubscribeResponse>>, Refusal> {
    let refused = |status| Refusal::from_status(&status);
    let Some(first) = stream.message().await.map_err(refused)? else { return Ok(None) };
    let mut received = vec![first];
    while received.len() < BATCH
        && let Some(message) = stream.message().now_or_never()
        && let Some(message) = message.map_err(refused)?
    {
        received.push(message);
    }
    Ok(Some(received))
}

/// What has come.
struct Arrived {
    /// Up to where events are here.
    end: Option<Cursor>,
    things: HashMap<TenantId, Vec<ArrivedThing>>,
}

/// A state of a thing that has come.
struct ArrivedThing {
    change: Change,
    /// The position behind its event.
    position: u64,
    /// The state that a client gave a vector with.
    given: Option<Etag>,
}

impl Arrived {
    fn of(received: Vec<SubscribeResponse>) -> Result<Self, index::Error> {
        let (mut end, mut things) = (None, HashMap::<TenantId, Vec<_>>::new());
        for SubscribeResponse { event, cursor } in received {
            let cursor: Cursor = cursor.parse().map_err(|invalid: Invalid| index::Error::Cursor(invalid.rule))?;
            if let Some((tenant, change, given)) = event.and_then(change) {
                things.entry(tenant).or_default().push(ArrivedThing { change, position: cursor.offset, given });
            }
            end = Some(cursor);
        }
        Ok(Self { end, things })
    }

    /// Says up to where events are in the index then.
    fn apply<T: OfTenant>(self, index: &Index<T>) -> Result<u64, index::Error> {
        for (tenant, things) in self.things {
            index.apply(&tenant, things.into_iter().map(|thing| (thing.change, thing.position)).collect())?;
        }
        Ok(index.arrive(self.end))
    }
}

/// What a mutation says of a thing, and the state of it that has a vector with things. One that cannot be read is told and left
/// out: it would be that the next time too.
fn change(event: Event) -> Option<(TenantId, Change, Option<Etag>)> {
    let (ulid, has_embedding) = (event.ulid.clone(), Mutation::has_embedding(&event.metadata));
    let parsed = event.tenant.parse::<TenantId>().and_then(|tenant| Ok((tenant, convert::mutation(event)?)));
    let (tenant, Mutation { entity, after, .. }) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => {
            tracing::error!(ulid, error = %invalid, "a mutation cannot be read: its thing is not found by it");
            return None;
        }
    };
    let given = after.as_ref().filter(|_| has_embedding).map(State::etag);
    let document = after.and_then(|state| match state {
        State::Thing(thing) => Some(Document::of(&thing)),
        State::Relationship(_) => None,
    });
    (entity.kind == EntityKind::Thing).then_some((tenant, Change { key: entity.key, document }, given))
}
