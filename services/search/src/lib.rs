//! The search service: finds things by their words.
//!
//! Owns an index of each tenant's things, which it keeps by following events. Never decides what a thing is or who sees
//! it: what it finds is read from things, in the caller's name, before it is answered.

mod config;
mod document;
mod find;
mod follow;
mod grpc;
mod index;
mod query;
mod snippet;
mod wait_for;

use std::sync::Arc;

use anyhow::Context as _;
use proto::{
    events::v1::events_service_client::EventsServiceClient, search::v1::search_service_server::SearchServiceServer,
};
use serve::{Context, Peer, Routes, Service, Tasks, auth::Credentials, layers::Ring};
use tokio::sync::watch;

pub use config::Peers;
use follow::Follower;
use index::Index;

/// The largest message taken: a query is short.
const MAX_MESSAGE_IN: usize = 64 << 10;
/// The largest answer of another service, and of this one.
const MAX_MESSAGE: usize = 16 << 20;

/// Opens the service on its index, and follows `events`. Neither peer may be [signed](Peer::signed): what is found is
/// read in the caller's name.
pub async fn open(context: &Context, events: Peer, things: Peer) -> anyhow::Result<Service> {
    let tasks = Tasks::new("search");
    let dir = context.data_dir.join("search");
    let index = tokio::task::spawn_blocking(move || Index::open(&dir)).await?.context("the index cannot be opened")?;
    let index = Arc::new(index);
    let (position, arrived) = watch::channel(index.position().map_or(0, |cursor| cursor.offset));
    let follower = Follower {
        events: EventsServiceClient::new(events.clone().signed(context.credentials()))
            .max_decoding_message_size(MAX_MESSAGE),
        index: Arc::clone(&index),
        position,
        clock: context.clock.clone(),
        readiness: context.readiness.clone(),
    };
    tasks.spawn("follow", |cancel| follower.run(cancel));
    let search = Search { index, arrived, things, events, credentials: context.credentials() };
    let service = SearchServiceServer::new(search)
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE);
    let routes = Ring::new("search", context).around(Routes::new(service));
    Ok(Service { name: "search", routes, http: None, tasks })
}

/// The verbs, each in its file.
struct Search {
    index: Arc<Index>,
    /// Up to where events are in the index.
    arrived: watch::Receiver<u64>,
    things: Peer,
    events: Peer,
    /// For what is asked in this service's own name.
    credentials: Credentials,
}
