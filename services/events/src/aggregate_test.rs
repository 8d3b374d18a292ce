//! Aggregates against figures that are made of all events in plain Rust, wherever these are; and who is told which.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use domain::{EntityKind, TenantId, Visibility};
use proptest::prelude::*;
use proto::{
    convert::new_event,
    events::v1::{AggregateRow, AggregateValue, aggregate_value::Value},
};
use serve::auth::Scope;

use super::*;
use crate::{
    archive::{Bucket, Measure, MeasureOrder, Table},
    filter::Page,
    fixture::{Fixture, event, event_about, event_reader, peer, reader_of, thing},
};

fn other() -> Caller {
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

/// Everything of a tenant, as a query reads it.
fn everything(fixture: &Fixture, caller: &Caller) -> Vec<Event> {
    let mut page = Page::new(usize::MAX, usize::MAX);
    let mut rest = 0..fixture.log.index().end();
    while !rest.is_empty() {
        rest = fixture.log.step(caller, &Filter::default(), rest, Order::OldestFirst, &mut page).unwrap();
    }
    page.events.into_iter().map(|(_, event)| event).collect()
}

/// What is asked at random.
#[derive(Clone, Debug)]
struct Asked {
    types: Vec<&'static str>,
    times: Option<(i64, i64)>,
    ns: Option<&'static str>,
    scripts: Vec<&'static str>,
    status: Option<Range<i32>>,
    has_exception: Option<bool>,
    bucket: Option<(bool, i64)>,
    group_by: BTreeSet<&'static str>,
    measures: BTreeSet<&'static str>,
    order: Option<bool>,
    limit: usize,
}

const TYPES: [&str; 4] = ["log", "metric", "error", "a-type-of-more-than-sixteen-bytes"];
const SCRIPTS: [&str; 5] =
    ["", "a", "ü", "a script of more than sixteen bytes", "a script of more than sixteen and more"];
const NAMESPACES: [&str; 3] = ["", "onet", "en.wikipedia.org"];
const GROUPS: [&str; 6] = ["event_type", "script_name", "status", "has_exception", "entity_ns", "severity"];
const MEASURES: [&str; 10] = [
    "count",
    "count status",
    "distinct script_name",
    "sum status",
    "min wall_time",
    "max wall_time",
    "avg cpu_time",
    "max event_timestamp",
    "sum wall_time",
    "quantile wall_time",
];
const SHARE: f64 = 0.75;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        one_of(&TYPES),
        one_of(&SCRIPTS),
        one_of(&NAMESPACES),
        prop::option::of(prop::sample::select(vec![200, 404, 500, 503])),
        prop::option::of(0..1_000_u32),
        any::<bool>(),
        0..7_200_i64,
    );
    let event = event.prop_map(|(event_type, script, ns, status, millis, has_exception, ago)| Event {
        event_type: event_type.into(),
        script_name: script.into(),
        entity_ns: ns.into(),
        entity_id: if ns.is_empty() { String::new() } else { "x".into() },
        status,
        wall_time: millis.map(f64::from),
        cpu_time: millis.map(|millis| f64::from(millis) / 7.0),
        has_exception,
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_769_850_000 - ago, nanos: 0 }),
        ..Event::default()
    });
    prop::collection::vec(event, 1..40)
}

fn asked() -> impl Strategy<Value = Asked> {
    let which = (
        prop::sample::subsequence(TYPES.to_vec(), 0..3),
        prop::option::of((-3..6_i64, 0..6_i64)),
        prop::option::of(one_of(&NAMESPACES[1..])),
        prop::sample::subsequence(SCRIPTS[1..].to_vec(), 0..3),
        prop::option::of((100..600_i32, 100..600_i32).prop_map(|(from, to)| from..to)),
        prop::option::of(any::<bool>()),
    );
    let figures = (
        prop::option::of((any::<bool>(), prop::sample::select(vec![1_000, 2_000, 3_600_000]))),
        prop::sample::subsequence(GROUPS.to_vec(), 0..4),
        prop::sample::subsequence(MEASURES.to_vec(), 1..10),
        prop::option::of(any::<bool>()),
        prop::sample::select(vec![1, 3, 1_000]),
    );
    (which, figures).prop_map(|(which, figures)| {
        let (types, times, ns, scripts, status, has_exception) = which;
        let (bucket, group_by, measures, order, limit) = figures;
        let times = times.map(|(from, length)| (from, from + length));
        let (group_by, measures) = (group_by.into_iter().collect(), measures.into_iter().collect());
        Asked { types, times, ns, scripts, status, has_exception, bucket, group_by, measures, order, limit }
    })
}

impl Asked {
    fn filter(&self, start: i64) -> Filter {
        Filter {
            event_types: self.types.iter().map(|word| word.parse().unwrap()).collect(),
            about: self.ns.map_or(About::Anything, |ns| About::Namespace(ns.parse().unwrap())),
            kind: None,
            times: self.times.map_or(i64::MIN..i64::MAX, |(from, to)| start + 1_000 * from..start + 1_000 * to),
        }
    }

    fn aggregate(&self) -> Aggregate {
        let measure = |words: &&str| match words.split_once(' ') {
            None => Measure::Count,
            Some(("count", column)) => Measure::CountOf(column.into()),
            Some(("distinct", column)) => Measure::Distinct(column.into()),
            Some(("sum", column)) => Measure::Sum(column.into()),
            Some(("min", column)) => Measure::Min(column.into()),
            Some(("max", column)) => Measure::Max(column.into()),
            Some(("avg", column)) => Measure::Avg(column.into()),
            Some((_, column)) => Measure::Quantile(column.into(), SHARE),
        };
        let mut conditions = Vec::new();
        if !self.scripts.is_empty() {
            let words = self.scripts.iter().map(|word| (*word).into()).collect();
            conditions.push(Condition::OneOf("script_name".into(), words));
        }
        conditions.extend(self.status.clone().map(|status| Condition::Within("status".into(), status)));
        conditions.extend(self.has_exception.map(|has| Condition::Is("has_exception".into(), has)));
        Aggregate {
            conditions,
            bucket: self.bucket.map(|(intake, millis)| Bucket { column: self.time(intake).into(), millis }),
            group_by: self.group_by.iter().map(|column| (*column).into()).collect(),
            measures: self.measures.iter().map(measure).collect(),
            order: self.order_by().map(|measure| MeasureOrder { measure, ascending: self.order == Some(true) }),
            limit: self.limit,
        }
    }

    /// The place of a figure that is exact.
    fn order_by(&self) -> Option<usize> {
        self.order?;
        self.measures.iter().position(|measure| ["count", "max wall_time", "sum status"].contains(measure))
    }

    fn time(&self, intake: bool) -> &'static str {
        if intake { "timestamp" } else { "event_timestamp" }
    }

    fn has(&self, event: &Event, start: i64) -> bool {
        let millis = millis(event.timestamp.as_ref());
        (self.types.is_empty() || self.types.contains(&event.event_type.as_str()))
            && self.times.is_none_or(|(from, to)| (start + 1_000 * from..start + 1_000 * to).contains(&millis))
            && self.ns.is_none_or(|ns| ns == event.entity_ns)
            && (self.scripts.is_empty() || self.scripts.contains(&event.script_name.as_str()))
            && self.status.as_ref().is_none_or(|range| event.status.is_some_and(|status| range.contains(&status)))
            && self.has_exception.is_none_or(|has| has == event.has_exception)
    }

    /// The rows, and whether there are more.
    fn expected(&self, events: &[Event], start: i64) -> (Vec<AggregateRow>, bool) {
        let mut groups: BTreeMap<Vec<Key>, Vec<&Event>> = BTreeMap::new();
        if self.bucket.is_none() && self.group_by.is_empty() {
            groups.entry(vec![]).or_default();
        }
        for event in events.iter().filter(|event| self.has(event, start)) {
            let bucket = self.bucket.map(|(intake, width)| {
                let time = if intake { event.timestamp } else { event.event_timestamp };
                Key::Whole(millis(time.as_ref()) / width * width)
            });
            let group = self.group_by.iter().map(|column| key(event, column));
            groups.entry(bucket.into_iter().chain(group).collect()).or_default().push(event);
        }
        let mut rows: Vec<_> = groups.iter().map(|(keys, events)| self.row(keys, events)).collect();
        if let Some(place) = self.order_by() {
            let number = |row: &AggregateRow| match row.values[place].value {
                Some(Value::Integer(number)) => Some(number as f64),
                Some(Value::Number(number)) => Some(number),
                _ => None,
            };
            let sign = if self.order == Some(true) { 1.0 } else { -1.0 };
            // Stable, so that equal ones stay in the order of their groups; absent ones are last.
            rows.sort_by(|one, other| match (number(one), number(other)) {
                (Some(one), Some(other)) => (sign * one).total_cmp(&(sign * other)),
                (one, other) => one.is_none().cmp(&other.is_none()),
            });
        }
        let is_truncated = rows.len() > self.limit;
        rows.truncate(self.limit);
        (rows, is_truncated)
    }

    fn row(&self, keys: &[Key], events: &[&Event]) -> AggregateRow {
        let (bucket, group) = keys.split_at(usize::from(self.bucket.is_some()));
        let bucket = bucket.first().map(|key| match key {
            Key::Whole(millis) => prost_types::Timestamp { seconds: millis / 1_000, nanos: 0 },
            _ => unreachable!("a bucket is a number"),
        });
        let value = |key: &Key| match key {
            Key::Absent => None,
            Key::Flag(flag) => Some(Value::Flag(*flag)),
            Key::Whole(number) => Some(Value::Integer(*number)),
            Key::Text(text) => Some(Value::Text(text.clone())),
        };
        let values = self.measures.iter().map(|measure| figure(measure, events));
        AggregateRow {
            bucket,
            group: group.iter().map(|key| AggregateValue { value: value(key) }).collect(),
            values: values.map(|value| AggregateValue { value }).collect(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Absent,
    Flag(bool),
    Whole(i64),
    Text(String),
}

fn key(event: &Event, column: &str) -> Key {
    let text = |text: &str| if text.is_empty() { Key::Absent } else { Key::Text(text.into()) };
    match column {
        "event_type" => text(&event.event_type),
        "script_name" => text(&event.script_name),
        "entity_ns" => text(&event.entity_ns),
        "severity" => text(&event.severity),
        "has_exception" => Key::Flag(event.has_exception),
        "status" => event.status.map_or(Key::Absent, |status| Key::Whole(status.into())),
        other => unreachable!("{other}"),
    }
}

fn figure(measure: &str, events: &[&Event]) -> Option<Value> {
    let statuses = || events.iter().filter_map(|event| event.status).map(i64::from);
    let walls = || events.iter().filter_map(|event| event.wall_time);
    let cpus: Vec<_> = events.iter().filter_map(|event| event.cpu_time).collect();
    match measure {
        "count" => Some(Value::Integer(events.len() as i64)),
        "count status" => Some(Value::Integer(statuses().count() as i64)),
        "distinct script_name" => {
            let scripts: BTreeSet<_> = events.iter().map(|event| event.script_name.as_str()).collect();
            Some(Value::Integer(scripts.iter().filter(|script| !script.is_empty()).count() as i64))
        }
        "sum status" => statuses().reduce(|one, other| one + other).map(Value::Integer),
        "min wall_time" => walls().reduce(f64::min).map(Value::Number),
        "max wall_time" => walls().reduce(f64::max).map(Value::Number),
        "sum wall_time" => walls().reduce(|one, other| one + other).map(Value::Number),
        "avg cpu_time" if cpus.is_empty() => None,
        "avg cpu_time" => Some(Value::Number(cpus.iter().sum::<f64>() / cpus.len() as f64)),
        "max event_timestamp" => {
            let latest = events.iter().filter_map(|event| event.event_timestamp).map(|time| time.seconds).max();
            latest.map(|seconds| Value::Time(prost_types::Timestamp { seconds, nanos: 0 }))
        }
        // In its place all values in order: an estimate lies between its neighbours.
        "quantile wall_time" => {
            let mut walls: Vec<_> = walls().collect();
            walls.sort_by(f64::total_cmp);
            let at =
                |share: f64| walls.get(((walls.len() as f64 * share) as usize).min(walls.len().max(1) - 1)).copied();
            Some(Value::Text(format!("{},{}", at(SHARE - 0.15)?, at(SHARE + 0.15)?)))
        }
        other => unreachable!("{other}"),
    }
}

fn millis(time: Option<&prost_types::Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000)
}

/// Whether two values are the same, but for what numbers lose.
fn is_same(found: &AggregateValue, expected: &AggregateValue) -> bool {
    match (&found.value, &expected.value) {
        (Some(Value::Number(found)), Some(Value::Number(expected))) => (found - expected).abs() < 1e-6,
        (Some(Value::Number(found)), Some(Value::Text(bounds))) => {
            let (low, high) = bounds.split_once(',').unwrap();
            let low: f64 = low.parse().unwrap();
            (low - 1.0..=high.parse::<f64>().unwrap() + 1.0).contains(found)
        }
        (found, expected) => found == expected,
    }
}

async fn check(fixture: &Fixture, asked: &[Asked], start: i64) {
    for caller in [Caller::local(), other()] {
        let events = everything(fixture, &caller);
        for asked in asked {
            let found = fixture.log.aggregate(&caller, asked.filter(start), true, asked.aggregate()).await.unwrap();
            let (expected, is_truncated) = asked.expected(&events, start);
            let told = format!("{asked:?}\nfound {:#?}\nexpected {expected:#?}", found.rows);
            assert_eq!((found.rows.len(), found.is_truncated), (expected.len(), is_truncated), "{told}");
            for (found, expected) in found.rows.iter().zip(&expected) {
                assert_eq!((found.bucket, &found.group), (expected.bucket, &expected.group), "{told}");
                assert!(found.values.iter().zip(&expected.values).all(|(one, other)| is_same(one, other)), "{told}");
            }
        }
    }
}

async fn run(batches: Vec<(bool, bool, Vec<Event>)>, asked: Vec<Asked>) {
    let fixture = Fixture::new();
    let start = fixture.clock.now().millis();
    for (is_other, is_flushed, events) in batches {
        let caller = if is_other { other() } else { Caller::local() };
        let events = events.into_iter().map(|event| new_event(event).unwrap()).collect();
        fixture.log.append(&caller, events).await.unwrap();
        fixture.clock.advance(500);
        if is_flushed {
            fixture.flush(u64::MAX);
        }
    }
    check(&fixture, &asked, start).await;
    fixture.keep_up();
    check(&fixture, &asked, start).await;
    fixture.flush(u64::MAX);
    check(&fixture, &asked, start).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn figures_are_those_of_all_events_wherever_these_are(
        batches in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.8), events()), 1..14),
        asked in prop::collection::vec(asked(), 1..5),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(batches, asked));
    }
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
                log.archive.compact_once(table).unwrap();
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
    assert_eq!((refusal.code, refusal.reason_name()), (tonic::Code::ResourceExhausted, "QUERY_TOO_LARGE"));
    assert_eq!(count(&fixture, &Caller::local(), Filter::default(), false).await.unwrap(), 4_000);
}
