//! The events service: the immutable history of everything that happened.
//!
//! Owns the event log (a durable journal and an index over it in memory) and what a caller may see of the past.
//! Never changes an event, and never holds the present: that is things.

mod append;
mod config;
mod derive;
mod filter;
mod grpc;
mod history;
mod index;
mod journal;
mod log;
mod query;
mod relay_batch;
mod state_at;
mod subscribe;
mod visibility;
mod wait_for;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod model_test;

use std::sync::Arc;

use anyhow::Context as _;
use proto::events::v1::events_service_server::EventsServiceServer;
use serve::Routes;
use serve::{Context, Service, Tasks, layers::Ring};

pub use self::{
    config::{Bytes, Config},
    journal::OpenError,
};
use self::{grpc::Grpc, log::EventLog};

/// The largest message taken: a peer's append, because one mutation carries a state before and after.
const MAX_MESSAGE_IN: usize = 32 << 20;
/// The largest message sent: a page ends at 8 MiB or one item.
const MAX_MESSAGE_OUT: usize = 16 << 20;

/// Opens the service on its directory, `events` in the data directory: reads the journal into the index.
pub async fn open(config: Config, context: &Context) -> anyhow::Result<Service> {
    let settings = config.journal();
    let (dir, clock) = (context.data_dir.join("events/journal"), context.clock.clone());
    let log = tokio::task::spawn_blocking(move || EventLog::open(&dir, settings, clock))
        .await
        .context("opening the journal was interrupted")?
        .context("the journal cannot be opened")?;
    let log = EventLog { readiness: context.readiness.clone(), ..log };
    let tasks = Tasks::new("events");
    let mut end = log.journal.end();
    tasks.spawn("journal", |cancel| async move {
        tokio::select! {
            () = cancel.cancelled() => Ok(()),
            // It ends with the journal's writer, and never else.
            _ = end.wait_for(|_| false) => Err(anyhow::anyhow!("the journal's writer has stopped")),
        }
    });
    let grpc = Grpc { log: Arc::new(log), draining: context.draining.clone() };
    let service = EventsServiceServer::new(grpc)
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE_OUT);
    let routes = Ring::new("events", context).around(Routes::new(service));
    Ok(Service { name: "events", routes, http: None, tasks })
}
