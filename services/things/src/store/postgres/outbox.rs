//! Owns the outbox and the relay's batches.
//!
//! Rows are numbered while the names that they are of are locked, so those of one name are in order; the order of others is
//! that of nothing. A batch's number is written onto its rows, and they are sent under it until they are acknowledged.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::Clock;
use sqlx::Row as _;
use tokio::sync::{Notify, watch};
use ulid::Ulid;

use super::failure::Failure;
use super::rows;
use super::save::Added;
use super::tenant::Pool;
use super::write::WRITERS;
use crate::store::{Backlog, Batch, Lease, Taken};

/// How long what another process has added is not seen.
const POLL: Duration = Duration::from_millis(200);

/// What waits, as this process knows it, and the bell that rings when it becomes more.
#[derive(Default)]
pub(super) struct Waiting {
    backlog: Mutex<Backlog>,
    bell: Notify,
    /// Counts acknowledgements.
    acknowledged: watch::Sender<u64>,
}

impl Waiting {
    pub(super) fn backlog(&self) -> Backlog {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what there is at the beginning.
    pub(super) fn found(&self, backlog: Backlog) {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
        self.bell.notify_one();
    }

    /// Tells what was committed.
    pub(super) fn added(&self, Added { rows, bytes }: Added) {
        if rows == 0 {
            return;
        }
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        *backlog = Backlog { rows: backlog.rows + rows, bytes: backlog.bytes + bytes };
        drop(backlog);
        self.bell.notify_one();
    }

    fn took(&self, rows: u64, bytes: u64) {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        *backlog = Backlog { rows: backlog.rows.saturating_sub(rows), bytes: backlog.bytes.saturating_sub(bytes) };
        drop(backlog);
        self.acknowledged.send_modify(|count| *count += 1);
    }

    pub(super) async fn wait(&self) {
        self.bell.notified().await;
    }
}

/// What is there to send.
pub(super) async fn count(pool: &Pool) -> Result<Backlog, Failure> {
    let mut tx = pool.relay().await?;
    let sql = "select count(*), coalesce(sum(octet_length(payload)), 0)::bigint from outbox";
    let row = sqlx::query(sql).fetch_one(&mut *tx).await?;
    Ok(Backlog { rows: rows::count(&row, 0)?, bytes: rows::count(&row, 1)? })
}

/// The relay's id.
pub(super) async fn relay(pool: &Pool) -> Result<Ulid, Failure> {
    let mut tx = pool.relay().await?;
    Ok(rows::ulid(&sqlx::query("select id from relay").fetch_one(&mut *tx).await?, 0)?)
}

/// The number of the last row, once every write that had begun has ended.
pub(super) async fn last(pool: &Pool, clock: &Clock) -> Result<i64, Failure> {
    let mut tx = pool.relay().await?;
    sqlx::query("select pg_advisory_xact_lock($1)::text").bind(WRITERS).execute(&mut *tx).await?;
    // Drawn here, so that the clock of ULIDs stands at the present even if the time of day goes back.
    clock.ulid();
    let sql = "select coalesce(max(sequence), 0) from outbox";
    let last = sqlx::query_scalar(sql).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(last)
}

/// Returns once no row up to `last` waits any more.
pub(super) async fn acknowledged(pool: &Pool, waiting: &Waiting, last: i64) -> Result<(), Failure> {
    let mut count = waiting.acknowledged.subscribe();
    loop {
        count.mark_unchanged();
        let mut tx = pool.relay().await?;
        let sql = "select exists (select 1 from outbox where sequence <= $1)";
        let waits: bool = sqlx::query_scalar(sql).bind(last).fetch_one(&mut *tx).await?;
        drop(tx);
        if !waits {
            return Ok(());
        }
        // Here, or by another process.
        let _ = tokio::time::timeout(POLL, count.changed()).await;
    }
}

/// Takes the relay's lease.
pub(super) async fn lease(pool: &Pool) -> Result<Lease, Failure> {
    let mut tx = pool.relay().await?;
    let row = sqlx::query("update relay set epoch = epoch + 1 returning id, epoch").fetch_one(&mut *tx).await?;
    let lease = Lease { relay: rows::ulid(&row, 0)?, epoch: row.try_get(1)? };
    tx.commit().await?;
    Ok(lease)
}

/// Deletes an acknowledged batch and gives the oldest one.
pub(super) async fn take(
    pool: &Pool,
    waiting: &Waiting,
    lease: Lease,
    acknowledged: Option<u64>,
) -> Result<Taken, Failure> {
    let mut tx = pool.relay().await?;
    let sql = "select batch from relay where epoch = $1 for update";
    let Some(number) = sqlx::query_scalar::<_, i64>(sql).bind(lease.epoch).fetch_optional(&mut *tx).await? else {
        return Ok(Taken::LeaseLost);
    };
    let mut gone = (0, 0);
    if acknowledged == Some(number as u64) {
        let sql = "with gone as (delete from outbox where batch = $1 returning octet_length(payload) as bytes)
            select count(*), coalesce(sum(bytes), 0)::bigint from gone";
        let row = sqlx::query(sql).bind(number).fetch_one(&mut *tx).await?;
        gone = (rows::count(&row, 0)?, rows::count(&row, 1)?);
    } else {
        // By the index outbox_batch.
        let sql = "select payload from outbox where batch = $1 order by sequence";
        let payloads = payloads(&sqlx::query(sql).bind(number).fetch_all(&mut *tx).await?)?;
        if !payloads.is_empty() {
            return Ok(Taken::Batch(Batch { number: number as u64, payloads }));
        }
    }
    // The rows of a batch: the first that are in none, as many as it has. Lengths are read without the payloads.
    let sql = "select sequence, octet_length(payload)::bigint from outbox
        where batch is null
        order by sequence limit $1";
    let found = sqlx::query(sql).bind(Batch::MAX_EVENTS as i64).fetch_all(&mut *tx).await?;
    let (mut sequences, mut bytes) = (Vec::new(), 0);
    for row in &found {
        bytes += rows::count(row, 1)?;
        if bytes > Batch::MAX_BYTES as u64 && !sequences.is_empty() {
            break;
        }
        sequences.push(row.try_get::<i64, _>(0)?);
    }
    let taken = if sequences.is_empty() {
        Taken::Nothing
    } else {
        let sql = "with batch as (
                update outbox set batch = $2 where sequence = any($1) returning sequence, payload)
            select payload from batch order by sequence";
        let next = number + 1;
        let payloads = payloads(&sqlx::query(sql).bind(&sequences).bind(next).fetch_all(&mut *tx).await?)?;
        sqlx::query("update relay set batch = $1").bind(next).execute(&mut *tx).await?;
        Taken::Batch(Batch { number: next as u64, payloads })
    };
    tx.commit().await.map_err(|error| Failure::commit(&error))?;
    if acknowledged.is_some() {
        waiting.took(gone.0, gone.1);
    }
    Ok(taken)
}

fn payloads(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<Bytes>, sqlx::Error> {
    rows.iter().map(|row| Ok(Bytes::copy_from_slice(row.try_get(0)?))).collect()
}
