//! The events service: the immutable history of everything that happened.
//!
//! Owns the event log (a durable journal with an index over it in memory, and an archive behind it) and what a caller
//! may see of the past.
//! Never changes an event, and never holds the present: that is things.

mod adopt;
mod aggregate;
mod append;
mod append_stream;
mod archive;
mod config;
mod derive;
mod diff;
mod disk;
mod drain;
mod filter;
mod flush;
mod grpc;
mod history;
mod index;
mod journal;
mod list_states;
mod log;
mod operate;
mod past;
mod query;
mod relay_batch;
mod state_at;
mod subscribe;
mod upkeep;
mod visibility;
mod wait_for;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fold_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod poll_test;

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use domain::Clock;
use proto::events::v1::events_service_server::EventsServiceServer;
use serve::Routes;
use serve::{Context, Service, Tasks, layers::Ring};
use tokio::runtime::Handle;

pub use self::{
    adopt::Adopted,
    archive::Address,
    config::{ArchiveUrl, Bytes, Compaction, Config, Endpoint},
    drain::Drained,
    journal::OpenError,
};
use self::{grpc::Grpc, log::EventLog};

/// The largest message taken: a peer's append, because one mutation carries a state before and after.
const MAX_MESSAGE_IN: usize = 32 << 20;
/// The largest message sent: a page ends at 8 MiB or one item.
const MAX_MESSAGE_OUT: usize = 16 << 20;

/// Opens the service on its directory, `events` in the data directory: reads the journal into the index, and the
/// archive's metadata.
pub async fn open(config: Config, context: &Context) -> anyhow::Result<Service> {
    let (settings, flush, retention) = (config.journal(), config.flush(), config.archive_retention);
    let site = config.site()?;
    let (memory, compaction) = (config.query_memory(), config.archive_compaction);
    let (dir, clock, runtime) = (context.data_dir.join("events"), context.clock.clone(), Handle::current());
    let log = tokio::task::spawn_blocking(move || EventLog::open(&dir, settings, &site, clock, runtime))
        .await
        .context("opening the event log was interrupted")?
        .context("the event log cannot be opened")?;
    let mut log = EventLog { readiness: context.readiness.clone(), retention, compaction, ..log };
    log.archive.limit_memory(memory);
    let log = Arc::new(log);
    let tasks = Tasks::new("events");
    let mut end = log.journal.end();
    tasks.spawn("journal", |cancel| async move {
        tokio::select! {
            () = cancel.cancelled() => Ok(()),
            // It ends with the journal's writer, and never else.
            _ = end.wait_for(|_| false) => Err(anyhow::anyhow!("the journal's writer has stopped")),
        }
    });
    tasks.spawn("upkeep", |cancel| Arc::clone(&log).keep_up(cancel));
    tasks.spawn("flush", |cancel| Arc::clone(&log).keep_flushing(flush, cancel));
    let grpc = Grpc { log, draining: context.draining.clone() };
    let service = EventsServiceServer::new(grpc)
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE_OUT);
    let routes = Ring::new("events", context).around(Routes::new(service));
    Ok(Service { name: "events", routes, http: None, tasks })
}

/// Gives the archive in the data directory to the journal there, which must be empty. Then the old journal is drained; if
/// it `is_lost`, the service opens without. The service must not run. Blocks, on a runtime of several threads.
pub fn adopt(config: &Config, data_dir: &Path, is_lost: bool) -> anyhow::Result<Adopted> {
    let (dir, site) = (data_dir.join("events"), config.site()?);
    Ok(adopt::adopt(&dir, &site, is_lost, &Clock::system(), &Handle::current())?)
}

/// Appends what only the old journal in `from` has to the one in the data directory that took over from it; tells
/// `progress` after each append. The service must not run. Blocks, on a runtime of several threads.
pub fn drain(config: &Config, data_dir: &Path, from: &Path, progress: impl FnMut(&Drained)) -> anyhow::Result<Drained> {
    let (dir, site) = (data_dir.join("events"), config.site()?);
    let (clock, runtime) = (Clock::system(), Handle::current());
    Ok(drain::drain((&dir, &site), from, config.journal(), &clock, &runtime, progress)?)
}
