//! Owns the writes that are remembered so that a repetition gets the same answer. Never carries one out.

use domain::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::failure::Failure;
use super::tables::Tables;
use crate::store::encoding::{answer, answer_bytes};
use crate::whole::{Done, Once, REMEMBERED_MILLIS};

impl Tables<'_> {
    /// What a principal's request was answered, if it was carried out; another request of its id is refused.
    pub(super) fn answered(&self, principal: &str, once: &Once, now: Timestamp) -> Result<Option<Vec<Done>>, Failure> {
        let sql = "select digest, answer from requests
            where tenant = ?1 and principal = ?2 and request_id = ?3 and created_at > ?4";
        let params = params![self.tenant.as_str(), principal, &*once.request_id, now.millis() - REMEMBERED_MILLIS];
        let kept = self.connection.prepare_cached(sql)?.query_row(params, |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((digest, bytes)): Option<(Vec<u8>, Vec<u8>)> = kept.optional()? else { return Ok(None) };
        once.check(&digest)?;
        Ok(Some(answer(&bytes)?))
    }

    /// Keeps the answer, and lets go of those that are too old.
    pub(super) fn remember(&self, principal: &str, once: &Once, done: &[Done], now: Timestamp) -> Result<(), Failure> {
        // By `requests_age`.
        let sql = "delete from requests where tenant = ?1 and created_at <= ?2";
        self.connection
            .prepare_cached(sql)?
            .execute(params![self.tenant.as_str(), now.millis() - REMEMBERED_MILLIS])?;
        let sql = "insert into requests (tenant, principal, request_id, digest, answer, created_at)
            values (?1, ?2, ?3, ?4, ?5, ?6)";
        let (digest, answer) = (once.digest.as_slice(), answer_bytes(done));
        self.connection.prepare_cached(sql)?.execute(params![
            self.tenant.as_str(),
            principal,
            &*once.request_id,
            digest,
            answer,
            now.millis()
        ])?;
        Ok(())
    }
}
