//! Several processes on one database: whose clocks differ, and who relays.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Clock, Condition, Key, Mutation, State};
use futures::FutureExt as _;
use proto::common::v1::Reason;
use proto::events::v1::events_service_client::EventsServiceClient;
use serve::health::Readiness;
use serve::{Peer, Routes};
use tokio::time::timeout;

use super::bed::{Bed, call, name, note, owner, reason};
use super::schemas::race;
use super::server::{fresh, owned};
use crate::atomic::{Idempotency, Terms};
use crate::change::Change;
use crate::relay::Relay;
use crate::store::{Taken, migrate};

/// Names that everybody writes.
const NAMES: usize = 12;
/// Those who write, in each process.
const WRITERS: usize = 8;
/// What each of them writes.
const WRITES: usize = 40;

/// Processes whose clocks are ahead by so many milliseconds.
async fn replicas<const N: usize>(ahead: [i64; N]) -> [Bed; N] {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    migrate(&url).await.unwrap();
    let open = |millis| Bed::open(url.clone(), Clock::wrong_by(millis), tempfile::tempdir().unwrap());
    futures::future::join_all(ahead.map(open)).await.try_into().ok().unwrap()
}

/// Puts and deletes at random; how many mutations that made.
async fn write(bed: &Bed, writer: usize) -> usize {
    let mut made = 0;
    for step in 0..WRITES {
        let named = format!("onet/{}", (step * 7 + writer * 5 + step * step) % NAMES);
        let reference = name(&named);
        made += if (step + writer).is_multiple_of(5) {
            usize::from(bed.things.delete_thing(call(&owner()), reference, Condition::None).await.is_ok())
        } else {
            let body = note(&format!("{writer} {step}"));
            let put = bed.things.put_thing(call(&owner()), reference, body, Condition::None).await.unwrap();
            usize::from(put.outcome.as_str() != "unchanged")
        };
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_processes_write_at_the_same_time_is_one_history_of_each_name() {
    let beds = replicas([0, 300, -300]).await;
    let writers = beds
        .iter()
        .enumerate()
        .flat_map(|(replica, bed)| (0..WRITERS).map(move |writer| write(bed, replica * WRITERS + writer)));
    let made: usize = futures::future::join_all(writers).await.into_iter().sum();
    let mutations = beds[1].mutations().await;
    assert_eq!(mutations.len(), made, "each mutation is there once");
    let mut latest: HashMap<Key, &Mutation> = HashMap::new();
    for mutation in &mutations {
        if let Some(before) = latest.insert(mutation.entity.key.clone(), mutation) {
            assert!(mutation.ulid > before.ulid, "{} after {}", mutation.ulid, before.ulid);
            assert_eq!(mutation.before, before.after);
        }
    }
    assert_eq!(latest.len(), NAMES);
    for (key, mutation) in latest {
        let there = beds[2].get(&owner(), &format!("{}/{}", key.ns, key.id)).await.ok();
        assert_eq!(there.map(State::Thing), mutation.after);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_schema_and_a_write_that_breaks_it_by_two_processes_one_is_refused() {
    for ahead in [[300, -300], [-300, 300]] {
        let [writer, admin] = replicas(ahead).await;
        writer.try_put("onet/x", r#"{"n":1}"#).await.unwrap();
        race(&writer, &admin).await;
    }
}

#[tokio::test]
async fn no_process_writes_at_or_before_a_moment_that_another_has_told_of() {
    let [ahead, behind] = replicas([400, -400]).await;
    behind.put("onet/a", "one").await;
    for round in 0..5 {
        let now = ahead.clock.now();
        ahead.resolve(&owner(), "onet/a", domain::EntityKind::Thing).await.unwrap();
        let written = behind.put("onet/a", &round.to_string()).await.state;
        assert!(written.updated_at() > now, "{} at {now}", written.updated_at());
    }
    let now = ahead.clock.now();
    let batches = behind.batches().await;
    assert!(!batches.is_empty());
    ahead.store.outbox.settle().await.unwrap();
    assert!(behind.put("onet/b", "one").await.state.updated_at() > now);
}

/// Nothing but the id ties the two requests: they write different names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_requests_with_one_id_in_two_processes_one_is_carried_out() {
    let beds = replicas([0, 0]).await;
    for round in 0..20 {
        let ask = async |bed: &Bed, asked: u8| {
            let (reference, body) = (name(&format!("onet/{round}-{asked}")), note("one"));
            let change = Change::PutThing { reference, body, condition: Condition::None };
            let idempotency = Idempotency { request_id: round.to_string().into(), digest: [asked; 32] };
            let terms = Terms { validate_only: false, idempotency: Some(idempotency) };
            reason(bed.things.write_things(call(&owner()), vec![change], terms).await)
        };
        let (one, other) = tokio::join!(ask(&beds[0], 0), ask(&beds[1], 1));
        let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert_eq!(refused, [Reason::RequestIdReused]);
    }
    assert_eq!(beds[0].mutations().await.len(), 20);
}

/// The first name of a namespace, which another process is just making: it has no row yet that could be waited for.
#[tokio::test]
async fn a_name_that_is_being_made_is_waited_for() {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    migrate(&url).await.unwrap();
    let open = || Bed::open(url.clone(), Clock::system(), tempfile::tempdir().unwrap());
    let (one, other) = tokio::join!(open(), open());
    let database = sqlx::PgPool::connect(&url).await.unwrap();
    let mut held = database.begin().await.unwrap();
    sqlx::raw_sql("lock table outbox in share mode").execute(&mut *held).await.unwrap();
    // It has its ULID, and waits for the outbox.
    let mut put = Box::pin(other.put("new/a", "one"));
    let waits = "select exists (select 1 from pg_locks where relation = 'outbox'::regclass and not granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&database).await.unwrap() {
        assert!(timeout(Duration::from_millis(10), &mut put).await.is_err(), "the outbox is held");
    }
    let caller = owner();
    let mut resolved = Box::pin(one.resolve(&caller, "new/a", domain::EntityKind::Thing));
    assert!(timeout(Duration::from_millis(300), &mut resolved).await.is_err(), "it may be made before the moment");
    held.rollback().await.unwrap();
    let (put, resolved) = tokio::join!(put, resolved);
    assert_eq!(resolved.unwrap().last, put.state.etag.0);
}

#[tokio::test]
async fn one_process_relays_and_another_stands_by() {
    let [first, second] = replicas([0, 0]).await;
    first.store.outbox.vacant().await.unwrap();
    let lease = first.lease().await;
    second.put("onet/a", "one").await;
    let mut standing_by = second.store.outbox.vacant();
    assert!(timeout(Duration::from_millis(200), &mut standing_by).await.is_err(), "the first has the lease");
    first.take(lease, None).await;
    first.store.outbox.release(lease).await.unwrap();
    timeout(Duration::from_secs(10), standing_by).await.expect("the lease was given back").unwrap();
    let other = second.lease().await;
    assert_eq!(first.store.outbox.take(lease, Some(1)).await.unwrap(), Taken::LeaseLost);
    assert_eq!(second.take(other, None).await.number, 1);
    assert!(second.store.outbox.vacant().now_or_never().is_none());
}

#[tokio::test]
async fn who_is_asked_to_end_gives_the_lease_back() {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    migrate(&url).await.unwrap();
    let bed = Bed::open(url.clone(), Clock::system(), tempfile::tempdir().unwrap()).await;
    let database = sqlx::PgPool::connect(&url).await.unwrap();
    let is_had = async || {
        let sql = "select seen_at > '-infinity' from relay";
        sqlx::query_scalar::<_, bool>(sql).fetch_one(&database).await.unwrap()
    };
    let events = EventsServiceClient::new(Peer::local(Routes::default()));
    let (outbox, clock) = (bed.store.outbox.clone(), bed.clock.clone());
    let relay = Relay { outbox, events, clock, readiness: Readiness::default() };
    bed.tasks.spawn("relay", |cancel| relay.run(cancel));
    while !is_had().await {
        tokio::task::yield_now().await;
    }
    bed.tasks.drain(Duration::from_secs(5)).await.unwrap();
    assert!(!is_had().await);
}

#[tokio::test]
async fn who_does_not_show_that_it_has_the_lease_loses_it() {
    let [first, second] = replicas([0, 0]).await;
    first.lease().await;
    timeout(Duration::from_mins(1), second.store.outbox.vacant()).await.expect("it was not shown").unwrap();
}

#[tokio::test]
async fn who_owns_a_database_and_nothing_else_migrates_and_serves() {
    let (url, _) = owned().await;
    migrate(&url).await.unwrap();
    let bed = Bed::open(url.clone(), Clock::system(), tempfile::tempdir().unwrap()).await;
    bed.put("onet/a", "one").await;
    assert_eq!((bed.list(&owner(), "onet").await, bed.mutations().await.len()), (vec!["onet/a".to_owned()], 1));
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from things").fetch_one(&pool).await.unwrap();
    assert_eq!(seen, 0, "who owns the table sees no tenant's rows");
}

#[tokio::test]
async fn every_table_of_tenants_is_under_forced_row_level_security() {
    let url = tokio::task::spawn_blocking(|| fresh(16)).await.unwrap();
    migrate(&url).await.unwrap();
    let sql = "select c.relname, c.relrowsecurity and c.relforcerowsecurity
            and exists (select 1 from pg_policy p where p.polrelid = c.oid)
            and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant')
        from pg_class c
        where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname <> 'migrations'
        order by 1";
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let tables: Vec<(String, bool)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
    let names = ["imports", "names", "namespaces", "outbox", "relationships", "relay", "requests", "schemas", "things"];
    assert_eq!(tables, names.map(|name| (name.to_owned(), true)));
}
