//! Owns the outbox and the relay's batches.
//!
//! Rows are numbered while the names that they are of are locked, so those of one name are in order; the order of others is
//! that of nothing. A batch's number is written onto its rows, and they are sent under it until they are acknowledged.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::{Clock, Timestamp};
use serve::Refusal;
use sqlx::{PgConnection, Row as _};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use ulid::Ulid;

use super::failure::Failure;
use super::rows;
use super::save::Added;
use super::tenant::Pool;
use super::write::WRITERS;
use crate::refuse::store_unavailable;
use crate::store::{Backlog, Batch, Lease, Taken};

/// How long what another process has added is not seen.
const POLL: Duration = Duration::from_millis(100);
/// How often whoever has the lease shows it: each time waits for the disk.
const SHOWN: Duration = Duration::from_secs(1);
/// Who has the lease and has not shown it for so long has lost it. Longer than a batch takes to be acknowledged mostly.
const LEASE: Duration = Duration::from_secs(5);
/// How often it is counted what is there, which other processes add to and take from.
const COUNT: Duration = Duration::from_secs(5);
/// How far a machine's clock may be ahead of the database's.
const AHEAD: Duration = Duration::from_secs(1);

/// What waits, as this process knows it, and the bell that rings when it becomes more.
#[derive(Default)]
pub(super) struct Waiting {
    backlog: Mutex<Backlog>,
    counted: Mutex<Option<Instant>>,
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
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
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
        let _ = tokio::time::timeout(POLL, self.bell.notified()).await;
    }

    /// Counts what there is, unless that was done a short while ago.
    async fn count(&self, pool: &Pool) -> Result<(), Failure> {
        let is_due = |counted: Option<Instant>| counted.is_none_or(|counted| counted.elapsed() >= COUNT);
        if is_due(*self.counted.lock().unwrap_or_else(PoisonError::into_inner)) {
            let found = count(pool).await?;
            *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = found;
            *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        Ok(())
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
    let now = clock.now();
    let mut tx = pool.relay().await?;
    sqlx::query("select pg_advisory_xact_lock($1)::text").bind(WRITERS).execute(&mut *tx).await?;
    pass(&mut tx, clock, now).await?;
    let sql = "select coalesce(max(sequence), 0) from outbox";
    let last = sqlx::query_scalar(sql).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(last)
}

/// Lets this process draw no ULID from before the database's time, by which all processes go.
pub(super) async fn go_by(connection: &mut PgConnection, clock: &Clock) -> Result<Timestamp, Failure> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
    let millis = sqlx::query_scalar(sql).fetch_one(connection).await?;
    let time = Timestamp::from_millis(millis).map_err(Refusal::internal)?;
    clock.not_before(time);
    Ok(time)
}

/// Waits until the database has come to `now`, so that no later write of any process draws a ULID from before it.
pub(super) async fn pass(connection: &mut PgConnection, clock: &Clock, now: Timestamp) -> Result<(), Failure> {
    // Drawn here, so that the clock of ULIDs stands at the present even if the time of day goes back.
    clock.ulid();
    loop {
        let time = go_by(connection, clock).await?;
        let ahead = Duration::from_millis((now.millis() - time.millis()).max(0) as u64);
        if ahead > AHEAD {
            tracing::error!(?ahead, "this machine's clock is ahead of the database's");
            return Err(store_unavailable().into());
        }
        if ahead.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(ahead).await;
    }
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

/// Returns once nobody has the lease or has shown that lately.
pub(super) async fn vacant(pool: &Pool, waiting: &Waiting) -> Result<(), Failure> {
    loop {
        let mut tx = pool.relay().await?;
        let sql = "select seen_at < clock_timestamp() - make_interval(secs => $1) from relay";
        let is_vacant = sqlx::query_scalar(sql).bind(LEASE.as_secs_f64()).fetch_one(&mut *tx).await?;
        drop(tx);
        if is_vacant {
            return Ok(());
        }
        waiting.count(pool).await?;
        tokio::time::sleep(LEASE / 10).await;
    }
}

/// Gives the lease back.
pub(super) async fn release(pool: &Pool, lease: Lease) -> Result<(), Failure> {
    let mut tx = pool.relay().await?;
    let sql = "update relay set seen_at = '-infinity' where epoch = $1";
    sqlx::query(sql).bind(lease.epoch).execute(&mut *tx).await?;
    tx.commit().await.map_err(|error| Failure::commit(&error))
}

/// Takes the relay's lease.
pub(super) async fn lease(pool: &Pool) -> Result<Lease, Failure> {
    let mut tx = pool.relay().await?;
    let sql = "update relay set epoch = epoch + 1, seen_at = clock_timestamp() returning id, epoch";
    let row = sqlx::query(sql).fetch_one(&mut *tx).await?;
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
    waiting.count(pool).await?;
    let mut tx = pool.relay().await?;
    if acknowledged.is_none() {
        let sql = "select seen_at > clock_timestamp() - make_interval(secs => $2) and not exists (select 1 from outbox)
            from relay where epoch = $1";
        let query = sqlx::query_scalar(sql).bind(lease.epoch).bind(SHOWN.as_secs_f64());
        match query.fetch_optional(&mut *tx).await? {
            None => return Ok(Taken::LeaseLost),
            Some(true) => return Ok(Taken::Nothing),
            Some(false) => {}
        }
    }
    let sql = "update relay set seen_at = clock_timestamp() where epoch = $1 returning batch";
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
            tx.commit().await.map_err(|error| Failure::commit(&error))?;
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
