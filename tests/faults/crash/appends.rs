//! Owns the clients that append events of their own: with ULIDs of theirs, which they send again until they are told
//! that they are stored, and without.

use std::collections::{BTreeSet, HashMap, VecDeque};

use anyhow::{Context, ensure};
use bytes::Bytes;
use domain::Clock;
use http::Method;
use proto::events::v1::{AppendRequest, AppendResponse, Event};
use ulid::Ulid;

use super::client::{Client, Way, refused, refused_over_http};
use super::dice::Dice;
use super::request::Answer;
use super::shared::Shared;

/// The type of the clients' events.
pub(crate) const EVENT_TYPE: &str = "crash";

/// Events of earlier rounds that are sent again in each.
const REPEATED: usize = 50;

/// An event that a client sent, first of all with this body.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Its own, or what an answer gave.
    pub(crate) ulid: Option<Ulid>,
    pub(crate) data: String,
    pub(crate) fate: Fate,
    /// Events that are stored with it or not at all.
    batch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may be stored.
    Open,
    Stored,
    Refused,
}

/// What the clients of a round have sent, by the number that every event has in its data.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    pub(crate) sent: HashMap<u64, Sent>,
}

/// One client that appends.
#[derive(Debug)]
pub(crate) struct Appender {
    clock: Clock,
    dice: Dice,
    way: Way,
    next: u64,
    pub(crate) sent: HashMap<u64, Sent>,
    stored: VecDeque<u64>,
}

/// Events that are sent together.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) events: Vec<Event>,
    /// Whether each has a ULID of the client's.
    pub(crate) has_ulids: bool,
    /// The numbers of the new ones, which come first.
    fresh: Vec<u64>,
    /// The places of the others, which are stored already.
    repeated: Vec<i32>,
}

impl Appender {
    /// Numbers its events from `first`.
    pub(crate) fn new(dice: Dice, way: Way, first: u64) -> Self {
        Self { clock: Clock::system(), dice, way, next: first, sent: HashMap::new(), stored: VecDeque::new() }
    }

    /// Appends until the server dies or the round ends.
    pub(crate) async fn run(mut self, mut client: Client, shared: &Shared) -> anyhow::Result<Self> {
        while !shared.is_stopped() {
            if !self.append(&mut client, shared).await? {
                break;
            }
        }
        Ok(self)
    }

    /// Appends some events. Whether the server lives.
    async fn append(&mut self, client: &mut Client, shared: &Shared) -> anyhow::Result<bool> {
        let made = self.make()?;
        match append(client, self.way, made.events.clone()).await? {
            Appended::Stored(AppendResponse { ulids, cursor: _, duplicates }) => {
                ensure!(ulids.len() == made.events.len(), "{} ULIDs for {made:?}", ulids.len());
                self.stored(&made, &ulids, &duplicates)?;
            }
            Appended::Answered(Answer::Nothing) => return Ok(false),
            Appended::Answered(_) => self.refused(&made),
        }
        shared.count_answer();
        Ok(true)
    }

    /// Some new events, and some that are stored already, with another body.
    pub(crate) fn make(&mut self) -> anyhow::Result<Made> {
        let mut events = Vec::new();
        let mut fresh = Vec::new();
        let batch = self.next;
        let has_ulids = !self.dice.one_in(4);
        for _ in 0..=self.dice.below(8) {
            let number = self.next;
            self.next += 1;
            let padding = "e".repeat(self.dice.below(300) as usize);
            let data = format!(r#"{{"number":{number},"padding":"{padding}"}}"#);
            let ulid = has_ulids.then(|| self.clock.ulid());
            events.push(event(ulid, &data));
            self.sent.insert(number, Sent { ulid, data, fate: Fate::Open, batch });
            fresh.push(number);
        }
        let mut repeated = Vec::new();
        if has_ulids && self.dice.one_in(3) {
            for number in self.stored.iter().rev().take(3) {
                repeated.push(i32::try_from(events.len())?);
                events.push(event(self.sent[number].ulid, r#"{"another":"body"}"#));
            }
        }
        Ok(Made { events, has_ulids, fresh, repeated })
    }

    /// Notes that all of `made` was acknowledged, with these ULIDs from the first on.
    pub(crate) fn stored(&mut self, made: &Made, ulids: &[String], duplicates: &[i32]) -> anyhow::Result<()> {
        let Made { fresh, repeated, .. } = made;
        ensure!(duplicates == repeated, "duplicates {duplicates:?} are not {repeated:?}");
        for (number, ulid) in fresh.iter().zip(ulids) {
            let sent = self.sent.get_mut(number).expect("just sent");
            let ulid = ulid.parse()?;
            ensure!(*sent.ulid.get_or_insert(ulid) == ulid, "the answer gives another ULID");
        }
        if made.has_ulids {
            self.stored.extend(fresh);
        }
        self.settle(fresh, Fate::Stored);
        Ok(())
    }

    /// Notes that nothing of `made` was kept.
    pub(crate) fn refused(&mut self, made: &Made) {
        self.settle(&made.fresh, Fate::Refused);
    }

    fn settle(&mut self, numbers: &[u64], fate: Fate) {
        for number in numbers {
            self.sent.get_mut(number).expect("just sent").fate = fate;
        }
    }
}

impl Appends {
    /// Adds what one client sent.
    pub(crate) fn add(&mut self, appender: Appender) {
        self.sent.extend(appender.sent);
    }

    /// Sends everything again that has a ULID and is not known to be stored, as it was; tells how many batches turn
    /// out to have been stored.
    pub(crate) async fn retry(&mut self, client: &mut Client) -> anyhow::Result<usize> {
        let mut batches: HashMap<u64, Vec<u64>> = HashMap::new();
        for (number, sent) in &self.sent {
            if sent.fate == Fate::Open && sent.ulid.is_some() {
                batches.entry(sent.batch).or_default().push(*number);
            }
        }
        let mut survived = 0;
        for numbers in batches.values_mut() {
            numbers.sort_unstable();
            let events: Vec<_> = numbers.iter().map(|number| &self.sent[number]).collect();
            let events: Vec<_> = events.iter().map(|sent| event(sent.ulid, &sent.data)).collect();
            let Appended::Stored(answer) = append(client, Way::Grpc, events).await? else {
                anyhow::bail!("a retried append is not stored");
            };
            let known = answer.duplicates.len();
            ensure!(known == 0 || known == numbers.len(), "{known} of a batch of {} were stored", numbers.len());
            survived += usize::from(known > 0);
            for number in numbers {
                self.sent.get_mut(number).expect("known").fate = Fate::Stored;
            }
        }
        Ok(survived)
    }

    /// Sends events of earlier rounds again: each is told to be a duplicate, however long it is stored.
    pub(crate) async fn repeat(client: &mut Client, dice: &mut Dice, stored: &[Ulid]) -> anyhow::Result<()> {
        if stored.is_empty() {
            return Ok(());
        }
        let chosen: BTreeSet<_> = (0..REPEATED).map(|_| stored[dice.below(stored.len() as u64) as usize]).collect();
        let events: Vec<_> = chosen.iter().map(|ulid| event(Some(*ulid), r#"{"another":"body"}"#)).collect();
        let all: Vec<_> = (0..i32::try_from(events.len())?).collect();
        let Appended::Stored(answer) = append(client, Way::Grpc, events).await? else {
            anyhow::bail!("events that are stored are refused");
        };
        ensure!(answer.duplicates == all, "of {chosen:?} only {:?} are known to be stored", answer.duplicates);
        Ok(())
    }

    /// How many events are known to be stored.
    pub(crate) fn stored(&self) -> usize {
        self.sent.values().filter(|sent| sent.fate == Fate::Stored).count()
    }

    /// Checks that what `stored` tells of the events without answer and ULID is all of a batch or nothing.
    pub(crate) fn check_whole_batches(&self, stored: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let mut batches: HashMap<u64, bool> = HashMap::new();
        for (number, sent) in &self.sent {
            let is_stored = stored(*number);
            let whole = *batches.entry(sent.batch).or_insert(is_stored);
            ensure!(whole == is_stored, "only a part of the append with event {number} is stored");
            match sent.fate {
                Fate::Open => {}
                Fate::Stored => ensure!(is_stored, "event {number} was acknowledged and is lost: {sent:?}"),
                Fate::Refused => ensure!(!is_stored, "event {number} was refused and is stored: {sent:?}"),
            }
        }
        Ok(())
    }
}

/// What became of an append.
pub(crate) enum Appended {
    Stored(AppendResponse),
    Answered(Answer),
}

fn event(ulid: Option<Ulid>, data: &str) -> Event {
    let ulid = ulid.map(|ulid| ulid.to_string()).unwrap_or_default();
    Event { ulid, event_type: EVENT_TYPE.into(), data: data.into(), ..Event::default() }
}

/// Sends events.
pub(crate) async fn append(client: &mut Client, way: Way, events: Vec<Event>) -> anyhow::Result<Appended> {
    if way == Way::Grpc {
        return match client.events.append(AppendRequest { events, relay: None }).await {
            Ok(answer) => Ok(Appended::Stored(answer.into_inner())),
            Err(status) => refused(&status).map(Appended::Answered),
        };
    }
    let line = |event: &Event| {
        let ulid = if event.ulid.is_empty() { String::new() } else { format!(r#""ulid":"{}","#, event.ulid) };
        format!("{{{ulid}\"event_type\":\"{}\",\"data\":{}}}\n", event.event_type, event.data)
    };
    let body: String = events.iter().map(line).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let Ok(answer) = client.http.try_call(Method::POST, "/_/events", &headers, Bytes::from(body)).await else {
        return Ok(Appended::Answered(Answer::Nothing));
    };
    if answer.status != 200 {
        return refused_over_http(&answer).map(Appended::Answered);
    }
    let json: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let texts = |name: &str| -> anyhow::Result<Vec<String>> {
        serde_json::from_value(json[name].clone()).with_context(|| format!("{name}: {json}"))
    };
    Ok(Appended::Stored(AppendResponse {
        ulids: texts("ulids")?,
        cursor: json["cursor"].as_str().context("a cursor")?.to_owned(),
        duplicates: serde_json::from_value(json["duplicates"].clone())?,
    }))
}
