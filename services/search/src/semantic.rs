//! Owns which vectors answer: those of the embedder that is chosen, or those of the one before it until these are whole.
//! Never mixes two: a query looks at one from its beginning to its end.

use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::Context as _;
use domain::Cursor;
use proto::events::v1::SubscribeRequest;
use serve::{Context, Tasks};
use tokio_util::sync::CancellationToken;

use crate::{
    Followed, Sources,
    config::Chosen,
    follow::{Follower, Given},
    follower,
    index::{Embedder, Model, Vectors},
};

/// Beside the vectors of an embedder, what it is: so that it can be opened when another one is chosen.
const CHOSEN: &str = "embedder.json";
/// The pause before it is looked again.
const PAUSE: Duration = Duration::from_millis(200);

/// The vectors of one embedder.
pub(crate) struct Semantic {
    pub(crate) model: Arc<Model>,
    pub(crate) vectors: Followed<Vectors>,
    dir: PathBuf,
}

/// Those that answer now.
#[derive(Clone)]
pub(crate) struct Answering(Arc<RwLock<Arc<Semantic>>>);

impl Answering {
    /// A query keeps what it was given until it is answered.
    pub(crate) fn now(&self) -> Arc<Semantic> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, semantic: Arc<Semantic>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = semantic;
    }
}

/// Opens the vectors of the chosen embedder in `dir`, and those of one before it that have come as far, and follows events into
/// both. What is of no use any more is removed.
pub(crate) async fn open(
    chosen: Chosen,
    dir: PathBuf,
    context: &Context,
    tasks: &Tasks,
    sources: &Sources,
) -> anyhow::Result<Answering> {
    let (next, following) = open_one(chosen.clone(), &dir, context, sources, "search-vectors").await?;
    let (name, dimension) = (next.model.embedder.name(), next.model.embedder.dimension());
    tracing::info!(embedder = name, dimension, "vectors are made");
    tasks.spawn("search-vectors", |cancel| following.run(cancel));
    let Some((last, following)) = last(&chosen, &next, &dir, context, sources).await? else {
        return Ok(Answering(Arc::new(RwLock::new(next))));
    };
    tracing::info!(embedder = last.model.embedder.name(), "vectors of this one answer until the others are whole");
    let answering = Answering(Arc::new(RwLock::new(last)));
    let (present, sources) = (answering.clone(), sources.clone());
    tasks.spawn("search-vectors-before", |cancel| replace(present, next, following, sources, cancel));
    Ok(answering)
}

/// Lets `last` follow until `next` is whole, which answers from then on; then `last` is removed.
async fn replace(
    answering: Answering,
    next: Arc<Semantic>,
    following: Follower<Vectors>,
    sources: Sources,
    cancel: CancellationToken,
) {
    let (stop, last) = (CancellationToken::new(), answering.now());
    let mut following = pin!(following.run(stop.clone()));
    let is_whole = tokio::select! {
        () = &mut following => return,
        () = cancel.cancelled() => false,
        () = whole(&next, &last, &sources) => true,
    };
    if is_whole {
        // Also after a kill: what the others were is not known from then on.
        let of_last = last.dir.join(CHOSEN);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || fs::remove_file(of_last)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "after a kill the embedder before answers again for a while"
            );
        }
        answering.set(Arc::clone(&next));
        tracing::info!(embedder = next.model.embedder.name(), "vectors of this one answer now");
        // Queries that have it may wait for what is still to come.
        tokio::select! {
            () = &mut following => return,
            () = cancel.cancelled() => {}
            () = unused(&last) => {}
        }
    }
    stop.cancel();
    following.await;
    if is_whole {
        let dir = last.dir.clone();
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(dir)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "vectors of another embedder are removed at the next start"
            );
        }
    }
}

/// Returns once `next` has everything that there was when this began, and everything that `last` has.
async fn whole(next: &Semantic, last: &Semantic, sources: &Sources) {
    let end = loop {
        match end(sources).await {
            Some(end) => break end.offset,
            None => tokio::time::sleep(PAUSE).await,
        }
    };
    // Not as queries wait: this is work that callers go before.
    while *next.vectors.arrived.borrow() < end.max(*last.vectors.arrived.borrow()) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns once no query has it any more.
async fn unused(last: &Arc<Semantic>) {
    while Arc::strong_count(last) > 1 {
        tokio::time::sleep(PAUSE).await;
    }
}

/// The end of the events, if they say it.
async fn end(sources: &Sources) -> Option<Cursor> {
    let mut stream = sources.subscriber().subscribe(SubscribeRequest::default()).await.ok()?.into_inner();
    stream.message().await.ok()??.cursor.parse().ok()
}

/// The vectors of another embedder than `next`'s that can be opened and have come the furthest, at least as far. Others are
/// removed.
async fn last(
    chosen: &Chosen,
    next: &Semantic,
    dir: &Path,
    context: &Context,
    sources: &Sources,
) -> anyhow::Result<Option<(Arc<Semantic>, Follower<Vectors>)>> {
    let mut last: Option<(Arc<Semantic>, Follower<Vectors>)> = None;
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for path in entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()? {
        if path == next.dir {
            continue;
        }
        let other = match Chosen::read(&path.join(CHOSEN)) {
            // An endpoint's token is not kept: it may be the same.
            Some(other) => {
                open_one(Chosen { key: chosen.key.clone(), ..other }, dir, context, sources, "search-vectors-before")
                    .await
            }
            None => Err(anyhow::anyhow!("it is not known which it was")),
        };
        let position = |semantic: &Semantic| semantic.vectors.index.position().map_or(0, |cursor| cursor.offset);
        let has_come_further = |other: &Semantic| {
            position(other) >= position(next) && last.as_ref().is_none_or(|(last, _)| position(other) > position(last))
        };
        let useless = match other {
            // A directory of another name is the same model at another place.
            Ok((other, following)) if other.dir == path && has_come_further(&other) => {
                last.replace((other, following)).map(|(less, _)| less.dir.clone())
            }
            Ok(_) => Some(path),
            Err(error) => {
                tracing::info!(error = %error, path = %path.display(), "vectors of another embedder are of no use");
                Some(path)
            }
        };
        if let Some(useless) = useless {
            fs::remove_dir_all(&useless).with_context(|| format!("cannot remove {}", useless.display()))?;
        }
    }
    Ok(last)
}

async fn open_one(
    chosen: Chosen,
    dir: &Path,
    context: &Context,
    sources: &Sources,
    name: &'static str,
) -> anyhow::Result<(Arc<Semantic>, Follower<Vectors>)> {
    let to_open = chosen.clone();
    let embedder = tokio::task::spawn_blocking(move || Embedder::open(&to_open)).await?;
    let model = Arc::new(Model::new(embedder.context("the embedder cannot be opened")?));
    let dir = dir.join(model.embedder.name());
    let things = || Given { things: sources.things.clone(), credentials: context.credentials() };
    let given = model.embedder.is_given().then(things);
    let (vectors, following) = follower(context, sources, given, name, dir.clone(), Arc::clone(&model)).await?;
    chosen.write(&dir.join(CHOSEN))?;
    Ok((Arc::new(Semantic { model, vectors, dir }), following))
}
