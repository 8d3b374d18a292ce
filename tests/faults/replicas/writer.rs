//! Owns what one writer asks two processes for, and what it is told. Repeats only what has a request id that counts.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use domain::Condition;
use proto::{
    common::v1::Key,
    things::v1::{
        DeleteThingRequest, GetThingRequest, PutThingRequest, Thing, WriteChange, WriteThingsRequest,
        things_service_client::ThingsServiceClient, write_change::Change,
    },
};
use tonic::{Request, Response, Status, transport::Channel};

use super::{NAMES, NS, Progress};
use crate::crash::{
    bodies::condition_to_wire,
    client::refused,
    dice::Dice,
    request::Answer::{Nothing, Refused},
};

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is asked again.
const LONGEST: Duration = Duration::from_mins(2);
/// How long a writer rests that heard nothing.
const REST: Duration = Duration::from_millis(50);
/// The most changes of a batch.
const BATCH: u64 = 30;

/// One request, as its writer remembers it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    /// How many names it changes, one after the other.
    pub(super) changes: usize,
    pub(super) answer: Answer,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// Each change has this mutation.
    Kept(Vec<String>),
    Refused,
    /// Nobody knows.
    Unknown,
}

pub(super) struct Writer {
    number: u64,
    clients: [ThingsServiceClient<Channel>; 2],
    dice: Dice,
    progress: Arc<Progress>,
    asked: Vec<Asked>,
}

/// What the content of a thing says of the change that it is of.
pub(super) fn mark(id: &str, change: usize) -> String {
    format!("{id}.{change}")
}

impl Writer {
    pub(super) fn new(
        number: u64,
        clients: [ThingsServiceClient<Channel>; 2],
        dice: Dice,
        progress: Arc<Progress>,
    ) -> Self {
        Self { number, clients, dice, progress, asked: Vec::new() }
    }

    /// Until there is enough.
    pub(super) async fn run(mut self) -> anyhow::Result<Vec<Asked>> {
        while !self.progress.is_enough.load(Ordering::Relaxed) {
            let id = format!("{}.{}", self.number, self.asked.len());
            let (changes, answer) = match self.dice.below(10) {
                0..=4 => (1, self.put(&id, Condition::None).await?),
                5 => (1, self.delete(&id).await?),
                6 => (1, self.compare_and_put(&id).await?),
                7 => self.batch(&id, false, BATCH).await?,
                // All names, in any order: others wait for it.
                8 if self.dice.one_in(4) => self.batch(&id, false, NAMES).await?,
                _ => self.batch(&id, true, BATCH).await?,
            };
            match &answer {
                Answer::Kept(ulids) => _ = self.progress.kept.fetch_add(ulids.len() as u64, Ordering::Relaxed),
                Answer::Refused => {}
                Answer::Unknown => tokio::time::sleep(REST).await,
            }
            self.asked.push(Asked { id, changes, answer });
        }
        Ok(self.asked)
    }

    fn client(&mut self) -> ThingsServiceClient<Channel> {
        self.clients[self.dice.below(2) as usize].clone()
    }

    fn key(&mut self) -> Key {
        Key { ns: NS.into(), id: self.dice.below(NAMES).to_string(), ..Key::default() }
    }

    async fn put(&mut self, id: &str, condition: Condition) -> anyhow::Result<Answer> {
        let key = self.key();
        let request = request(PutThingRequest {
            thing: Some(thing(key, id, 0)),
            condition: condition_to_wire(&condition),
            request_id: id.into(),
            ..PutThingRequest::default()
        });
        answer(self.client().put_thing(request).await, |answer| vec![answer.etag])
    }

    async fn delete(&mut self, id: &str) -> anyhow::Result<Answer> {
        let request = request(DeleteThingRequest {
            key: Some(self.key()),
            request_id: id.into(),
            ..DeleteThingRequest::default()
        });
        answer(self.client().delete_thing(request).await, |answer| vec![answer.ulid])
    }

    /// Puts over what another process has told.
    async fn compare_and_put(&mut self, id: &str) -> anyhow::Result<Answer> {
        let read = request(GetThingRequest { key: Some(self.key()), ..GetThingRequest::default() });
        let Ok(present) = self.client().get_thing(read).await else { return Ok(Answer::Refused) };
        let Thing { key, etag, .. } = present.into_inner();
        let key = key.context("a thing has a key")?;
        let condition = condition_to_wire(&Condition::Etags(vec![etag.parse().context("an etag")?]));
        let request = request(PutThingRequest {
            thing: Some(thing(key, id, 0)),
            condition,
            request_id: id.into(),
            ..PutThingRequest::default()
        });
        answer(self.client().put_thing(request).await, |answer| vec![answer.etag])
    }

    /// Puts many things in one transaction, again and again until it is known what became of it. One that `fails` has a last
    /// change that is refused.
    async fn batch(&mut self, id: &str, fails: bool, most: u64) -> anyhow::Result<(usize, Answer)> {
        let count = 2 + self.dice.below(most - 1) as usize;
        let mut puts: Vec<_> = (0..count)
            .map(|number| PutThingRequest { thing: Some(thing(self.key(), id, number)), ..PutThingRequest::default() })
            .collect();
        if fails {
            let key = Key { ns: NS.into(), id: "never".into(), ..Key::default() };
            let condition = condition_to_wire(&Condition::UpdateOnly);
            puts.push(PutThingRequest { thing: Some(thing(key, id, count)), condition, ..PutThingRequest::default() });
        }
        let changes = puts.into_iter().map(|put| WriteChange { change: Some(Change::PutThing(put)) }).collect();
        let message = WriteThingsRequest { changes, request_id: id.into(), ..WriteThingsRequest::default() };
        let began = Instant::now();
        loop {
            let told = self.client().write_things(request(message.clone())).await;
            let answer = answer(told, |answer| answer.results.into_iter().map(|result| result.ulid).collect())?;
            if !matches!(answer, Answer::Unknown) {
                ensure!(fails == matches!(answer, Answer::Refused), "{id}: {answer:?}");
                return Ok((count, answer));
            }
            ensure!(began.elapsed() < LONGEST, "{id}: nothing is heard of it");
            tokio::time::sleep(REST).await;
        }
    }
}

fn thing(key: Key, id: &str, change: usize) -> Thing {
    Thing { key: Some(key), r#type: "Note".into(), content: Some(mark(id, change)), ..Thing::default() }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

fn answer<T>(told: Result<Response<T>, Status>, ulids: impl FnOnce(T) -> Vec<String>) -> anyhow::Result<Answer> {
    let status = match told {
        Ok(answer) => return Ok(Answer::Kept(ulids(answer.into_inner()))),
        Err(status) => status,
    };
    Ok(match refused(&status)? {
        Refused(reason) if reason != proto::common::v1::Reason::StoreUnavailable => Answer::Refused,
        Refused(_) | Nothing => Answer::Unknown,
        other => unreachable!("no refusal is {other:?}"),
    })
}
