//! Owns the outbox and the relay's batches.
//!
//! Rows are numbered in commit order, because one thread writes them. So a batch is a range: the rows up to `through`
//! are the batch `batch` until they are acknowledged, without a number on each row.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use domain::{Clock, TenantId};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{Notify, watch};
use ulid::Ulid;

use super::failure::Failure;
use super::rows;
use super::writer::Transaction;
use crate::store::encoding::ulid_bytes;
use crate::store::{Backlog, Batch, Lease, Taken};

/// Gives a new database its relay, and says which it has.
pub(super) fn found(connection: &Connection, clock: &Clock) -> rusqlite::Result<Ulid> {
    let sql = "insert into relay (only, id, epoch, batch, through) values (1, ?1, 0, 0, 0) on conflict do nothing";
    connection.execute(sql, params![ulid_bytes(clock.ulid())])?;
    connection.query_row("select id from relay", [], |row| rows::ulid(row, 0))
}

/// What is in the outbox, as the writer knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger {
    /// Of the next row. Above every number that ever was: acknowledged ones must not come again.
    pub(super) next_sequence: i64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Ledger {
    /// Counts what is there.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "select max(coalesce(max(sequence), 0), (select through from relay)) + 1, count(*),
                coalesce(sum(length(payload)), 0)
            from outbox";
        connection
            .query_row(sql, [], |row| Ok(Self { next_sequence: row.get(0)?, rows: row.get(1)?, bytes: row.get(2)? }))
    }

    /// The last row that was acknowledged: numbers have no gaps, because what is undone gives them back.
    fn acknowledged(&self) -> i64 {
        self.next_sequence - 1 - self.rows as i64
    }

    /// How many rows were added since `before`.
    pub(super) fn added_since(&self, before: &Self) -> i64 {
        self.next_sequence - before.next_sequence
    }
}

/// What waits, as everybody may know it, and the bell that rings when it becomes more.
#[derive(Default)]
pub(super) struct Waiting {
    backlog: Mutex<Backlog>,
    bell: Notify,
    /// The number of the last row that was acknowledged.
    acknowledged: watch::Sender<i64>,
}

impl Waiting {
    pub(super) fn backlog(&self) -> Backlog {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what has been committed, and rings if something was added.
    pub(super) fn publish(&self, ledger: &Ledger, has_more: bool) {
        let backlog = Backlog { rows: ledger.rows, bytes: ledger.bytes };
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
        self.acknowledged.send_replace(ledger.acknowledged());
        if has_more {
            self.bell.notify_one();
        }
    }

    pub(super) async fn wait(&self) {
        self.bell.notified().await;
    }

    /// Returns once the row of this number has been acknowledged.
    pub(super) async fn acknowledged(&self, last: i64) {
        let mut acknowledged = self.acknowledged.subscribe();
        acknowledged.wait_for(|acknowledged| *acknowledged >= last).await.expect("who tells of it is borrowed here");
    }
}

impl Transaction<'_> {
    /// Adds a mutation.
    pub(super) fn append(&mut self, tenant: &TenantId, payload: &[u8]) -> Result<(), Failure> {
        let sql = "insert into outbox (tenant, sequence, payload) values (?1, ?2, ?3)";
        let params = params![tenant.as_str(), self.ledger.next_sequence, payload];
        self.connection.prepare_cached(sql)?.execute(params)?;
        self.ledger.next_sequence += 1;
        self.ledger.rows += 1;
        self.ledger.bytes += payload.len() as u64;
        Ok(())
    }

    /// Takes the relay's lease.
    pub(super) fn lease(&mut self) -> Result<Lease, Failure> {
        let sql = "update relay set epoch = epoch + 1 returning id, epoch";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| Ok(Lease { relay: rows::ulid(row, 0)?, epoch: row.get(1)? }))?)
    }

    /// Deletes an acknowledged batch and gives the oldest one.
    pub(super) fn take(&mut self, lease: Lease, acknowledged: Option<u64>) -> Result<Taken, Failure> {
        let sql = "select batch, through from relay where epoch = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([lease.epoch], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((number, through)) = found else { return Ok(Taken::LeaseLost) };
        if acknowledged == Some(number) {
            self.delete_through(through)?;
        } else if let Some(batch) = self.batch(number, i64::MIN, Some(through))? {
            return Ok(Taken::Batch(batch.0));
        }
        let Some((batch, last)) = self.batch(number + 1, through, None)? else { return Ok(Taken::Nothing) };
        let sql = "update relay set batch = ?1, through = ?2";
        self.connection.prepare_cached(sql)?.execute(params![batch.number, last])?;
        Ok(Taken::Batch(batch))
    }

    /// The rows after `after` and up to `through`, or as many as a batch has, with the last one's number.
    fn batch(&self, number: u64, after: i64, through: Option<i64>) -> Result<Option<(Batch, i64)>, Failure> {
        let sql = "select sequence, payload from outbox where sequence > ?1 and sequence <= ?2 order by sequence";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(params![after, through.unwrap_or(i64::MAX)])?;
        let (mut payloads, mut bytes, mut last) = (Vec::new(), 0, after);
        while let Some(row) = found.next()? {
            let payload = Bytes::copy_from_slice(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
            bytes += payload.len();
            let is_full = payloads.len() == Batch::MAX_EVENTS || (bytes > Batch::MAX_BYTES && !payloads.is_empty());
            if through.is_none() && is_full {
                break;
            }
            last = row.get(0)?;
            payloads.push(payload);
        }
        Ok((!payloads.is_empty()).then_some((Batch { number, payloads }, last)))
    }

    fn delete_through(&mut self, through: i64) -> Result<(), Failure> {
        let sql = "select count(*), coalesce(sum(length(payload)), 0) from outbox where sequence <= ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (count, bytes): (u64, u64) = statement.query_row([through], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.connection.prepare_cached("delete from outbox where sequence <= ?1")?.execute([through])?;
        self.ledger.rows -= count;
        self.ledger.bytes -= bytes;
        Ok(())
    }
}
