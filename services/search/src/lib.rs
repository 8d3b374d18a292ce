//! The search service: finds things by their words and by their vectors.
//!
//! Owns two indexes of each tenant's things, which it keeps by following events. Never decides what a thing is or who sees
//! it: what it finds is read from things, in the caller's name, before it is answered.

mod combine;
mod config;
mod document;
mod find;
mod follow;
mod grpc;
mod index;
mod query;
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
pub use index::{Checked, check};
use index::{Embedder, Index, Model, OfTenant, Texts, Vectors};

/// The largest message taken: a query is short.
const MAX_MESSAGE_IN: usize = 64 << 10;
/// Queries that are embedded at a time; by a model one after the other, so that none waits on a thread for long.
const EMBEDDINGS_AT_A_TIME: usize = 2;
/// The largest answer of another service, and of this one.
const MAX_MESSAGE: usize = 16 << 20;

/// Opens the service on its index, and follows `events`. Neither peer may be [signed](Peer::signed): what is found is
/// read in the caller's name.
pub async fn open(config: Config, context: &Context, events: Peer, things: Peer) -> anyhow::Result<Service> {
    let tasks = Tasks::new("search");
    let dir = context.data_dir.join("search");
    let lock = serve::lock(&dir)?;
    let texts = follow(context, &tasks, &events, None, "search-texts", dir.join("texts"), ()).await?;
    let embedder = tokio::task::spawn_blocking(move || Embedder::open(&config.embedder())).await?;
    let embedder = embedder.context("the embedder cannot be opened")?;
    tracing::info!(embedder = embedder.name(), dimension = embedder.dimension(), "vectors are made");
    let of_model = dir.join("vectors").join(embedder.name());
    let model = Arc::new(Model::new(embedder));
    let kept = of_model.clone();
    let removed = tokio::task::spawn_blocking(move || index::remove_others(&kept)).await?;
    removed.context("vectors of another model cannot be removed")?;
    let given = model.embedder.is_given().then(|| Given { things: things.clone(), credentials: context.credentials() });
    let vectors = follow(context, &tasks, &events, given, "search-vectors", of_model, Arc::clone(&model)).await?;
    let embeddings = Arc::new(Semaphore::new(EMBEDDINGS_AT_A_TIME));
    let credentials = context.credentials();
    let search = Search { texts, vectors, model, embeddings, things, events, credentials, _lock: lock };
    let service = SearchServiceServer::new(search)
        .max_decoding_message_size(MAX_MESSAGE_IN)
        .max_encoding_message_size(MAX_MESSAGE);
    let routes = Ring::new("search", context).around(Routes::new(service));
    Ok(Service { name: "search", routes, http: None, tasks })
}

/// Opens the index in `dir` and follows events into it.
async fn follow<T: OfTenant>(
    context: &Context,
    tasks: &Tasks,
    events: &Peer,
    given: Option<Given>,
    name: &'static str,
    dir: PathBuf,
    settings: T::Settings,
) -> anyhow::Result<Followed<T>> {
    let index = tokio::task::spawn_blocking(move || Index::open(&dir, settings)).await?;
    let index = Arc::new(index.with_context(|| format!("the index {name} cannot be opened"))?);
    let (position, arrived) = watch::channel(index.position().map_or(0, |cursor| cursor.offset));
    let follower = Follower {
        name,
        events: EventsServiceClient::new(events.clone().signed(context.credentials()))
            .max_decoding_message_size(MAX_MESSAGE),
        index: Arc::clone(&index),
        given,
        position,
        clock: context.clock.clone(),
        readiness: context.readiness.clone(),
        lag: Duration::ZERO,
    };
    tasks.spawn(name, |cancel| follower.run(cancel));
    Ok(Followed { index, arrived })
}

/// The verbs, each in its file.
struct Search {
    texts: Followed<Texts>,
    vectors: Followed<Vectors>,
    /// What the vectors are made with.
    model: Arc<Model>,
    /// Turns to make the vector of a query.
    embeddings: Arc<Semaphore>,
    things: Peer,
    events: Peer,
    /// For what is asked in this service's own name.
    credentials: Credentials,
    /// One process at a time has the directory.
    _lock: File,
}

/// An index that follows events.
struct Followed<T: OfTenant> {
    index: Arc<Index<T>>,
    /// Up to where events are in it.
    arrived: watch::Receiver<u64>,
}
