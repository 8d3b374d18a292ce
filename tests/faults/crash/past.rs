//! Owns what the log has said so far: every event in commit order, and the fold of the mutations of each name.
//! Never asks a server: it judges what it is given.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, bail, ensure};
use domain::{Embedding, EntityKind, Mutation, State, Timestamp};
use prost::Message;
use proto::convert::event_from_wire;
use proto::events::v1::Event;
use ulid::Ulid;

use super::appends::{Appends, EVENT_TYPE};
use super::request::{Answer, Asked, Body, Outcome, Request, Subject};

/// Everything that was read of the log up to the last check.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Each event: ULID, and a hash of all its columns.
    pub(crate) log: Vec<(Ulid, u64)>,
    ulids: HashSet<Ulid>,
    /// The numbers of the clients' events.
    numbers: HashSet<u64>,
    /// The ULIDs of these, in commit order.
    pub(crate) appended: Vec<Ulid>,
    pub(crate) names: BTreeMap<Subject, Name>,
    /// Where to read on.
    pub(crate) cursor: String,
}

/// The mutations of one name.
#[derive(Debug, Default)]
pub(crate) struct Name {
    /// As after the last of them.
    pub(crate) state: Option<State>,
    /// Of a thing; no mutation tells it.
    pub(crate) embedding: Option<Embedding>,
    /// In commit order, which is their own.
    pub(crate) ulids: Vec<Ulid>,
    /// When the latest of its requests was sent, in the clients' order of this round.
    sent: (u64, u64),
}

/// What the clients of one round did.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) requests: Vec<Request>,
    pub(crate) appends: Appends,
    /// States that a reader was shown, by their etags.
    pub(crate) shown: Vec<Ulid>,
    /// ULIDs that a subscriber was sent, from the cursor of the last check on.
    pub(crate) followed: Vec<Ulid>,
}

/// What a round turned out to have done.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) acknowledged: usize,
    /// Events of clients' own that were acknowledged, some of them when they were sent again.
    pub(crate) appended: usize,
    pub(crate) refused: usize,
    /// Requests without an answer, and how many of them took effect.
    pub(crate) unanswered: usize,
    pub(crate) survived: usize,
    pub(crate) events: usize,
}

impl Past {
    /// Takes the events that the log has beyond what is known; each must be one that the round accounts for.
    pub(crate) fn learn(&mut self, events: Vec<Event>, round: &Round) -> anyhow::Result<Tally> {
        let from = self.log.len();
        let by_id: HashMap<&str, &Request> = round.requests.iter().map(|request| (&*request.id, request)).collect();
        let mut made: HashMap<&str, Vec<(Subject, Ulid)>> = HashMap::new();
        for event in events {
            let told = format!("event {} {} {}", event.journal_offset, event.ulid, event.metadata);
            let ulid: Ulid = event.ulid.parse()?;
            ensure!(event.journal_offset as usize == self.log.len(), "{told}: not at {}", self.log.len());
            ensure!(self.ulids.insert(ulid), "{told}: its ULID is there twice");
            self.log.push((ulid, hash(&event)));
            if event.event_type == EVENT_TYPE {
                self.appended.push(ulid);
                self.learn_append(&event, ulid, round).context(told)?;
            } else {
                let (id, subject) = self.learn_mutation(event, round.number, &by_id).context(told)?;
                made.entry(id).or_default().push((subject, ulid));
            }
        }
        ensure!(
            round.followed.iter().eq(self.log[from..].iter().map(|(ulid, _)| ulid).take(round.followed.len())),
            "a subscriber was sent events that are not there any more, or not in that order"
        );
        if let Some(shown) = round.shown.iter().find(|shown| !self.ulids.contains(shown)) {
            bail!("the state {shown} was shown and is lost");
        }
        round.appends.check_whole_batches(|number| self.numbers.contains(&number))?;
        let (events, appended) = (self.log.len() - from, round.appends.stored());
        let mut tally = Tally { appended, events, ..Tally::default() };
        for request in &round.requests {
            let made = made.get(&*request.id).map_or(&[][..], Vec::as_slice);
            self.settle(request, made, &mut tally).with_context(|| format!("{request:?} made {made:?}"))?;
        }
        self.check_ends()?;
        Ok(tally)
    }

    fn learn_append(&mut self, event: &Event, ulid: Ulid, round: &Round) -> anyhow::Result<()> {
        let data: serde_json::Value = serde_json::from_str(&event.data)?;
        let number = data["number"].as_u64().context("the second body of an event was kept")?;
        ensure!(self.numbers.insert(number), "event {number} is there twice");
        let sent = round.appends.sent.get(&number).context("nobody sent it in this round")?;
        ensure!(sent.ulid.is_none_or(|own| own == ulid), "it was sent with another ULID: {sent:?}");
        ensure!(sent.data == event.data, "it was sent with another body: {sent:?}");
        Ok(())
    }

    /// Folds one mutation; tells the request that made it and the name that it is about.
    fn learn_mutation<'a>(
        &mut self,
        event: Event,
        round: u64,
        requests: &HashMap<&'a str, &'a Request>,
    ) -> anyhow::Result<(&'a str, Subject)> {
        let event = event_from_wire(event)?;
        let entity = event.body.entity.context("no entity")?;
        let subject = (entity.kind, entity.key.clone());
        let (data, metadata) = (event.body.data.context("no data")?, event.body.metadata.context("no metadata")?);
        let mutation = Mutation::from_event(event.ulid, entity, data.as_str(), metadata.as_str())?;
        let request = requests.get(&*mutation.provenance.request_id).context("nobody asked for it in this round")?;

        let name = self.names.entry(subject.clone()).or_default();
        ensure!(name.ulids.last().is_none_or(|last| *last < mutation.ulid), "ULIDs of {subject:?} run backwards");
        ensure!(
            without_embedding(name.state.as_ref()) == mutation.before,
            "it begins with {:?}, but the mutation before ended with {:?}",
            mutation.before,
            name.state
        );
        let outcome = request.asked.outcome(&subject, name.state.as_ref()).context("its request does not do this")?;
        ensure!(outcome.may_follow(name.state.as_ref()), "the condition did not hold: {:?}", request.asked);
        check_after(&mutation, &outcome)?;
        // What was answered before another request was sent comes before it.
        let latest = if name.sent.0 == round { name.sent.1 } else { 0 };
        ensure!(request.answered > latest, "{} was answered before one ahead of it was sent", request.id);
        name.sent = (round, latest.max(request.sent));

        name.embedding = outcome.embedding();
        name.state = with_embedding(mutation.after, name.embedding.clone());
        name.ulids.push(mutation.ulid);
        Ok((&request.id, subject))
    }

    /// Compares what a request was told with the mutations that it made.
    fn settle(&self, request: &Request, made: &[(Subject, Ulid)], tally: &mut Tally) -> anyhow::Result<()> {
        let distinct: HashSet<_> = made.iter().map(|(subject, _)| subject).collect();
        ensure!(distinct.len() == made.len(), "it happened twice to one name");
        let own = request.asked.subject();
        let of_own = made.iter().find(|(subject, _)| Some(subject) == own.as_ref()).map(|(_, ulid)| *ulid);
        match &request.answer {
            Answer::Nothing => {
                ensure!(made.is_empty() || own.is_none() || of_own.is_some(), "only a part of it happened");
                check_whole_messages(&request.asked, made)?;
                tally.unanswered += 1;
                tally.survived += usize::from(!made.is_empty());
            }
            Answer::Refused(reason) => {
                // The messages of an import are transactions of their own: those before the refused one stay.
                ensure!(made.is_empty() || own.is_none(), "it was refused with {reason:?} and happened");
                check_whole_messages(&request.asked, made)?;
                tally.refused += 1;
            }
            Answer::Written { ulid, with } => {
                ensure!(of_own == Some(*ulid), "acknowledged and lost, or stored under another ULID");
                ensure!(with.is_none_or(|with| made.len() == with + 1), "{with:?} others should go with it");
                tally.acknowledged += 1;
            }
            Answer::Unchanged { ulid } => {
                ensure!(made.is_empty(), "it changed nothing and has mutations");
                ensure!(self.ulids.contains(ulid), "the state that it found is lost");
                tally.acknowledged += 1;
            }
            Answer::Imported(answer) => {
                let changed = (answer.created + answer.replaced) as usize;
                ensure!(changed == made.len(), "acknowledged and lost: {changed} rows were imported");
                let Asked::Import { messages, failing } = &request.asked else { bail!("it is no import") };
                ensure!(changed == messages.iter().map(Vec::len).sum::<usize>(), "rows without news");
                ensure!(answer.failed as usize == *failing, "{failing} rows should fail");
                tally.acknowledged += 1;
            }
        }
        Ok(())
    }

    /// Nothing is left behind of what goes with something else.
    fn check_ends(&self) -> anyhow::Result<()> {
        let exists =
            |key: domain::Key| self.names.get(&(EntityKind::Thing, key)).is_some_and(|name| name.state.is_some());
        for ((_, key), name) in &self.names {
            match &name.state {
                None => {}
                Some(State::Thing(_)) => ensure!(exists(key.to_canonical()), "{key} is a variant of nothing"),
                Some(State::Relationship(edge)) => {
                    let (from, to) = (edge.body.from.clone(), edge.body.to.clone());
                    ensure!(exists(from.into()) && exists(to.into()), "relationship {key} has lost an end");
                }
            }
        }
        Ok(())
    }
}

/// All columns but the one that says which flush archived it: what is read later must be the same.
pub(crate) fn hash(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    Event { pipeline_batch_id: 0, ..event.clone() }.encode_to_vec().hash(&mut hasher);
    hasher.finish()
}

fn check_after(mutation: &Mutation, outcome: &Outcome) -> anyhow::Result<()> {
    let expected = outcome.body.clone().map(|body| match body {
        Body::Thing(body) => Body::Thing(domain::ThingBody { embedding: None, ..body }),
        relationship @ Body::Relationship(_) => relationship,
    });
    let after = mutation.after.as_ref();
    ensure!(after.map(Body::of) == expected, "it ends with {after:?}, but {expected:?} was asked for");
    let Some(after) = after else { return Ok(()) };
    ensure!(after.etag().0 == mutation.ulid, "its state has another etag: {after:?}");
    let began = mutation.before.as_ref().map_or(Timestamp::of_ulid(mutation.ulid), created_at);
    ensure!(created_at(after) == began, "its state was created at another time: {after:?}");
    Ok(())
}

/// Each message of an import is one transaction, and none overtakes another.
fn check_whole_messages(asked: &Asked, made: &[(Subject, Ulid)]) -> anyhow::Result<()> {
    let Asked::Import { messages, .. } = asked else { return Ok(()) };
    let mut is_over = false;
    for rows in messages {
        let stored = rows.iter().filter(|(key, _)| made.iter().any(|((_, made), _)| made == key)).count();
        ensure!(stored == 0 || stored == rows.len(), "{stored} of a message of {} rows", rows.len());
        ensure!(stored == 0 || !is_over, "a message is stored and one before it is not");
        is_over |= stored == 0;
    }
    Ok(())
}

fn created_at(state: &State) -> Timestamp {
    match state {
        State::Thing(thing) => thing.created_at,
        State::Relationship(relationship) => relationship.created_at,
    }
}

fn without_embedding(state: Option<&State>) -> Option<State> {
    with_embedding(state.cloned(), None)
}

fn with_embedding(state: Option<State>, embedding: Option<Embedding>) -> Option<State> {
    state.map(|state| match state {
        State::Thing(mut thing) => {
            thing.body.embedding = embedding;
            State::Thing(thing)
        }
        relationship @ State::Relationship(_) => relationship,
    })
}
