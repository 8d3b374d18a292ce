//! Owns how far imports are. Never carries out a row.

use domain::Timestamp;

use super::failure::Failure;
use super::rows;
use super::tenant::TenantTx;
use crate::atomic::{LET_GO, REMEMBERED_MILLIS};
use crate::change::Part;

/// How many rows of a principal's import are committed.
pub(super) async fn imported(
    tx: &mut TenantTx,
    principal: &str,
    import_id: &str,
    now: Timestamp,
) -> Result<u64, Failure> {
    let sql =
        "select next_row from imports where tenant = $1 and principal = $2 and import_id = $3 and updated_at > $4";
    let query = tx.query(sql).bind(principal).bind(import_id).bind(now.millis() - REMEMBERED_MILLIS);
    let row = query.fetch_optional(tx.connection()).await?;
    Ok(row.map(|row| rows::count(&row, 0)).transpose()?.unwrap_or(0))
}

/// Notes that a part is committed, and lets go of some imports that are too old. Of two calls at a time that go on with one import, the later
/// finds the earlier in its way.
pub(super) async fn note(tx: &mut TenantTx, principal: &str, part: &Part, now: Timestamp) -> Result<(), Failure> {
    let too_old = now.millis() - REMEMBERED_MILLIS;
    // By `imports_age`. What another is letting go of is left to it.
    let delete = tx.query(
        "delete from imports where ctid = any(array(
            select ctid from imports where tenant = $1 and updated_at <= $2
            order by updated_at limit $3 for update skip locked))",
    );
    delete.bind(too_old).bind(LET_GO).execute(tx.connection()).await?;
    let sql = "insert into imports (tenant, principal, import_id, next_row, updated_at)
        values ($1, $2, $3, $5, $6)
        on conflict (tenant, principal, import_id) do update
            set next_row = excluded.next_row, updated_at = excluded.updated_at
            where imports.next_row = $4 or imports.updated_at <= $7";
    let (begins, ends) = (part.rows.start.cast_signed(), part.rows.end.cast_signed());
    let insert = tx.query(sql).bind(principal).bind(&*part.import_id).bind(begins).bind(ends);
    let noted = insert.bind(now.millis()).bind(too_old).execute(tx.connection()).await?;
    if noted.rows_affected() == 0 { Err(Failure::Conflict) } else { Ok(()) }
}
