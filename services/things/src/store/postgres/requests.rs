//! Owns the writes that are remembered so that a repetition gets the same answer. Never carries one out.

use domain::Timestamp;
use sqlx::Row as _;

use super::failure::Failure;
use super::tenant::TenantTx;
use crate::store::encoding::{answer, answer_bytes};
use crate::whole::{Done, Once, REMEMBERED_MILLIS};

/// What a principal's request was answered, if it was carried out; another request of its id is refused.
pub(super) async fn answered(
    tx: &mut TenantTx,
    principal: &str,
    once: &Once,
    now: Timestamp,
) -> Result<Option<Vec<Done>>, Failure> {
    let sql = "select digest, answer from requests
        where tenant = $1 and principal = $2 and request_id = $3 and created_at > $4";
    let kept = tx.query(sql).bind(principal).bind(&*once.request_id).bind(now.millis() - REMEMBERED_MILLIS);
    let Some(row) = kept.fetch_optional(tx.connection()).await? else { return Ok(None) };
    once.check(row.try_get("digest")?)?;
    Ok(Some(answer(row.try_get("answer")?)?))
}

/// Keeps the answer, and lets go of those that are too old. Of two requests at a time with one id, the later finds the earlier
/// in its way.
pub(super) async fn remember(
    tx: &mut TenantTx,
    principal: &str,
    once: &Once,
    done: &[Done],
    now: Timestamp,
) -> Result<(), Failure> {
    // By `requests_age`.
    let delete = tx.query("delete from requests where tenant = $1 and created_at <= $2");
    delete.bind(now.millis() - REMEMBERED_MILLIS).execute(tx.connection()).await?;
    let sql = "insert into requests (tenant, principal, request_id, digest, answer, created_at)
        values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
    let insert = tx.query(sql).bind(principal).bind(&*once.request_id).bind(once.digest.as_slice());
    let insert = insert.bind(answer_bytes(done)).bind(now.millis()).execute(tx.connection()).await?;
    if insert.rows_affected() == 0 { Err(Failure::Conflict) } else { Ok(()) }
}
