//! The rows of an import, and what became of them.

use domain::{Condition, Invalid};
use proto::convert::{relationship_body, style, thing_body};
use proto::things::v1 as wire;
use serve::{Caller, Refusal};
use tonic::Status;

use crate::Things;
use crate::change::Change;
use crate::import::{Course, Report, Rows};

impl Things {
    pub(super) fn rows(&self, caller: &Caller, message: wire::ImportThingsRequest) -> Result<Rows, Status> {
        let wire::ImportThingsRequest { rows, request_id, cause, import_id, first_row } = message;
        let provenance = self.provenance(caller, request_id, cause).map_err(Refusal::from)?;
        let course = course(import_id, first_row).map_err(Refusal::from)?;
        let rows = rows.into_iter().map(|row| import_row(row).map_err(Refusal::from)).collect();
        Ok(Rows { each: rows, provenance, course })
    }
}

fn course(import_id: String, first_row: i64) -> Result<Option<Course>, Invalid> {
    if import_id.is_empty() && first_row != 0 {
        return Err(Invalid::new("first_row", "needs import_id"));
    }
    let first_row = first_row.try_into().map_err(|_| Invalid::new("first_row", "must not be negative"))?;
    if import_id.len() > 128 || import_id.chars().any(char::is_control) {
        return Err(Invalid::new("import_id", "must be at most 128 bytes without control characters"));
    }
    Ok((!import_id.is_empty()).then(|| Course { import_id: import_id.into(), first_row }))
}

fn import_row(row: wire::ImportRow) -> Result<Change, Invalid> {
    match row.row {
        Some(wire::import_row::Row::Thing(thing)) => {
            let (reference, body) = thing_body(Some(thing))?;
            Ok(Change::PutThing { reference, body, condition: Condition::None })
        }
        Some(wire::import_row::Row::Relationship(relationship)) => {
            let relationship = relationship_body(Some(relationship))?;
            Ok(Change::PutRelationship { relationship, condition: Condition::None })
        }
        Some(wire::import_row::Row::Namespace(namespace)) => {
            let ns = namespace.ns.parse().map_err(|invalid: Invalid| invalid.within("namespace"))?;
            let style = style(namespace.style).map_err(|invalid| invalid.within("namespace"))?;
            Ok(Change::RegisterNamespace { ns, style })
        }
        None => Err(Invalid::new("row", "must be a thing, a relationship or a namespace")),
    }
}

pub(super) fn import_report(report: Report) -> wire::ImportThingsResponse {
    let Report { created, replaced, unchanged, failed, failures, last, passed_over, next_row } = report;
    let failure = |(row, refusal): (u64, Refusal)| wire::ImportFailure {
        row: row as i64,
        reason: refusal.reason_name().to_owned(),
        field: refusal.violations.first().map(|invalid| invalid.field.clone()).unwrap_or_default(),
        message: refusal.message,
    };
    wire::ImportThingsResponse {
        created: created as i64,
        replaced: replaced as i64,
        unchanged: unchanged as i64,
        failed: failed as i64,
        failures: failures.into_iter().map(failure).collect(),
        last_ulid: last.map(|ulid| ulid.to_string()).unwrap_or_default(),
        passed_over: passed_over as i64,
        next_row: next_row as i64,
    }
}
