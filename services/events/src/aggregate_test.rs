//! Aggregates: whose events are counted, by whom, while these move, and what is read for it.

use domain::{EntityKind, TenantId, Visibility};
use proto::{
    convert::new_event,
    events::v1::{AggregateValue, aggregate_value::Value},
};
use serve::auth::Scope;

use super::*;
use crate::{
    archive::{Measure, Table},
    fixture::{Fixture, event, event_about, event_reader, peer, reader_of, thing},
};

/// Somebody of another tenant.
pub(super) fn other() -> Caller {
    let scopes = [Scope::ReadEvents, Scope::WriteEvents];
    Caller::keyed("other".parse::<TenantId>().unwrap(), "olga", scopes)
}

fn counted(measures: Vec<Measure>) -> Aggregate {
    Aggregate { conditions: vec![], bucket: None, group_by: vec![], measures, order: None, limit: 1_000 }
}

fn by(columns: &[&str], aggregate: Aggregate) -> Aggregate {
    Aggregate { group_by: columns.iter().map(|column| (*column).into()).collect(), ..aggregate }
}

async fn ask(fixture: &Fixture, caller: &Caller, aggregate: Aggregate) -> Aggregated {
    fixture.log.aggregate(caller, Filter::default(), false, aggregate).await.unwrap()
}

async fn count(fixture: &Fixture, caller: &Caller, filter: Filter, without_mutations: bool) -> Result<i64, Refusal> {
    let asked = fixture.log.aggregate(caller, filter, without_mutations, counted(vec![Measure::Count])).await?;
    let Some(Value::Integer(count)) = asked.rows[0].values[0].value else { panic!("a count is a number") };
    Ok(count)
}

#[tokio::test]
async fn nothing_is_counted_where_there_is_nothing() {
    let fixture = Fixture::new();
    let measures = vec![Measure::Count, Measure::Max("status".into())];
    let asked = ask(&fixture, &Caller::local(), counted(measures.clone())).await;
    let values: Vec<_> = asked.rows[0].values.iter().map(|value| value.value.clone()).collect();
    assert_eq!((asked.rows.len(), values), (1, vec![Some(Value::Integer(0)), None]));
    assert_eq!(ask(&fixture, &Caller::local(), by(&["status"], counted(measures))).await.rows, []);
}

#[tokio::test]
async fn a_tenant_counts_its_own_events_only() {
    let fixture = Fixture::new();
    for tenant in [Caller::local(), other(), Caller::local()] {
        fixture.log.append(&tenant, vec![event("log"), event("metric")]).await.unwrap();
    }
    for is_flushed in [false, true] {
        if is_flushed {
            fixture.flush(u64::MAX);
        }
        assert_eq!(count(&fixture, &Caller::local(), Filter::default(), false).await.unwrap(), 4);
        assert_eq!(count(&fixture, &other(), Filter::default(), true).await.unwrap(), 2);
        let stranger = Caller::peer("stranger".parse().unwrap());
        assert_eq!(count(&fixture, &stranger, Filter::default(), false).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn mutations_are_counted_for_who_is_shown_every_one() {
    let mut fixture = Fixture::new();
    let mutations = [
        fixture.put(None, thing("open/a", Visibility::Public, "x")),
        fixture.put(None, thing("vault/a", Visibility::Private, "x")),
    ];
    fixture.relay(&mutations).await;
    fixture.append(vec![event("log"), event_about("log", "vault/a")]).await;
    let in_ns = |ns: &str, kind| Filter { about: About::Namespace(ns.parse().unwrap()), kind, ..Filter::default() };
    let typed = |word: &str| Filter { event_types: vec![word.parse().unwrap()], ..Filter::default() };
    let things = Some(EntityKind::Thing);
    for (caller, filter, without_mutations, expected) in [
        (Caller::local(), Filter::default(), false, Some(4)),
        (peer(), Filter::default(), false, Some(4)),
        (event_reader(), Filter::default(), false, None),
        (event_reader(), Filter::default(), true, Some(2)),
        (event_reader(), typed("log"), false, Some(2)),
        (event_reader(), typed("mutation"), false, None),
        (event_reader(), in_ns("open", things), false, None),
        (reader_of("vault"), Filter::default(), false, None),
        (reader_of("vault"), in_ns("vault", things), false, Some(2)),
        (reader_of("vault"), in_ns("vault", None), false, None),
        (reader_of("vault"), in_ns("open", things), false, None),
        (reader_of("vault"), in_ns("nowhere", things), false, None),
    ] {
        let told = format!("{caller:?} {filter:?}");
        match (count(&fixture, &caller, filter, without_mutations).await, expected) {
            (Ok(count), Some(expected)) => assert_eq!(count, expected, "{told}"),
            (Err(refusal), None) => {
                assert_eq!(refusal.reason, Reason::PermissionDenied, "{told}");
                assert!(refusal.message.contains("read:*"), "{refusal}");
            }
            (found, _) => panic!("{told}: {found:?}"),
        }
    }
    let nobody = Caller::keyed(TenantId::local(), "nora", []);
    assert_eq!(count(&fixture, &nobody, Filter::default(), true).await.unwrap_err().reason, Reason::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_missed_or_counted_twice_while_it_is_archived() {
    let (fixture, caller) = (Fixture::new(), Caller::local());
    let mut appended = 0;
    for round in 0..40_i64 {
        let new = |place: i64| Event { event_type: "log".into(), ip: format!("{round}.{place}"), ..Event::default() };
        let events = (0..25).map(|place| new_event(new(place)).unwrap()).collect();
        fixture.append(events).await;
        appended += 25;
        let log = Arc::clone(&fixture.log);
        let mut upkeep = tokio::task::spawn_blocking(move || {
            log.flush(1_000).unwrap();
            for table in Table::ALL {
                log.archive.compact_once(table, i64::MAX).unwrap();
                log.archive.expire(table, i64::MAX).unwrap();
            }
        });
        let mut is_done = false;
        while !is_done {
            let measures = vec![Measure::Count, Measure::Distinct("ip".into())];
            tokio::select! {
                done = &mut upkeep => { done.unwrap(); is_done = true; }
                asked = ask(&fixture, &caller, counted(measures)) => {
                    let expected = AggregateValue { value: Some(Value::Integer(appended)) };
                    assert_eq!(asked.rows[0].values, [expected.clone(), expected]);
                }
            }
        }
    }
    let asked = ask(&fixture, &caller, counted(vec![Measure::Distinct("ip".into())])).await;
    assert_eq!(asked.rows[0].values[0].value, Some(Value::Integer(appended)));
    assert!(fixture.log.archive.view().position() > 0, "some of them are archived");
    assert!(asked.cost.files > 0 && asked.cost.rows > 0 && asked.cost.rows < appended as u64, "{:?}", asked.cost);
}

#[tokio::test]
async fn only_the_files_and_columns_that_matter_are_read() {
    let fixture = Fixture::new();
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(2_000));
    for script in ["a", "b"] {
        let new =
            || Event { event_type: "log".into(), script_name: script.into(), data: body.clone(), ..Event::default() };
        fixture.log.append(&Caller::local(), (0..50).map(|_| new_event(new()).unwrap()).collect()).await.unwrap();
        fixture.flush(u64::MAX);
        fixture.clock.advance(60_000);
    }
    let now = fixture.clock.now().millis();
    let all = ask(&fixture, &Caller::local(), by(&["script_name"], counted(vec![Measure::Count]))).await;
    assert_eq!((all.cost.files, all.cost.rows), (2, 100));
    let filter = Filter { times: now - 60_000..now, ..Filter::default() };
    let last = fixture.log.aggregate(&Caller::local(), filter, false, counted(vec![Measure::Count])).await.unwrap();
    assert_eq!((last.cost.files, last.cost.rows), (1, 50));
    // The footer is known by now, and the body is not read.
    assert!(last.cost.bytes > 0 && last.cost.bytes < 1_000, "{:?}", last.cost);
}

#[tokio::test]
async fn a_file_that_is_read_in_parts_is_counted_once() {
    let fixture = Fixture::new();
    let mut seed = 1_u64;
    let mut text = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:016x}")
    };
    for _ in 0..3 {
        let mut new =
            || Event { event_type: "log".into(), url: (0..500).map(|_| text()).collect(), ..Event::default() };
        fixture.append((0..100).map(|_| new_event(new()).unwrap()).collect()).await;
    }
    fixture.flush(u64::MAX);
    let bytes: u64 = fixture.log.archive.view().table(Table::Events).files.iter().map(|file| file.bytes).sum();
    assert!(bytes > 1 << 20, "{bytes} bytes are read as one part");
    let asked = ask(&fixture, &Caller::local(), counted(vec![Measure::Count, Measure::Distinct("url".into())])).await;
    let expected = AggregateValue { value: Some(Value::Integer(300)) };
    assert_eq!((&asked.rows[0].values, asked.cost.files), (&vec![expected.clone(), expected], 1));
}

#[tokio::test]
async fn groups_that_need_too_much_memory_are_refused() {
    let mut fixture = Fixture::new();
    Arc::get_mut(&mut fixture.log).unwrap().archive.limit_memory(1 << 20);
    let new = |place: u32| Event { event_type: "log".into(), url: format!("/{place:0500}"), ..Event::default() };
    for batch in 0..4 {
        let events = (0..1_000).map(|place| new_event(new(batch * 1_000 + place)).unwrap()).collect();
        fixture.append(events).await;
        fixture.flush(u64::MAX);
    }
    assert_eq!(count(&fixture, &Caller::local(), Filter::default(), false).await.unwrap(), 4_000);
    let asked = by(&["url"], counted(vec![Measure::Count]));
    let refusal = fixture.log.aggregate(&Caller::local(), Filter::default(), false, asked).await.unwrap_err();
    let exhausted = serve::refusal::code(Reason::Overloaded);
    assert_eq!((refusal.code, refusal.reason), (exhausted, Reason::QueryTooLarge));
    assert_eq!(count(&fixture, &Caller::local(), Filter::default(), false).await.unwrap(), 4_000);
}

#[tokio::test]
async fn a_plan_ends_with_its_caller() {
    let fixture = Fixture::new();
    let (begun, mut has_begun) = tokio::sync::watch::channel(false);
    // It never ends, and is let go of when the plan is.
    let (held, is_held) = tokio::sync::oneshot::channel::<()>();
    let endless: Recent = Arc::new(move |offsets| {
        let _held = &held;
        begun.send_replace(true);
        Ok((Vec::new(), offsets.start + 1..offsets.end))
    });
    let archive = &fixture.log.archive;
    let wanted = Filter::default().wanted(&TenantId::local());
    let snapshot = archive.snapshot(archive.view(), &wanted, 0..u64::MAX, endless).unwrap();
    let (turn, asked) = (archive.turn().await.unwrap(), counted(vec![Measure::Count]));
    tokio::select! {
        _ = archive.aggregate(turn, snapshot, &asked) => panic!("it never ends"),
        begun = has_begun.wait_for(|has| *has) => assert!(*begun.unwrap()),
    }
    assert!(is_held.await.is_err());
}

#[tokio::test]
async fn a_cost_is_told_to_who_sees_everything_that_is_read() {
    let fixture = Fixture::new();
    let may_know = |caller: &Caller| fixture.log.may_know_costs(caller);
    let admin = Caller::keyed(TenantId::local(), "ada", ["admin:*".parse::<Scope>().unwrap()]);
    fixture.log.append(&Caller::local(), vec![event("log")]).await.unwrap();
    fixture.flush(u64::MAX);
    assert!(may_know(&admin));
    assert!(
        !may_know(&event_reader()) && !may_know(&reader_of("onet")),
        "a Bloom filter knows names of other namespaces"
    );
    fixture.log.append(&other(), vec![event("log")]).await.unwrap();
    assert!(may_know(&admin), "the journal costs nothing");
    fixture.flush(u64::MAX);
    assert!(!may_know(&admin), "a Bloom filter knows names of other tenants");
    assert!(may_know(&peer()), "who runs it knows all tenants");
}
