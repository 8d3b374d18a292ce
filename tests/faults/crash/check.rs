//! Owns the questions to a server whose log and whose present shall agree with the past. Never writes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use domain::{EntityKind, Key, State};
use futures::StreamExt as _;
use proto::convert::{key_to_wire, state_to_wire};
use proto::events::v1::{Event, HistoryRequest, QueryRequest, Start, SubscribeRequest, SubscribeResponse, state};
use proto::things::v1 as wire;
use serde_json::Value;
use tonic::Streaming;
use ulid::Ulid;

use super::client::Client;
use super::past::{Name, Past, hash};
use super::request::Subject;
use super::world;

/// How long a server may take for what should be there at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The last barrier, which nobody has written since, is there: a store that has gone back is found at once.
pub(crate) async fn barrier(client: &mut Client, past: &Past) -> anyhow::Result<()> {
    let subject = (EntityKind::Thing, world::barrier());
    match past.names.get(&subject) {
        Some(name) => resolved(client, &subject, name).await,
        None => Ok(()),
    }
}

/// Follows the log from where the last check ended; refused at once if the log does not reach there any more.
pub(crate) async fn follow(client: &mut Client, past: &Past) -> anyhow::Result<Streaming<SubscribeResponse>> {
    let start = if past.cursor.is_empty() { Start::Beginning } else { Start::Unspecified };
    let request = SubscribeRequest { cursor: past.cursor.clone(), start: start.into(), ..Default::default() };
    Ok(client.events.subscribe(request).await.context("the log is followed")?.into_inner())
}

/// What the log has beyond `past`, up to the mutation `last`; moves the cursor of `past`.
pub(crate) async fn news(
    mut signs: Streaming<SubscribeResponse>,
    past: &mut Past,
    last: Ulid,
) -> anyhow::Result<Vec<Event>> {
    let last = last.to_string();
    let read = async {
        let mut events = Vec::new();
        while let Some(sign) = signs.next().await {
            let sign = sign?;
            past.cursor = sign.cursor;
            let Some(event) = sign.event else { continue };
            let is_last = event.ulid == last;
            events.push(event);
            if is_last {
                return Ok(events);
            }
        }
        bail!("the subscription ended")
    };
    let read = tokio::time::timeout(PATIENCE, read).await;
    read.context("the last mutation does not arrive: the relay is stuck")?
}

/// Every thing and relationship is what the fold of its mutations is.
pub(crate) async fn present(client: &mut Client, past: &Past) -> anyhow::Result<()> {
    let mut expected: Vec<_> =
        past.names.iter().filter_map(|((kind, key), name)| Some(((*kind, key.clone()), name.state.clone()?))).collect();
    let mut found = Vec::new();
    for ns in [world::WIKI, world::LITERAL, world::BULK] {
        things_of(client, ns, &mut found).await?;
    }
    let keys: Vec<_> = found.iter().map(|thing| thing.key.clone().context("a key")).collect::<Result<_, _>>()?;
    let with_embeddings = if keys.is_empty() {
        Vec::new()
    } else {
        let request = wire::BatchGetThingsRequest { keys, include_embedding: true };
        client.things.batch_get_things(request).await?.into_inner().things
    };
    let is_thing = |(kind, _): &Subject| *kind == EntityKind::Thing;
    let things: BTreeSet<_> = expected.iter().map(|(subject, _)| subject.clone()).filter(is_thing).collect();
    ensure!(things.len() == with_embeddings.len(), "{} things are listed, not {}", with_embeddings.len(), things.len());
    let mut present: Vec<_> = with_embeddings.into_iter().map(state::State::Thing).collect();
    for (_, key) in past.names.keys().filter(|(kind, _)| *kind == EntityKind::Relationship) {
        let request = wire::GetRelationshipRequest { key: Some(key_to_wire(key)) };
        match client.things.get_relationship(request).await {
            Ok(relationship) => present.push(state::State::Relationship(relationship.into_inner())),
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) => return Err(status.into()),
        }
    }
    let sort = |state: &state::State| format!("{state:?}");
    let mut present: Vec<_> = present.into_iter().map(without_url).collect();
    present.sort_by_key(sort);
    let mut folded: Vec<_> = expected.drain(..).filter_map(|(_, state)| state_to_wire(state).state).collect();
    folded.sort_by_key(sort);
    for (present, folded) in present.iter().zip(&folded) {
        ensure!(present == folded, "the present\n  {present:?}\nis not the fold of the events\n  {folded:?}");
    }
    ensure!(present.len() == folded.len(), "{} states are present, {} by the events", present.len(), folded.len());
    Ok(())
}

/// The whole log reads as it did, and every name as its history says, by all the ways there are to ask.
pub(crate) async fn all(client: &mut Client, past: &Past) -> anyhow::Result<()> {
    let mut token = String::new();
    let mut known = past.log.iter();
    loop {
        let request = QueryRequest { page_size: 1_000, page_token: token, ..Default::default() };
        let page = client.events.query(request).await?.into_inner();
        for event in &page.events {
            let read = (event.ulid.parse()?, hash(event));
            ensure!(known.next() == Some(&read), "the log has changed at {}: {event:?}", event.journal_offset);
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    ensure!(known.next().is_none(), "the log has become shorter");
    for (subject, name) in &past.names {
        history(client, subject, name).await.with_context(|| format!("{subject:?}"))?;
    }
    for ((kind, key), name) in &past.names {
        if *kind == EntityKind::Thing && key.variant.is_canonical() && name.state.is_some() {
            edges(client, key, past).await?;
        }
    }
    Ok(())
}

async fn things_of(client: &mut Client, ns: &str, into: &mut Vec<wire::Thing>) -> anyhow::Result<()> {
    let mut token = String::new();
    loop {
        let request =
            wire::ListThingsRequest { ns: ns.into(), page_size: 1_000, page_token: token, ..Default::default() };
        let page = client.things.list_things(request).await?.into_inner();
        into.extend(page.things);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(());
        }
    }
}

/// The name's last ULID and its history, over gRPC; a past state of it, over HTTP.
async fn history(client: &mut Client, subject: &Subject, name: &Name) -> anyhow::Result<()> {
    let (kind, key) = subject;
    let kind = proto::convert::entity_kind_to_wire(*kind).into();
    resolved(client, subject, name).await?;
    let last = name.ulids.last().context("a name has a mutation")?;
    let (mut ulids, mut token) = (Vec::new(), String::new());
    loop {
        let key = Some(key_to_wire(key));
        let request = HistoryRequest { key, kind, page_size: 1_000, page_token: token, wait_for: last.to_string() };
        let page = client.events.history(request).await?.into_inner();
        for mutation in page.mutations {
            ulids.push(mutation.ulid.parse::<Ulid>()?);
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    ensure!(ulids == name.ulids, "its history is {ulids:?}, not {:?}", name.ulids);

    let Some(State::Thing(thing)) = &name.state else { return Ok(()) };
    let url = domain::url::encode(key, world::style_of(&key.ns));
    let answer = client.http.try_get(&format!("{url}?at={last}")).await?;
    ensure!(answer.status == 200, "GET {url}?at={last}: {} {}", answer.status, answer.text());
    let then: Value = serde_json::from_slice(&answer.body)?;
    let content = thing.body.content.as_ref().map(domain::Content::as_str);
    ensure!(then["etag"] == last.to_string() && then["content"].as_str() == content, "GET {url}?at={last}: {then}");
    Ok(())
}

/// The name's last ULID, and whether it exists, as things knows it.
async fn resolved(client: &mut Client, (kind, key): &Subject, name: &Name) -> anyhow::Result<()> {
    let kind = proto::convert::entity_kind_to_wire(*kind).into();
    let request = wire::ResolveNameRequest { key: Some(key_to_wire(key)), kind, as_of: None };
    let resolved = client.things.resolve_name(request).await?.into_inner();
    let last = name.ulids.last().context("a name has a mutation")?;
    ensure!(resolved.last_ulid == last.to_string(), "the last ULID of {key} is {}, not {last}", resolved.last_ulid);
    ensure!(resolved.exists == name.state.is_some(), "{key} exists: {}", resolved.exists);
    Ok(())
}

async fn edges(client: &mut Client, thing: &Key, past: &Past) -> anyhow::Result<()> {
    let request =
        wire::ListRelationshipsRequest { thing: Some(key_to_wire(thing)), page_size: 1_000, ..Default::default() };
    let listed = client.things.list_relationships(request).await?.into_inner().relationships;
    let mut listed: Vec<_> = listed.into_iter().map(|edge| edge.etag).collect();
    let name = thing.name();
    let mut expected: Vec<_> = past
        .names
        .values()
        .filter_map(|known| match &known.state {
            Some(State::Relationship(edge)) if edge.body.from == name || edge.body.to == name => {
                Some(edge.etag.to_string())
            }
            _ => None,
        })
        .collect();
    listed.sort();
    expected.sort();
    ensure!(listed == expected, "the relationships at {thing} are {listed:?}, not {expected:?}");
    Ok(())
}

fn without_url(state: state::State) -> state::State {
    match state {
        state::State::Thing(thing) => state::State::Thing(wire::Thing { url: String::new(), ..thing }),
        state::State::Relationship(edge) => {
            state::State::Relationship(wire::Relationship { url: String::new(), ..edge })
        }
    }
}
