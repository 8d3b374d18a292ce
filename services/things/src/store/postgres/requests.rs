//! Owns the writes that are remembered so that a repetition gets the same answer. Never carries one out.

use domain::Timestamp;
use proto::convert::WriteResult;
use sqlx::Row as _;

use super::failure::Failure;
use super::tenant::TenantTx;
use crate::atomic::{Idempotency, LET_GO, REMEMBERED_MILLIS};
use crate::store::encoding::{answer, answer_bytes};

/// What a principal's request was answered, if it was carried out; another request of its id is refused.
pub(super) async fn answered(
    tx: &mut TenantTx,
    principal: &str,
    idempotency: &Idempotency,
    now: Timestamp,
) -> Result<Option<Vec<WriteResult>>, Failure> {
    let sql = "select digest, answer from requests
        where tenant = $1 and principal = $2 and request_id = $3 and created_at > $4";
    let kept = tx.query(sql).bind(principal).bind(&*idempotency.request_id).bind(now.millis() - REMEMBERED_MILLIS);
    let Some(row) = kept.fetch_optional(tx.connection()).await? else { return Ok(None) };
    idempotency.check(row.try_get("digest")?)?;
    Ok(Some(answer(row.try_get("answer")?)?))
}

/// Keeps the answer, and lets go of some that are too old. Of two requests at a time with one id, the later finds the earlier in its
/// way.
pub(super) async fn remember(
    tx: &mut TenantTx,
    principal: &str,
    idempotency: &Idempotency,
    results: &[WriteResult],
    now: Timestamp,
) -> Result<(), Failure> {
    let too_old = now.millis() - REMEMBERED_MILLIS;
    // By `requests_age`. What another is letting go of is left to it.
    let delete = tx.query(
        "delete from requests where ctid = any(array(
            select ctid from requests where tenant = $1 and created_at <= $2
            order by created_at limit $3 for update skip locked))",
    );
    delete.bind(too_old).bind(LET_GO).execute(tx.connection()).await?;
    let sql = "insert into requests (tenant, principal, request_id, digest, answer, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (tenant, principal, request_id) do update
            set digest = excluded.digest, answer = excluded.answer, created_at = excluded.created_at
            where requests.created_at <= $7";
    let insert = tx.query(sql).bind(principal).bind(&*idempotency.request_id).bind(idempotency.digest.as_slice());
    let insert = insert.bind(answer_bytes(results)).bind(now.millis()).bind(too_old).execute(tx.connection()).await?;
    if insert.rows_affected() == 0 { Err(Failure::Conflict) } else { Ok(()) }
}
