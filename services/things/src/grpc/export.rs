//! Exports on the wire.

use std::time::Duration;

use proto::convert::namespace_to_wire;
use proto::things::v1::{self as wire, import_row};

use super::answer::{relationship, thing};
use crate::export::{Exported, Row};

/// How long an export may take: so long a moment of the store is held.
pub(super) const LONGEST: Duration = Duration::from_hours(1);

/// Rows of one kind in a message unless the caller says it.
pub(super) const ROWS: i32 = 1_000;

pub(super) fn exported(exported: Exported) -> wire::ExportThingsResponse {
    let Exported { rows, next_page_token } = exported;
    wire::ExportThingsResponse { rows: rows.into_iter().map(row).collect(), next_page_token }
}

fn row(row: Row) -> wire::ImportRow {
    let row = match row {
        Row::Namespace(ns, style, created_at) => import_row::Row::Namespace(namespace_to_wire(&ns, style, created_at)),
        Row::Thing(found, style) => import_row::Row::Thing(thing((*found, style))),
        Row::Relationship(found, style) => import_row::Row::Relationship(relationship((*found, style))),
    };
    wire::ImportRow { row: Some(row) }
}
