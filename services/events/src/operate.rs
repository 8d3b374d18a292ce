//! What an operator asks of the archive: how it is, and to do now what upkeep does by itself. For peers, and anybody where
//! there are no keys, because it is of all tenants. Never does a step that upkeep would not.

use std::sync::Arc;

use futures::{Stream, stream};
use proto::events::v1 as wire;
use serve::{auth::Caller, refusal::Refusal};

use crate::{
    EventLog,
    archive::{Compacted, Expired, Status, Table},
};

impl EventLog {
    /// How the archive is. Blocks.
    pub(crate) fn archive_status(&self, caller: &Caller) -> Result<wire::Archive, Refusal> {
        caller.require_operator()?;
        let mut tables = Vec::new();
        for table in Table::ALL {
            let status = self.archive.status(table)?;
            let Status { files, bytes, rows, snapshots, manifests, position, metadata } = status;
            let [files, bytes, rows, snapshots, manifests] =
                [files, bytes, rows, snapshots, manifests].map(|count| count as i64);
            tables.push(wire::ArchiveTable {
                name: table.name().into(),
                files,
                bytes,
                rows,
                snapshots,
                manifests,
                cursor: self.cursor(position).to_string(),
                metadata_location: metadata,
            });
        }
        Ok(wire::Archive { tables, pending_bytes: self.index().bytes() as i64 })
    }

    /// Merges until no partition has many small files, and tells each merge.
    pub(crate) fn compact(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<impl Stream<Item = Result<wire::CompactArchiveResponse, Refusal>> + Send + use<>, Refusal> {
        caller.require_operator()?;
        let log = Arc::clone(self);
        Ok(stream::try_unfold(Table::ALL.to_vec(), move |mut tables| {
            let log = Arc::clone(&log);
            async move {
                while let Some(table) = tables.first().copied() {
                    let step = move |log: &Self| log.archive.compact_once(table).map_err(Refusal::from);
                    let Some(Compacted { files, bytes }) = log.blocking(step).await? else {
                        tables.remove(0);
                        continue;
                    };
                    let [files, bytes] = [files, bytes].map(|count| count as i64);
                    let told = wire::CompactArchiveResponse { table: table.name().into(), files, bytes };
                    return Ok(Some((told, tables)));
                }
                Ok(None)
            }
        }))
    }

    /// Lets go of what no reader needs, and tells what has gone from each table.
    pub(crate) fn expire(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<impl Stream<Item = Result<wire::ExpireArchiveResponse, Refusal>> + Send + use<>, Refusal> {
        caller.require_operator()?;
        Ok(self.of_each_table(|log, table| {
            let expired = log.archive.expire(table, log.horizon())?;
            let Expired { snapshots, files, bytes } = expired;
            let [snapshots, files, bytes] = [snapshots, files, bytes].map(|count| count as i64);
            Ok(wire::ExpireArchiveResponse { table: table.name().into(), snapshots, files, bytes })
        }))
    }

    /// Tells of each table whether it is whole.
    pub(crate) fn verify(
        self: &Arc<Self>,
        caller: &Caller,
    ) -> Result<impl Stream<Item = Result<wire::VerifyArchiveResponse, Refusal>> + Send + use<>, Refusal> {
        caller.require_operator()?;
        Ok(self.of_each_table(|log, table| {
            let files = log.archive.view().table(table).files.len() as i64;
            let problems = log.archive.verify(table)?;
            Ok(wire::VerifyArchiveResponse { table: table.name().into(), files, problems })
        }))
    }

    fn of_each_table<T: Send + 'static>(
        self: &Arc<Self>,
        ask: fn(&Self, Table) -> Result<T, Refusal>,
    ) -> impl Stream<Item = Result<T, Refusal>> + Send + use<T> {
        let log = Arc::clone(self);
        stream::StreamExt::then(stream::iter(Table::ALL), move |table| {
            let log = Arc::clone(&log);
            async move { log.blocking(move |log| ask(log, table)).await }
        })
    }
}
