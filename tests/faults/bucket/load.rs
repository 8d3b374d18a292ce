//! Owns what is done while the store fails: events are appended and read, and upkeep is asked for, without a pause. Never
//! takes another refusal than the one that the contract has for a store that does not answer.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use futures::future::try_join_all;
use harness::events::every;
use proto::{
    common::v1::Reason,
    events::v1::{
        AppendRequest, CompactArchiveRequest, Event, ExpireArchiveRequest, QueryRequest, VerifyArchiveRequest,
        events_service_client::EventsServiceClient,
    },
};
use serve::Refusal;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};

use crate::crash::dice::Dice;

/// Random bytes of a large event, and how many of them come at once, three to a message: more than a part of a file.
const LARGE_BYTES: usize = 750_000;
const LARGE: usize = 12;
/// Rounds of appends from one lot of large events to the next: it is archived by then.
const LARGE_EVERY: u64 = 10;

/// The server, and what it has acknowledged.
pub(crate) struct Load {
    client: EventsServiceClient<Channel>,
    small: Mutex<BTreeSet<String>>,
    large: Mutex<BTreeSet<String>>,
    done: Mutex<Done>,
}

/// How often something was done, or refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) appends: u64,
    pub(crate) reads: u64,
    pub(crate) refused_reads: u64,
    pub(crate) upkeep: u64,
    pub(crate) refused_upkeep: u64,
}

impl Load {
    pub(crate) fn new(client: EventsServiceClient<Channel>) -> Self {
        let client = client.max_decoding_message_size(32 << 20);
        Self { client, small: Mutex::default(), large: Mutex::default(), done: Mutex::default() }
    }

    /// The ULIDs of all that was acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        let (small, large) = (lock(&self.small).clone(), lock(&self.large).clone());
        small.into_iter().chain(large).collect()
    }

    pub(crate) fn done(&self) -> Done {
        *lock(&self.done)
    }

    /// Works until `end`, with large events as long as they are needed.
    pub(crate) async fn work(
        &self,
        dice: &mut Dice,
        needs_large: impl Fn() -> bool,
        end: CancellationToken,
    ) -> anyhow::Result<()> {
        let until = |end: CancellationToken| move || !end.is_cancelled();
        let (goes_on, reads_on, keeps_on) = (until(end.clone()), until(end.clone()), until(end));
        let appending = async {
            let large: Vec<_> = (0..LARGE).map(|_| large(dice)).collect();
            let mut round = 0_u64;
            while goes_on() {
                self.append(round, dice).await?;
                if round.is_multiple_of(LARGE_EVERY) && needs_large() {
                    self.append_large(&large).await?;
                }
                round += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok::<_, anyhow::Error>(())
        };
        let reading = async {
            while reads_on() {
                self.read().await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        };
        let keeping_up = async {
            while keeps_on() {
                self.keep_up().await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(())
        };
        tokio::try_join!(appending, reading, keeping_up).map(drop)
    }

    async fn append(&self, round: u64, dice: &mut Dice) -> anyhow::Result<()> {
        let event = |number| Event {
            event_type: "small".into(),
            data: format!(r#"{{"round":{round},"number":{number}}}"#),
            ..Event::default()
        };
        let events = (0..=dice.below(20)).map(event).collect();
        let acknowledged = self.client.clone().append(AppendRequest { events, relay: None }).await?.into_inner();
        lock(&self.small).extend(acknowledged.ulids);
        lock(&self.done).appends += 1;
        Ok(())
    }

    async fn append_large(&self, events: &[Event]) -> anyhow::Result<()> {
        let messages = events.chunks(3).map(|events| async {
            self.client.clone().append(AppendRequest { events: events.to_vec(), relay: None }).await
        });
        for acknowledged in try_join_all(messages).await? {
            lock(&self.large).extend(acknowledged.into_inner().ulids);
        }
        Ok(())
    }

    /// Reads all small events: who is answered sees each that was acknowledged before, and none twice.
    async fn read(&self) -> anyhow::Result<()> {
        let before = lock(&self.small).clone();
        let query = QueryRequest { page_size: 1_000, event_types: vec!["small".into()], ..QueryRequest::default() };
        let events = match every(self.client.clone(), query).await {
            Ok(events) => events,
            Err(status) => {
                lock(&self.done).refused_reads += 1;
                // Many requests that are each tried again may take longer than a call has.
                let is_late = Refusal::from_status(&status).reason == Reason::DeadlineExceeded;
                return if is_late { Ok(()) } else { away(&status) };
            }
        };
        let mut seen = BTreeSet::new();
        for event in events {
            anyhow::ensure!(seen.insert(event.ulid.clone()), "{} is there twice", event.ulid);
        }
        lock(&self.done).reads += 1;
        let missing: Vec<_> = before.difference(&seen).collect();
        anyhow::ensure!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), before.len());
        Ok(())
    }

    async fn keep_up(&self) -> anyhow::Result<()> {
        let mut refused = Vec::new();
        let mut client = self.client.clone();
        match client.compact_archive(CompactArchiveRequest {}).await {
            Ok(answers) => refused.extend(drained(answers.into_inner(), |_| Ok(())).await?),
            Err(status) => refused.push(status),
        }
        match client.expire_archive(ExpireArchiveRequest {}).await {
            Ok(answers) => refused.extend(drained(answers.into_inner(), |_| Ok(())).await?),
            Err(status) => refused.push(status),
        }
        match client.verify_archive(VerifyArchiveRequest {}).await {
            Ok(answers) => refused.extend(drained(answers.into_inner(), |_| Ok(())).await?),
            Err(status) => refused.push(status),
        }
        let mut done = lock(&self.done);
        done.upkeep += 1;
        done.refused_upkeep += refused.len() as u64;
        refused.iter().try_for_each(away)
    }
}

/// Reads answers to their end; what ended them early.
pub(crate) async fn drained<T>(
    mut answers: tonic::Streaming<T>,
    mut each: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Status>> {
    loop {
        match answers.message().await {
            Ok(Some(answer)) => each(answer)?,
            Ok(None) => return Ok(None),
            Err(status) => return Ok(Some(status)),
        }
    }
}

/// The one refusal that there may be.
fn away(status: &Status) -> anyhow::Result<()> {
    let refusal = Refusal::from_status(status);
    let is_away = status.code() == Code::Unavailable
        && refusal.reason == Reason::StoreUnavailable
        && refusal.retry_after.is_some_and(|delay| !delay.is_zero());
    anyhow::ensure!(is_away, "{status:?}");
    Ok(())
}

fn large(dice: &mut Dice) -> Event {
    let bytes: Vec<u8> = (0..LARGE_BYTES / 8).flat_map(|_| dice.number().to_le_bytes()).collect();
    Event {
        event_type: "large".into(),
        data: format!("\"{}\"", BASE64_STANDARD_NO_PAD.encode(bytes)),
        ..Event::default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
