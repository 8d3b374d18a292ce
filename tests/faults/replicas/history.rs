//! Owns the comparison of the log with what writers were told and with what things has. Never writes but the mark at its end.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use domain::{Mutation, State};
use futures::StreamExt as _;
use proto::{
    common::v1::Key,
    convert,
    events::v1::{Start, SubscribeRequest, events_service_client::EventsServiceClient},
    things::v1::{GetThingRequest, PutThingRequest, Thing, things_service_client::ThingsServiceClient},
};
use tonic::{Code, transport::Channel};
use ulid::Ulid;

use super::{
    NAMES, NS,
    writer::{Answer, Asked, mark},
};

/// How long the next event is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the log says.
#[derive(Default)]
struct Log {
    /// The mutation of each change.
    mutations: HashMap<String, Ulid>,
    /// What each name has, and its last mutation.
    names: HashMap<String, (Ulid, Option<State>)>,
}

/// How many mutations there are.
pub(super) async fn check(
    events: EventsServiceClient<Channel>,
    mut things: [ThingsServiceClient<Channel>; 2],
    requests: Vec<Asked>,
) -> anyhow::Result<usize> {
    // After all others in the outbox.
    let key = Some(Key { ns: NS.into(), id: "end".into(), ..Key::default() });
    let end = Thing { key, r#type: "Note".into(), content: Some("end".into()), ..Thing::default() };
    let put = PutThingRequest { thing: Some(end), ..PutThingRequest::default() };
    let end = things[0].put_thing(put).await?.into_inner().etag.parse()?;
    let mut log = read(events, end).await?;
    let count = log.mutations.len();
    for Asked { id, changes, answer } in requests {
        let found: Vec<_> = (0..changes).map(|change| log.mutations.remove(&mark(&id, change))).collect();
        match answer {
            Answer::Kept(ulids) => {
                let told: Vec<Option<Ulid>> =
                    ulids.iter().map(|ulid| ulid.parse().map(Some)).collect::<Result<_, _>>()?;
                ensure!(found == told, "{id} was acknowledged as {told:?} and is there as {found:?}");
            }
            Answer::Refused => ensure!(found.iter().all(Option::is_none), "{id} was refused, and is there: {found:?}"),
            Answer::Unknown => {
                let count = found.iter().flatten().count();
                ensure!(count == 0 || count == changes, "{id} is there by half: {found:?}");
            }
        }
    }
    ensure!(log.mutations.is_empty(), "nobody asked for {:?}", log.mutations);
    for number in 0..NAMES {
        let id = number.to_string();
        let folded = log.names.remove(&id).and_then(|(_, state)| state);
        for things in &mut things {
            let key = Some(Key { ns: NS.into(), id: id.clone(), ..Key::default() });
            let there = match things.get_thing(GetThingRequest { key, ..GetThingRequest::default() }).await {
                Ok(thing) => Some(thing.into_inner()),
                Err(status) if status.code() == Code::NotFound => None,
                Err(status) => return Err(status).context("a thing is read"),
            };
            let (there, folded) =
                (there.map(|thing| (thing.etag, thing.content)), folded.as_ref().map(state_of).transpose()?);
            ensure!(there == folded, "{id} is {there:?}, and the fold of its events is {folded:?}");
        }
    }
    Ok(count)
}

fn state_of(state: &State) -> anyhow::Result<(String, Option<String>)> {
    let State::Thing(thing) = state else { bail!("it is no thing: {state:?}") };
    Ok((state.etag().to_string(), thing.body.content.as_ref().map(|content| content.as_str().to_owned())))
}

/// The log from its beginning to `end`, in its order.
async fn read(mut events: EventsServiceClient<Channel>, end: Ulid) -> anyhow::Result<Log> {
    let start = Start::Beginning.into();
    let request = SubscribeRequest { start, entity_ns: NS.into(), ..SubscribeRequest::default() };
    let mut stream = events.subscribe(request).await?.into_inner();
    let mut log = Log::default();
    loop {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await.context("the end does not come")?;
        let Some(event) = next.context("the log ends before")??.event else { continue };
        let mutation = convert::mutation(event)?;
        if mutation.ulid == end {
            return Ok(log);
        }
        log.add(mutation)?;
    }
}

impl Log {
    fn add(&mut self, mutation: Mutation) -> anyhow::Result<()> {
        let Mutation { ulid, entity, before, after, provenance } = mutation;
        let name = entity.key.id.as_str().to_owned();
        let of = match &after {
            Some(state) => state_of(state)?.1.context("every state has a content")?,
            None => mark(&provenance.request_id, 0),
        };
        if let Some(first) = self.mutations.insert(of.clone(), ulid) {
            bail!("{of} is there twice, as {first} and as {ulid}");
        }
        match self.names.entry(name) {
            Entry::Vacant(vacant) => {
                ensure!(before.is_none(), "{of} is the first of its name, and follows {before:?}");
                vacant.insert((ulid, after));
            }
            Entry::Occupied(mut last) => {
                let (last_ulid, last_state) = last.get();
                ensure!(ulid > *last_ulid, "{of}: {ulid} follows {last_ulid}");
                ensure!(before == *last_state, "{of} follows {before:?}, and the state was {last_state:?}");
                last.insert((ulid, after));
            }
        }
        Ok(())
    }
}
