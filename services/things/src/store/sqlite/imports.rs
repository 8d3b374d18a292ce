//! Owns how far imports are. Never carries out a row.

use domain::Timestamp;
use rusqlite::params;

use super::failure::Failure;
use super::tables::Tables;
use crate::atomic::{LET_GO, REMEMBERED_MILLIS};
use crate::change::Part;

impl Tables<'_> {
    /// How many rows of a principal's import are committed.
    pub(super) fn imported(&self, principal: &str, import_id: &str, now: Timestamp) -> Result<u64, Failure> {
        let sql = "select next_row from imports
            where tenant = ?1 and principal = ?2 and import_id = ?3 and updated_at > ?4";
        let params = params![self.tenant.as_str(), principal, import_id, now.millis() - REMEMBERED_MILLIS];
        let rows: Option<i64> = self.one(sql, params, |row| row.get(0))?;
        Ok(rows.unwrap_or(0).unsigned_abs())
    }

    /// Notes that a part is committed, and lets go of some imports that are too old.
    pub(super) fn note_imported(&self, principal: &str, part: &Part, now: Timestamp) -> Result<(), Failure> {
        let tenant = self.tenant.as_str();
        // By `imports_age`.
        let sql = "delete from imports where tenant = ?1 and (principal, import_id) in (
                select principal, import_id from imports where tenant = ?1 and updated_at <= ?2
                order by updated_at limit ?3)";
        let params = params![tenant, now.millis() - REMEMBERED_MILLIS, LET_GO];
        self.connection.prepare_cached(sql)?.execute(params)?;
        let sql = "insert or replace into imports (tenant, principal, import_id, next_row, updated_at)
            values (?1, ?2, ?3, ?4, ?5)";
        let params = params![tenant, principal, &*part.import_id, part.rows.end.cast_signed(), now.millis()];
        self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }
}
