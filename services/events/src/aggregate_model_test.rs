//! Random aggregates against figures that are made of all events in plain Rust, wherever these are.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use proptest::prelude::*;
use proto::{
    convert::new_event,
    events::v1::{AggregateRow, AggregateValue, aggregate_value::Value},
};

use super::{tests::other, *};
use crate::{
    archive::{Bucket, Measure, MeasureOrder},
    filter::Page,
    fixture::Fixture,
};

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
            all_tenants: false,
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
            bucket: self.bucket.map(|(intake, millis)| {
                let column = if intake { "timestamp" } else { "event_timestamp" };
                Bucket { column: column.into(), millis }
            }),
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
