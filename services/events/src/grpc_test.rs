//! The service as its clients call it: decoding, limits and refusals on the wire.

use domain::{Clock, TenantId, Visibility};
use futures::stream;
use proto::{
    common::v1::{Key as WireKey, Reason},
    convert::as_of_to_wire,
    convert::mutation_event,
    events::v1::events_service_client::EventsServiceClient,
};
use serve::{Context, Peer, config::Setting};

use super::{ask::MAX_EVENTS, *};
use crate::{
    config::Config,
    fixture::{Fixture, RELAY, after, thing},
};

type Client = EventsServiceClient<Peer>;

/// The service behind its ring, as another service of the process calls it.
struct Served {
    context: Context,
    client: Client,
    service: serve::Service,
    _dir: tempfile::TempDir,
}

fn config(journal_segment_bytes: &str) -> Config {
    Config {
        journal_segment_bytes: Setting::from_text(journal_segment_bytes).unwrap(),
        journal_queue_bytes: Setting::from_text("1048576").unwrap(),
        archive_flush_bytes: Setting::from_text("1048576").unwrap(),
        archive_flush_interval: Setting::from_text("5m").unwrap(),
        archive_retention: Setting::from_text("1h").unwrap(),
        archive_compaction: Setting::from_text("own").unwrap(),
        archive_catalog: None,
        archive_catalog_token: None,
        archive_catalog_warehouse: None,
        archive_url: None,
        archive_s3_endpoint: None,
        archive_s3_region: "auto".into(),
        archive_s3_access_key_id: None,
        archive_s3_secret_access_key: None,
        archive_s3_session_token: None,
        archive_s3_timeout: Setting::from_text("30s").unwrap(),
        query_memory_bytes: Setting::from_text("134217728").unwrap(),
    }
}

impl Served {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-01-31T09:30:00Z".parse().unwrap());
        let context = Context::local(clock, dir.path().to_owned());
        let service = crate::open(config("1048576"), &context).await.unwrap();
        Self { client: EventsServiceClient::new(service.peer()), context, service, _dir: dir }
    }

    /// A request in the name of a peer.
    fn by_peer<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.context.credentials().sign_for(request.metadata_mut().as_mut(), &TenantId::local());
        request
    }
}

fn log_event() -> wire::Event {
    wire::Event { event_type: "log".into(), ..wire::Event::default() }
}

fn reason(status: &Status) -> Reason {
    Refusal::from_status(status).reason
}

#[tokio::test]
async fn appended_events_are_queried_in_pages_and_followed_from_a_cursor() {
    let mut served = Served::new().await;
    let request = AppendRequest { events: vec![log_event(), log_event()], relay: None };
    let appended = served.client.append(request).await.unwrap().into_inner();
    let mut query = QueryRequest { page_size: 1, wait_for: appended.cursor.clone(), ..QueryRequest::default() };
    let first = served.client.query(query.clone()).await.unwrap().into_inner();
    query.page_token = first.next_page_token;
    let second = served.client.query(query.clone()).await.unwrap().into_inner();
    assert_eq!(second.next_page_token, "");
    assert_eq!([&first.events[0].ulid, &second.events[0].ulid], [&appended.ulids[0], &appended.ulids[1]]);
    query.event_types = vec!["metric".into()];
    assert_eq!(reason(&served.client.query(query).await.unwrap_err()), Reason::PageTokenInvalid);

    let start = wire::Start::Beginning.into();
    let request = SubscribeRequest { start, ..SubscribeRequest::default() };
    let mut signs = served.client.subscribe(request).await.unwrap().into_inner();
    assert_eq!(signs.message().await.unwrap().unwrap().event, None);
    signs.message().await.unwrap().unwrap();
    let last = signs.message().await.unwrap().unwrap();
    assert_eq!((last.cursor, last.event.unwrap().journal_offset), (appended.cursor, 1));
}

#[tokio::test]
async fn relayed_mutations_are_history_and_states_of_the_past() {
    let mut served = Served::new().await;
    let maker = Fixture::new();
    let created = maker.put(None, thing("onet/a", Visibility::Public, "1"));
    let updated = maker.put(Some(&after(&created)), thing("onet/a", Visibility::Public, "2"));
    served.context.clock.advance(60_000);
    let events = [&created, &updated].map(|mutation| mutation_event(&TenantId::local(), mutation)).to_vec();
    let relay = Some(wire::RelayBatch { relay_id: RELAY.to_string(), batch: 1 });
    let request = served.by_peer(AppendRequest { events, relay });
    served.client.append(request).await.unwrap();

    let key = Some(WireKey { ns: "onet".into(), id: "a".into(), ..WireKey::default() });
    let request = HistoryRequest { key: key.clone(), page_size: 1, ..HistoryRequest::default() };
    let page = served.client.history(request.clone()).await.unwrap().into_inner();
    assert_eq!(page.mutations, [mutation_to_wire(created.clone())]);
    let request = HistoryRequest { page_token: page.next_page_token, ..request };
    let page = served.client.history(request).await.unwrap().into_inner();
    assert_eq!((page.mutations, page.next_page_token.as_str()), (vec![mutation_to_wire(updated)], ""));

    let as_of = Some(as_of_to_wire(domain::AsOf::Ulid(created.ulid)));
    let request = StateAtRequest { key, as_of, wait_for: created.ulid.to_string(), ..StateAtRequest::default() };
    let state = served.client.state_at(request).await.unwrap().into_inner().state;
    assert_eq!(state, Some(state_to_wire(after(&created))));
}

#[tokio::test]
async fn every_broken_rule_is_told_by_its_field() {
    let mut served = Served::new().await;
    let event = wire::Event { event_type: "Log".into(), ..wire::Event::default() };
    let status_out_of_range = wire::Event { status: Some(1_000), ..log_event() };
    let request = AppendRequest { events: vec![event, log_event(), status_out_of_range], relay: None };
    let refusal = Refusal::from_status(&served.client.append(request).await.unwrap_err());
    let fields: Vec<_> = refusal.violations.iter().map(|invalid| invalid.field.as_str()).collect();
    assert_eq!(fields, ["events[0].event_type", "events[2].status"]);

    let queries = [
        (QueryRequest { page_size: 1_001, ..QueryRequest::default() }, "page_size"),
        (QueryRequest { entity_id: "a".into(), ..QueryRequest::default() }, "entity_ns"),
        (QueryRequest { entity_ns: "O".into(), ..QueryRequest::default() }, "entity_ns"),
        (QueryRequest { event_types: vec!["L".into()], ..QueryRequest::default() }, "event_types"),
        (QueryRequest { event_types: vec!["log".into(); 17], ..QueryRequest::default() }, "event_types"),
        (QueryRequest { order: 9, ..QueryRequest::default() }, "order"),
        (QueryRequest { wait_for: "x".into(), ..QueryRequest::default() }, "wait_for"),
    ];
    for (query, field) in queries {
        let refusal = Refusal::from_status(&served.client.query(query).await.unwrap_err());
        assert_eq!(refusal.violations.first().map(|invalid| invalid.field.as_str()), Some(field));
    }
}

#[tokio::test]
async fn an_append_of_more_than_its_limits_is_refused() {
    let mut served = Served::new().await;
    for events in [vec![], vec![log_event(); MAX_EVENTS + 1]] {
        let refusal = served.client.append(AppendRequest { events, relay: None }).await.unwrap_err();
        assert_eq!(reason(&refusal), Reason::FieldInvalid);
    }
    let large = wire::Event { data: format!("\"{}\"", "x".repeat(1 << 20)), ..log_event() };
    let request = AppendRequest { events: vec![large; 4], relay: None };
    assert_eq!(reason(&served.client.append(request).await.unwrap_err()), Reason::MessageTooLarge);
}

#[tokio::test]
async fn a_batch_without_number_or_relay_is_refused() {
    let mut served = Served::new().await;
    for (relay_id, batch) in [(RELAY.to_string(), 0), (RELAY.to_string(), -1), ("x".into(), 1), ("0".repeat(26), 1)] {
        let relay = Some(wire::RelayBatch { relay_id, batch });
        let request = served.by_peer(AppendRequest { events: vec![log_event()], relay });
        assert_eq!(reason(&served.client.append(request).await.unwrap_err()), Reason::FieldInvalid);
    }
}

#[tokio::test]
async fn the_service_drains_and_its_journal_can_be_opened_again() {
    let mut served = Served::new().await;
    let append = |event| AppendRequest { events: vec![event], relay: None };
    served.client.append(append(log_event())).await.unwrap();
    let Served { context, client, service, _dir } = served;
    service.tasks.drain(std::time::Duration::from_secs(4)).await.unwrap();
    drop((client, service));
    let service = crate::open(config("65536"), &context).await.unwrap();
    let appended = EventsServiceClient::new(service.peer()).append(append(log_event())).await.unwrap().into_inner();
    assert_eq!(appended.cursor, "c1-2");
}

fn batch(batch: i64, events: Vec<wire::Event>) -> AppendStreamRequest {
    AppendStreamRequest { events, batch }
}

#[tokio::test]
async fn a_stream_of_appends_ends_well_when_the_client_has_closed_its_side() {
    let mut served = Served::new().await;
    let sent = stream::iter((0..100).map(|_| batch(0, vec![log_event(), log_event()])));
    let mut told = served.client.append_stream(sent).await.unwrap().into_inner();
    for number in 1..=100 {
        let answer = told.message().await.unwrap().unwrap();
        assert_eq!((answer.batch, answer.ulids.len()), (number, 2));
        assert_eq!(answer.cursor, format!("c1-{:x}", number * 2));
    }
    assert_eq!(told.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_says_which_batch_is_at_fault() {
    let mut served = Served::new().await;
    let large = wire::Event { data: format!("\"{}\"", "x".repeat(1 << 20)), ..log_event() };
    let status_out_of_range = wire::Event { status: Some(1_000), ..log_event() };
    for (bad, reason, field) in [
        (vec![log_event(), status_out_of_range], Reason::FieldInvalid, Some("events[1].status")),
        (vec![log_event(); MAX_EVENTS + 1], Reason::FieldInvalid, Some("events")),
        (vec![], Reason::FieldInvalid, Some("events")),
        (vec![large; 4], Reason::MessageTooLarge, None),
    ] {
        let sent = stream::iter([batch(4, vec![log_event()]), batch(0, bad), batch(0, vec![log_event()])]);
        let mut told = served.client.append_stream(sent).await.unwrap().into_inner();
        assert_eq!(told.message().await.unwrap().unwrap().batch, 4);
        let refusal = Refusal::from_status(&told.message().await.unwrap_err());
        assert_eq!((refusal.reason, refusal.metadata["batch"].as_str()), (reason, "5"));
        assert_eq!(refusal.violations.first().map(|invalid| invalid.field.as_str()), field);
    }
}

#[tokio::test]
async fn a_stream_of_appends_ends_when_the_server_drains() {
    let mut served = Served::new().await;
    let sent = stream::iter([batch(0, vec![log_event()])]).chain(stream::pending());
    let mut told = served.client.append_stream(sent).await.unwrap().into_inner();
    told.message().await.unwrap().unwrap();
    served.context.draining.cancel();
    assert_eq!(reason(&told.message().await.unwrap_err()), Reason::Cancelled);
}
