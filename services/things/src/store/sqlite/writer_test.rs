//! The writer on a file that refuses: what was refused is gone, and later writes are taken.

use std::path::Path;

use domain::{Clock, Condition, Provenance};
use proto::common::v1::Reason;
use serve::{Caller, Refusal, Tasks};
use tempfile::TempDir;

use super::super::Sqlite;
use super::*;
use crate::change::{Applied, Change, Sequence, Write};
use crate::store::{Backlog, ThingStore as _};

/// Roomy enough for the tables and some small things, not for a large one.
const SMALL_DISK: u32 = 60;

async fn open(dir: &TempDir) -> anyhow::Result<(Sqlite, Tasks)> {
    open_with(dir, Readiness::default()).await
}

async fn open_with(dir: &TempDir, readiness: Readiness) -> anyhow::Result<(Sqlite, Tasks)> {
    let tasks = Tasks::new("things");
    let store = super::super::open(&dir.path().join("things.db"), Clock::system(), readiness, &tasks).await?;
    Ok((store, tasks))
}

fn put(id: &str, content: &str) -> Write {
    let body = domain::ThingBody {
        thing_type: "Note".parse().unwrap(),
        visibility: domain::Visibility::Public,
        content: Some(content.to_owned().try_into().unwrap()),
        code: None,
        data: None,
        embedding: None,
    };
    let reference = domain::Reference::Path(format!("onet/{id}").parse().unwrap());
    let provenance = Provenance { actor: "test".into(), request_id: "r".into(), cause: "".into() };
    let changes = vec![Change::PutThing { reference, body, condition: Condition::None }];
    Write { caller: Caller::local(), provenance, changes, sequence: Sequence::default(), part: None }
}

async fn write(store: &Sqlite, id: &str, content: &str) -> Result<Applied, Refusal> {
    store.write(put(id, content)).await?.remove(0)
}

async fn disk_of(store: &Sqlite, pages: u32) {
    let resize = move |transaction: &mut Transaction<'_>| {
        Ok(transaction.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
    };
    store.writer.submit(resize).await.unwrap();
}

async fn things(store: &Sqlite) -> i64 {
    let count = |transaction: &mut Transaction<'_>| {
        let count = |table| {
            let sql = format!("select count(*) from {table}");
            transaction.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(count("things")?, count("outbox")?);
        Ok(count("things")?)
    };
    store.writer.submit(count).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_nothing_of_them_until_it_passes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    write(&store, "a", "one").await.unwrap();
    disk_of(&store, SMALL_DISK).await;
    let large = "x".repeat(1 << 20);
    for _ in 0..3 {
        let refusal = write(&store, "b", &large).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::StoreUnavailable);
        assert!(refusal.retry_after.is_some());
        assert_eq!(things(&store).await, 1);
    }
    disk_of(&store, 1_000_000).await;
    write(&store, "b", &large).await.unwrap();
    assert_eq!(things(&store).await, 2);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_not_ready_until_a_write_succeeds() {
    let (dir, readiness) = (tempfile::tempdir().unwrap(), Readiness::default());
    let (store, _tasks) = open_with(&dir, readiness.clone()).await.unwrap();
    disk_of(&store, SMALL_DISK).await;
    write(&store, "a", &"x".repeat(1 << 20)).await.unwrap_err();
    things(&store).await;
    assert_eq!(readiness.blocked().into_keys().collect::<Vec<_>>(), ["store"], "also after it was read");
    write(&store, "a", "small").await.unwrap();
    assert!(readiness.is_ready());
}

#[tokio::test]
async fn a_group_that_meets_a_full_disk_keeps_exactly_what_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    disk_of(&store, SMALL_DISK).await;
    let large = "x".repeat(1 << 20);
    let writes = (0..40).map(|number| {
        let content = if number % 8 == 3 { large.as_str() } else { "small" };
        let (store, id) = (&store, number.to_string());
        async move { write(store, &id, content).await }
    });
    let answers = futures::future::join_all(writes).await;
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(things(&store).await, kept as i64);
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|r| r.reason == Reason::StoreUnavailable));
    write(&store, "after", "small").await.unwrap();
}

#[tokio::test]
async fn a_request_that_fails_leaves_nothing_and_the_rest_of_its_group_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    let failing = store.writer.submit(|transaction| {
        transaction.write(put("lost", "one"))?;
        transaction.connection.execute("insert into things (tenant) values (null)", [])?;
        Ok(())
    });
    let (before, failed, after) = futures::join!(write(&store, "a", "one"), failing, write(&store, "b", "two"));
    assert_eq!(failed.unwrap_err().reason, Reason::Internal);
    before.unwrap();
    after.unwrap();
    assert_eq!(things(&store).await, 2);
}

#[tokio::test]
async fn what_follows_a_write_that_failed_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    write(&store, "a", "one").await.unwrap();
    disk_of(&store, SMALL_DISK).await;
    let sequence = Sequence::default();
    let of_it = |id: &str, content: &str| store.write(Write { sequence: sequence.clone(), ..put(id, content) });
    // One that is in the same group as the first that fails, and one that comes later; those before it are kept.
    let large = "x".repeat(1 << 20);
    let (before, failed, next) = futures::join!(of_it("b", "two"), of_it("c", &large), of_it("d", "three"));
    let later = of_it("e", "four").await;
    for refused in [failed, next, later] {
        assert_eq!(refused.unwrap_err().reason, Reason::StoreUnavailable);
    }
    write(&store, "f", "of another").await.unwrap();
    assert_eq!(things(&store).await, 2 + i64::from(before.is_ok()));
}

#[tokio::test]
async fn while_the_outbox_is_full_writes_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    write(&store, "a", "one").await.unwrap();
    for (rows, bytes) in [(Backlog::MAX_ROWS, 0), (1, Backlog::MAX_BYTES)] {
        store.waiting.publish(&Ledger { next_sequence: 2, rows, bytes }, false);
        let refusal = write(&store, "a", "two").await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert!(refusal.retry_after.is_some());
        assert_eq!(things(&store).await, 1);
    }
    store.waiting.publish(&Ledger { next_sequence: 2, rows: 1, bytes: 100 }, false);
    write(&store, "a", "one").await.unwrap();
}

#[tokio::test]
async fn what_was_asked_for_before_the_end_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tasks) = open(&dir).await.unwrap();
    let mut writes: Vec<_> = (0..100).map(|number| store.write(put(&number.to_string(), "one"))).collect();
    for write in &mut writes {
        assert!(futures::poll!(write).is_pending());
    }
    tasks.drain(std::time::Duration::from_secs(10)).await.unwrap();
    for write in writes {
        write.await.unwrap().remove(0).unwrap();
    }
    assert_eq!(write(&store, "late", "one").await.unwrap_err().reason, Reason::StoreUnavailable);
}

#[tokio::test]
async fn a_database_is_open_once_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _tasks) = open(&dir).await.unwrap();
    let second = open(&dir).await.err().unwrap();
    assert!(format!("{second:#}").contains("locked by another process"), "{second:#}");
    drop(store);
    open(&dir).await.unwrap();
}

#[tokio::test]
async fn tables_of_a_later_version_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("things.db");
    rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let refused = open(&dir).await.err().unwrap();
    assert!(format!("{refused:#}").contains("version 999"), "{refused:#}");
}
