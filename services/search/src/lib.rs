//! The search service: finds things by their words and by their vectors.
//!
//! Owns two indexes of each tenant's things, which it keeps by following events. Never decides what a thing is or who sees
//! it: what it finds is read from things, in the caller's name, before it is answered.

mod combine;
mod config;
mod document;
pub mod engine;
mod facts;
mod find;
mod follow;
mod grpc;
mod index;
mod look;
mod query;
mod ranking;
mod semantic;
mod similar;
mod snippet;
mod wait_for;

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use proto::{
    events::v1::events_service_client::EventsServiceClient, search::v1::search_service_server::SearchServiceServer,
};
use serve::{Context, Peer, Routes, Service, Tasks, auth::Credentials, layers::Ring};
use tokio::sync::{Semaphore, watch};

pub use config::{Chosen, Config, Dimension, EmbedderAt, Peers};
use follow::{Follower, Given};
pub use index::{Checked, check, vectors_of};
use index::{Index, OfTenant, Texts};
use moka::sync::Cache;
use ranking::Rankings;
use semantic::Answering;

/// The largest message taken: a query is short.
const MAX_MESSAGE_IN: usize = 64 << 10;
/// Queries that are embedded at a time; by a model one after the other, so that none waits on a thread for long.
const EMBEDDINGS_AT_A_TIME: usize = 2;
/// So many vectors of queries are kept: 16 MiB of the largest.
const QUERY_VECTORS: u64 = 1_000;
/// The largest answer of another service, and of this one.
const MAX_MESSAGE: usize = 16 << 20;

/// Opens the service on its index, and follows `events`. Neither peer may be [signed](Peer::signed): what is found is
/// read in the caller's name.
pub async fn open(config: Config, context: &Context, events: Peer, things: Peer) -> anyhow::Result<Service> {
    let tasks = Tasks::new("search");
    let dir = context.data_dir.join("search");
    let lock = serve::lock(&dir)?;
    let sources = Sources { events, things, credentials: context.credentials() };
    let (texts, following) = follower(context, &sources, None, "search-texts", dir.join("texts"), ()).await?;
    tasks.spawn("search-texts", |cancel| following.run(cancel));
    let semantic = semantic::open(config.embedder(), dir.join("vectors"), context, &tasks, &sources).await?;
    let embeddings = Arc::new(Semaphore::new(EMBEDDINGS_AT_A_TIME));
    let (rankings, query_vectors) = (Rankings::new(context.clock.clone()), Cache::new(QUERY_VECTORS));
    let search = Search { texts, semantic, embeddings, query_vectors, rankings, sources, _lock: lock };
    let service = SearchServiceServer::new(search)
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE);
    let routes = Ring::new("search", context).around(Routes::new(service));
    Ok(Service { name: "search", routes, http: None, tasks })
}

/// Opens the index in `dir`, and what follows events into it once it is run.
async fn follower<T: OfTenant>(
    context: &Context,
    sources: &Sources,
    given: Option<Given>,
    name: &'static str,
    dir: PathBuf,
    settings: T::Settings,
) -> anyhow::Result<(Followed<T>, Follower<T>)> {
    let index = tokio::task::spawn_blocking(move || Index::open(&dir, settings)).await?;
    let index = Arc::new(index.with_context(|| format!("the index {name} cannot be opened"))?);
    let (position, arrived) = watch::channel(index.position().map_or(0, |cursor| cursor.offset));
    let follower = Follower {
        name,
        events: sources.subscriber(),
        index: Arc::clone(&index),
        given,
        position,
        clock: context.clock.clone(),
        readiness: context.readiness.clone(),
        lag: Duration::ZERO,
    };
    Ok((Followed { index, arrived }, follower))
}

/// The verbs, each in its file.
struct Search {
    texts: Followed<Texts>,
    semantic: Answering,
    /// Turns to make the vector of a query.
    embeddings: Arc<Semaphore>,
    /// Of queries that were asked lately, by the embedder's name and their text.
    query_vectors: Cache<(String, String), Arc<[f32]>>,
    rankings: Rankings,
    sources: Sources,
    /// One process at a time has the directory.
    _lock: File,
}

/// Where what is found comes from. Neither peer is signed.
#[derive(Clone)]
struct Sources {
    things: Peer,
    events: Peer,
    /// For what is asked in this service's own name.
    credentials: Credentials,
}

impl Sources {
    /// Events, in this service's own name.
    fn subscriber(&self) -> EventsServiceClient<Peer> {
        EventsServiceClient::new(self.events.clone().signed(self.credentials.clone()))
            .max_decoding_message_size(MAX_MESSAGE)
    }
}

/// An index that follows events.
struct Followed<T: OfTenant> {
    index: Arc<Index<T>>,
    /// Up to where events are in it.
    arrived: watch::Receiver<u64>,
}
