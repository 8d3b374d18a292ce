//! The history of one name among very many mutations of 90 days, in an archive on an S3 server: what reading all of it
//! costs. Every request to an object store is a round trip.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use domain::{
    Clock, Cursor, Entity, Etag, Id, Key, Mutation, Provenance, State, TenantId, Thing, ThingBody, Timestamp,
    Visibility,
};
use proto::{
    common::v1::{self as common, EntityKind},
    convert::mutation_event,
    events::v1::{
        AppendRequest, Archive, CompactArchiveRequest, Event, GetArchiveRequest, HistoryRequest, RelayBatch,
        events_service_client::EventsServiceClient,
    },
};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Endpoint};
use ulid::Ulid;

use crate::{
    report::{Report, Row},
    s3::{self, S3},
    server::{Server, python, sibling},
};

const DAYS: u64 = 90;
const DAY: u64 = 86_400_000;
/// Mutations of the name that is read.
const OF_ONE: u64 = 1_000;
const BATCH: u64 = 1_000;
const MAX_REQUESTS: i64 = 20;
/// How often one call is made at most.
const TRIES: usize = 10;
const NS: &str = "bench";

pub(crate) async fn run(mutations: u64) -> anyhow::Result<Report> {
    let s3 = S3::start(&python()?);
    let key = peer_key()?;
    let arguments = [
        ["--peer-key", &key],
        ["--archive-url", &format!("s3://{}/bench", s3::BUCKET)],
        ["--archive-s3-endpoint", s3.endpoint()],
        ["--archive-s3-access-key-id", "annals"],
        ["--archive-s3-secret-access-key", "annals"],
        ["--archive-flush-interval", "10s"],
    ];
    // Events alone: nothing else is asked, and search would take in everything.
    let mut server = Server::spawn_program("events", arguments.as_flattened())?;
    server.ready().await?;
    let channel = Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?;
    let authorization = MetadataValue::try_from(format!("Bearer {key}"))?;
    let mut client = EventsServiceClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", authorization.clone());
        Ok(request)
    });
    let (relay_id, now) = (Clock::system().ulid().to_string(), Clock::system().now().millis() as u64);
    for (batch, first) in (1..).zip((0..mutations).step_by(BATCH as usize)) {
        let events: Vec<_> =
            (first..mutations.min(first + BATCH)).map(|number| mutation(number, mutations, now)).collect();
        let relay = Some(RelayBatch { relay_id: relay_id.clone(), batch });
        let request = AppendRequest { events, relay };
        // A batch that comes twice is taken once.
        tried(async || client.append(request.clone()).await).await?;
    }
    while archived(&tried(async || client.get_archive(GetArchiveRequest {}).await).await?.into_inner()) < mutations {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tried(async || {
        let mut merges = client.compact_archive(CompactArchiveRequest {}).await?.into_inner();
        while merges.message().await?.is_some() {}
        Ok(())
    })
    .await?;
    // With an empty cache of footers.
    server.end()?;
    server.restart()?;
    server.ready().await?;
    let key = Some(common::Key { ns: NS.into(), id: name(0), ..common::Key::default() });
    let kind = EntityKind::Thing.into();
    let request = HistoryRequest { key, kind, page_size: 1_000, ..HistoryRequest::default() };
    let answer = tried(async || client.history(request.clone()).await).await?.into_inner();
    ensure!(answer.mutations.len() as u64 == OF_ONE, "{} of {OF_ONE} mutations are there", answer.mutations.len());
    let cost = answer.cost.context("an answer says its cost")?;
    let mut report = Report::default();
    report.push(Row {
        what: format!("{OF_ONE} mutations of a name among {mutations} of {DAYS} days on an S3 server"),
        ours: format!("{} requests, {} files, {} KiB", cost.requests, cost.files, cost.bytes >> 10),
        baseline: format!("limit {MAX_REQUESTS} requests"),
        ratio: MAX_REQUESTS as f64 / cost.requests as f64,
        bounds: Some((1.0, 1.0)),
    });
    Ok(report)
}

/// Asks again where the connection ended, as those of peers do after half a minute; not for ever.
async fn tried<T>(mut ask: impl AsyncFnMut() -> Result<T, Status>) -> anyhow::Result<T> {
    for _ in 1..TRIES {
        match ask().await {
            Err(status) if matches!(status.code(), Code::Cancelled | Code::Unavailable | Code::Unknown) => {}
            answered => return answered.context("refused"),
        }
    }
    ask().await.context("refused again and again")
}

/// Up to where both tables have everything.
fn archived(archive: &Archive) -> u64 {
    let offsets = archive.tables.iter().map(|table| table.cursor.parse().map_or(0, |cursor: Cursor| cursor.offset));
    offsets.min().unwrap_or(0)
}

/// Makes the key that the server takes batches of.
fn peer_key() -> anyhow::Result<String> {
    let arguments = ["key", "new", "--tenant", "default", "--principal", "bench", "--scope", "peer"];
    let made = Command::new(sibling("annals")?).args(arguments).output().context("cannot run annals")?;
    let text = String::from_utf8(made.stdout)?;
    Ok(text.lines().next().context("a key is printed")?.to_owned())
}

fn name(number: u64) -> String {
    format!("Name {number}")
}

/// In order of time; one of so many is of the first name.
fn mutation(number: u64, of: u64, now: u64) -> Event {
    let millis = now - DAYS * DAY + number * (DAYS * DAY / of);
    // The low bits only have to differ.
    let mut random = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    random ^= random >> 61;
    let ulid = Ulid::from_parts(millis, random);
    let is_first = number.is_multiple_of(of / OF_ONE);
    let id = name(if is_first { 0 } else { 1 + (random % (u128::from(of) / 20)) as u64 });
    let text = format!("{:032x}", random.wrapping_mul(random | 1)).repeat(14);
    let body = ThingBody {
        thing_type: "Note".parse().expect("a type"),
        visibility: Visibility::Public,
        content: Some(text.try_into().expect("short")),
        code: None,
        data: None,
        embedding: None,
    };
    let key = Key::canonical(NS.parse().expect("a namespace"), Id::from_canonical(&id).expect("an id"));
    let entity = Entity::thing(key.clone(), body.thing_type.clone());
    let after = State::Thing(Thing { key, body, created_at: Timestamp::of_ulid(ulid), etag: Etag(ulid) });
    let provenance = Provenance { actor: "bench".into(), request_id: "bench".into(), cause: "bench".into() };
    mutation_event(&TenantId::local(), &Mutation { ulid, entity, before: None, after: Some(after), provenance })
}
