//! Owns the writes that are remembered so that a repetition gets the same answer. Never carries one out.

use domain::Timestamp;
use proto::convert::WriteResult;
use rusqlite::{OptionalExtension as _, params};

use super::failure::Failure;
use super::tables::Tables;
use crate::atomic::{Idempotency, LET_GO, REMEMBERED_MILLIS};
use crate::store::encoding::{answer, answer_bytes};

impl Tables<'_> {
    /// What a principal's request was answered, if it was carried out; another request of its id is refused.
    pub(super) fn answered(
        &self,
        principal: &str,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Vec<WriteResult>>, Failure> {
        let sql = "select digest, answer from requests
            where tenant = ?1 and principal = ?2 and request_id = ?3 and created_at > ?4";
        let params =
            params![self.tenant.as_str(), principal, &*idempotency.request_id, now.millis() - REMEMBERED_MILLIS];
        let kept = self.connection.prepare_cached(sql)?.query_row(params, |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((digest, bytes)): Option<(Vec<u8>, Vec<u8>)> = kept.optional()? else { return Ok(None) };
        idempotency.check(&digest)?;
        Ok(Some(answer(&bytes)?))
    }

    /// Keeps the answer, and lets go of some that are too old.
    pub(super) fn remember(
        &self,
        principal: &str,
        idempotency: &Idempotency,
        results: &[WriteResult],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (tenant, too_old) = (self.tenant.as_str(), now.millis() - REMEMBERED_MILLIS);
        // By `requests_age`. Replaces what is too old and has not been let go of yet.
        let sql = "delete from requests where tenant = ?1 and (principal, request_id) in (
                select principal, request_id from requests where tenant = ?1 and created_at <= ?2
                order by created_at limit ?3)";
        self.connection.prepare_cached(sql)?.execute(params![tenant, too_old, LET_GO])?;
        let sql = "insert or replace into requests (tenant, principal, request_id, digest, answer, created_at)
            values (?1, ?2, ?3, ?4, ?5, ?6)";
        let (digest, answer) = (idempotency.digest.as_slice(), answer_bytes(results));
        let params = params![tenant, principal, &*idempotency.request_id, digest, answer, now.millis()];
        self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }
}
