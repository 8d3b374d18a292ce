//! Owns the clients that write, read and follow at the same time, until the server dies under them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt as _;
use proto::events::v1::SubscribeRequest;
use proto::things::v1::ListThingsRequest;
use tokio::task::JoinSet;
use ulid::Ulid;

use super::appends::Appender;
use super::check::PATIENCE;
use super::client::{Client, Way};
use super::dice::Dice;
use super::past::Round;
use super::request::{Answer, Asked, Request};
use super::shared::Shared;
use super::streams;
use super::world;

/// Which clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// All of them.
    Mixed,
    /// Those that append events of their own.
    Appends,
}

/// Where a load starts.
#[derive(Debug)]
pub(crate) struct From {
    pub(crate) address: SocketAddr,
    /// Where the follower begins.
    pub(crate) cursor: String,
    /// Begins the ids of all requests.
    pub(crate) label: String,
    /// Above the numbers of all events before.
    pub(crate) number: u64,
}

/// The clients at work.
#[derive(Debug)]
pub(crate) struct Clients {
    tasks: JoinSet<anyhow::Result<Done>>,
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
enum Done {
    Wrote(Vec<Request>),
    Appended(Appender),
    Shown(Vec<Ulid>),
    Followed(Vec<Ulid>),
}

/// Numbers that one appender may use in a round.
const NUMBERS: u64 = 1_000_000;

impl Clients {
    pub(crate) async fn start(load: Load, from: &From, shared: Arc<Shared>, dice: &mut Dice) -> anyhow::Result<Self> {
        shared.start();
        let mut tasks = JoinSet::new();
        let connect = async || Client::connect(from.address).await;
        for (place, way) in [Way::Grpc, Way::Http].into_iter().enumerate() {
            let (client, shared) = (connect().await?, Arc::clone(&shared));
            let appender = Appender::new(dice.split(), way, from.number + place as u64 * NUMBERS);
            tasks.spawn(async move { appender.run(client, &shared).await.map(Done::Appended) });
        }
        let (client, with) = (connect().await?, Arc::clone(&shared));
        let appender = Appender::new(dice.split(), Way::Grpc, from.number + 2 * NUMBERS);
        tasks.spawn(async move { streams::run(appender, client, &with).await.map(Done::Appended) });
        if load == Load::Appends {
            return Ok(Self { tasks, shared });
        }
        for (place, way) in [Way::Grpc, Way::Http, Way::Grpc].into_iter().enumerate() {
            let writer =
                Writer { client: connect().await?, dice: dice.split(), label: format!("{}.{place}", from.label) };
            let shared = Arc::clone(&shared);
            tasks.spawn(async move { writer.write(way, &shared).await.map(Done::Wrote) });
        }
        let importer = Writer { client: connect().await?, dice: dice.split(), label: format!("{}.import", from.label) };
        let with = Arc::clone(&shared);
        tasks.spawn(async move { importer.import(&with).await.map(Done::Wrote) });
        let (client, with) = (connect().await?, Arc::clone(&shared));
        tasks.spawn(async move { read(client, &with).await.map(Done::Shown) });
        let (client, cursor, with) = (connect().await?, from.cursor.clone(), Arc::clone(&shared));
        tasks.spawn(async move { follow(client, cursor, &with).await.map(Done::Followed) });
        Ok(Self { tasks, shared })
    }

    /// Returns when so many requests have been answered, and a random moment later.
    pub(crate) async fn answered(&mut self, times: u64, dice: &mut Dice) -> anyhow::Result<()> {
        let mut answered = self.shared.answered.subscribe();
        let enough = async { answered.wait_for(|answered| *answered >= times).await.map(drop) };
        tokio::select! {
            enough = tokio::time::timeout(PATIENCE, enough) => enough.context("the server stands still")??,
            Some(done) = self.tasks.join_next() => bail!("a client has ended: {:?}", done??),
        }
        // No moment of an answer is as good as any other to die in.
        tokio::time::sleep(Duration::from_micros(dice.below(8_000))).await;
        Ok(())
    }

    /// Lets every client end its request, and adds what they remember to `round`.
    pub(crate) async fn stop(mut self, round: &mut Round) -> anyhow::Result<()> {
        self.shared.stop();
        while let Some(done) = tokio::time::timeout(PATIENCE, self.tasks.join_next()).await.context("a client hangs")? {
            match done?? {
                Done::Wrote(requests) => round.requests.extend(requests),
                Done::Appended(appender) => round.appends.add(appender),
                Done::Shown(shown) => round.shown.extend(shown),
                // Of several loads, the first began where the last check ended.
                Done::Followed(followed) if round.followed.is_empty() => round.followed = followed,
                Done::Followed(_) => {}
            }
        }
        Ok(())
    }
}

/// A client that writes things and relationships.
struct Writer {
    client: Client,
    dice: Dice,
    label: String,
}

impl Writer {
    async fn write(mut self, way: Way, shared: &Shared) -> anyhow::Result<Vec<Request>> {
        let mut requests: Vec<Request> = Vec::new();
        let mut last_put = None;
        while !shared.is_stopped() {
            let id = format!("{}.{}", self.label, requests.len());
            let asked = match &last_put {
                Some(put) if self.dice.one_in(8) => Asked::clone(put),
                _ => world::anything(&mut self.dice, &id, |subject| shared.etag(subject)),
            };
            let request = self.client.ask(shared, id, asked, way).await?;
            if let (Asked::Put { key, body, .. }, Answer::Written { .. }) = (&request.asked, &request.answer) {
                let condition = domain::Condition::None;
                last_put = Some(Asked::Put { key: key.clone(), body: body.clone(), condition });
            }
            let is_dead = request.answer == Answer::Nothing;
            requests.push(request);
            if is_dead {
                break;
            }
        }
        Ok(requests)
    }

    async fn import(mut self, shared: &Shared) -> anyhow::Result<Vec<Request>> {
        let mut requests: Vec<Request> = Vec::new();
        while !shared.is_stopped() && requests.last().is_none_or(|last| last.answer != Answer::Nothing) {
            let id = format!("{}.{}", self.label, requests.len());
            let asked = world::import(&mut self.dice, &id);
            requests.push(self.client.ask(shared, id, asked, Way::Grpc).await?);
        }
        Ok(requests)
    }
}

/// Lists things again and again; tells the etags of all that it saw.
async fn read(mut client: Client, shared: &Shared) -> anyhow::Result<Vec<Ulid>> {
    let mut shown = Vec::new();
    while !shared.is_stopped() {
        for ns in [world::WIKI, world::BULK] {
            let request = ListThingsRequest { ns: ns.into(), page_size: 20, ..Default::default() };
            let Ok(page) = client.things.list_things(request).await else {
                return Ok(shown);
            };
            for thing in page.into_inner().things {
                shown.push(thing.etag.parse()?);
            }
        }
    }
    Ok(shown)
}

/// Follows the log; tells the ULIDs in the order that they came.
async fn follow(mut client: Client, cursor: String, shared: &Shared) -> anyhow::Result<Vec<Ulid>> {
    let mut followed = Vec::new();
    let Ok(signs) = client.events.subscribe(SubscribeRequest { cursor, ..Default::default() }).await else {
        return Ok(followed);
    };
    let mut signs = signs.into_inner();
    loop {
        let sign = tokio::select! {
            sign = signs.next() => sign,
            () = shared.stopped() => None,
        };
        let Some(Ok(sign)) = sign else { return Ok(followed) };
        if let Some(event) = sign.event {
            followed.push(event.ulid.parse()?);
        }
    }
}
