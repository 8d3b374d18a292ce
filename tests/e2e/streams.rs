//! Appends in a stream, through the gateway: acknowledged in order, held to what is on disk, sent again without doubles;
//! and the command that appends a file by it.

use std::{collections::BTreeMap, fs};

use domain::Clock;
use harness::{
    cluster::Cluster,
    events::{counted, every},
};
use proto::{
    common::v1::Reason,
    events::v1::{AppendStreamRequest, AppendStreamResponse, Event, QueryRequest},
};
use serve::Refusal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

super::on_both_topologies! {
    a_stream_acknowledges_everything_in_order_and_ends_well,
    a_bad_event_ends_a_stream_after_what_came_before_it,
    what_a_kill_left_unacknowledged_is_sent_again_and_stored_once,
    a_file_is_appended_but_for_its_bad_lines,
}

/// Batches under way.
const AHEAD: usize = 32;

fn log(clock: &Clock) -> Event {
    Event { ulid: clock.ulid().to_string(), event_type: "stream".into(), ..Event::default() }
}

/// How often each event of the type is there.
async fn stored(cluster: &Cluster) -> BTreeMap<String, usize> {
    let query = QueryRequest { event_types: vec!["stream".into()], page_size: 1_000, ..QueryRequest::default() };
    counted(every(cluster.events().await, query).await.unwrap())
}

struct Sender {
    batches: mpsc::Sender<AppendStreamRequest>,
    told: Streaming<AppendStreamResponse>,
}

async fn open(cluster: &Cluster) -> Sender {
    let (batches, stream) = mpsc::channel(AHEAD);
    let told = cluster.events().await.append_stream(ReceiverStream::new(stream)).await.unwrap().into_inner();
    Sender { batches, told }
}

impl Sender {
    /// Sends all of these; how many were acknowledged, and the error if not all were.
    async fn send_all(mut self, batches: &[Vec<Event>]) -> (usize, Option<Status>) {
        let (mut sent, mut acknowledged) = (0, 0);
        loop {
            while sent < batches.len() && sent < acknowledged + AHEAD {
                let request = AppendStreamRequest { events: batches[sent].clone(), batch: 0 };
                sent += 1;
                if self.batches.send(request).await.is_err() {
                    break;
                }
            }
            if acknowledged == batches.len() {
                drop(self.batches);
                assert_eq!(self.told.message().await.unwrap(), None, "it ends well");
                return (acknowledged, None);
            }
            match self.told.message().await {
                Ok(answer) => {
                    acknowledged += 1;
                    assert_eq!(answer.unwrap().batch, acknowledged as i64);
                }
                Err(status) => return (acknowledged, Some(status)),
            }
        }
    }
}

async fn a_stream_acknowledges_everything_in_order_and_ends_well(cluster: &mut Cluster) {
    let clock = Clock::system();
    let batches: Vec<Vec<_>> = (0..300).map(|_| (0..20).map(|_| log(&clock)).collect()).collect();
    assert!(open(cluster).await.send_all(&batches).await.1.is_none());
    let all: BTreeMap<_, _> = batches.iter().flatten().map(|event| (event.ulid.clone(), 1)).collect();
    assert_eq!(stored(cluster).await, all);
    // A client that goes away leaves nothing half done, and no place taken.
    for _ in 0..100 {
        open(cluster).await.batches.send(AppendStreamRequest { events: vec![log(&clock)], batch: 9 }).await.unwrap();
    }
    assert_eq!(open(cluster).await.send_all(&batches[..40]).await.0, 40);
    let now = stored(cluster).await;
    assert!(all.keys().all(|ulid| now[ulid] == 1) && now.values().all(|times| *times == 1));
}

async fn a_bad_event_ends_a_stream_after_what_came_before_it(cluster: &mut Cluster) {
    let clock = Clock::system();
    let mut batches: Vec<Vec<_>> = (0..10).map(|_| vec![log(&clock), log(&clock)]).collect();
    batches[6][1].status = Some(1_000);
    let (acknowledged, status) = open(cluster).await.send_all(&batches).await;
    let refusal = Refusal::from_status(&status.unwrap());
    assert_eq!((acknowledged, refusal.reason), (6, Reason::FieldInvalid));
    assert_eq!((refusal.violations[0].field.as_str(), refusal.metadata["batch"].as_str()), ("events[1].status", "7"));
    let before: BTreeMap<_, _> = batches[..6].iter().flatten().map(|event| (event.ulid.clone(), 1)).collect();
    assert_eq!(stored(cluster).await, before);
}

async fn what_a_kill_left_unacknowledged_is_sent_again_and_stored_once(cluster: &mut Cluster) {
    let clock = Clock::system();
    let mut batches: Vec<Vec<_>> = (0..600).map(|_| (0..20).map(|_| log(&clock)).collect()).collect();
    let all: BTreeMap<_, _> = batches.iter().flatten().map(|event| (event.ulid.clone(), 1)).collect();
    for _ in 0..3 {
        let (mut sender, kept) = (open(cluster).await, batches.clone());
        let mut acknowledged = 0;
        for batch in &kept[..AHEAD] {
            let request = AppendStreamRequest { events: batch.clone(), batch: 0 };
            sender.batches.send(request).await.unwrap();
        }
        while acknowledged < 5 {
            sender.told.message().await.unwrap().unwrap();
            acknowledged += 1;
        }
        cluster.kill_and_restart("events").await;
        while let Ok(Some(_)) = sender.told.message().await {
            acknowledged += 1;
        }
        let now = stored(cluster).await;
        let told = kept[..acknowledged].iter().flatten();
        assert!(told.clone().all(|event| now.get(&event.ulid) == Some(&1)), "what was acknowledged is there, once");
        batches.drain(..acknowledged - 2);
    }
    assert!(open(cluster).await.send_all(&batches).await.1.is_none());
    assert_eq!(stored(cluster).await, all);
}

async fn a_file_is_appended_but_for_its_bad_lines(cluster: &mut Cluster) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let mut lines: Vec<_> =
        (0..5_000).map(|_| format!(r#"{{"event_type":"stream","ulid":"{}"}}"#, clock.ulid())).collect();
    lines[1_233] = r#"{"event_type":"stream","status":1000}"#.into();
    lines[2_344] = r#"{"event_typ":"stream"}"#.into();
    // Only the server knows how old it is.
    lines[3_455] = r#"{"event_type":"stream","ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#.into();
    fs::write(dir.path().join("events.ndjson"), lines.join("\n")).unwrap();
    for expected in ["4997 stored, 0 known", "0 stored, 4997 known"] {
        let output = cluster.annals(dir.path()).args(["events", "--append", "events.ndjson"]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{out}{err}");
        assert!(out.contains(expected) && out.contains("3 failed"), "{out}{err}");
        for told in ["line 1234: status", "line 2345: ", "line 3456: ulid: must be at most 24 hours old"] {
            assert!(err.contains(told), "no `{told}` in: {err}");
        }
    }
    assert_eq!(stored(cluster).await.len(), 4_997);
}
