//! Owns how reads of one tenant become one transaction: those of one name that come while others are under way are read
//! together. Decides nothing: `sight` says who sees what.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Key, Name, TenantId};
use serve::{Caller, Refusal, Tasks};
use tokio::sync::oneshot;

use super::failure::Failure;
use super::picture::Picture;
use super::tenant::{Pool, Purpose};
use crate::naming;
use crate::refuse::store_unavailable;
use crate::store::facts::Facts as _;
use crate::store::{Read, Wanted};

/// Groups of one tenant that are under way at a time: what comes meanwhile makes the next one.
const AT_ONCE: usize = 2;
/// Reads of a group, each of a thing that may be some MiB.
const GROUP: usize = 16;
/// Things that are read whole at once: what more of them may take is asked first.
const READ_WHOLE: usize = 4;

/// Those of this process.
pub(super) struct Reads {
    pool: Pool,
    tasks: Tasks,
    /// Where something waits or is under way; with and without embeddings apart.
    lines: Mutex<HashMap<(TenantId, bool), Line>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<One>,
    under_way: usize,
}

/// A read of one name.
struct One {
    caller: Caller,
    wanted: Wanted,
    answer: oneshot::Sender<Result<Vec<Read>, Refusal>>,
}

impl Reads {
    pub(super) fn new(pool: Pool, tasks: &Tasks) -> Arc<Self> {
        Arc::new(Self { pool, tasks: tasks.clone(), lines: Mutex::default() })
    }

    /// At a moment after this call.
    pub(super) async fn read(self: &Arc<Self>, caller: &Caller, wanted: &Wanted) -> Result<Vec<Read>, Refusal> {
        if wanted.names.len() > 1 {
            return Ok(many(&self.pool, caller, wanted).await?);
        }
        let (answer, answered) = oneshot::channel();
        let line = (caller.tenant.clone(), wanted.with_embedding);
        let one = One { caller: caller.clone(), wanted: wanted.clone(), answer };
        let is_next = {
            let mut lines = self.lines();
            let line = lines.entry(line.clone()).or_default();
            line.waiting.push_back(one);
            let is_next = line.under_way < AT_ONCE;
            line.under_way += usize::from(is_next);
            is_next
        };
        if is_next {
            // For whoever is in a group with it, also where this call ends before.
            let reads = Arc::clone(self);
            self.tasks.spawn("reader", |_| reads.work(line));
        }
        answered.await.map_err(|_| store_unavailable())?
    }

    /// Reads until nothing waits.
    async fn work(self: Arc<Self>, line: (TenantId, bool)) {
        while let Some(group) = self.next(&line) {
            let outcome = together(&self.pool, &line, &group).await.map_err(Refusal::from);
            match outcome {
                Ok(answers) => {
                    for (One { answer, .. }, read) in group.into_iter().zip(answers) {
                        // Nobody listens if the caller's deadline came first.
                        let _ = answer.send(read);
                    }
                }
                Err(refusal) => {
                    for One { answer, .. } in group {
                        let _ = answer.send(Err(refusal.clone()));
                    }
                }
            }
        }
    }

    /// What is read next; none where a worker of a line has nothing to do, which then has one less.
    fn next(&self, of: &(TenantId, bool)) -> Option<Vec<One>> {
        let mut lines = self.lines();
        let line = lines.get_mut(of).expect("a line that is worked on is there");
        line.waiting.retain(|one| !one.answer.is_closed());
        if line.waiting.is_empty() {
            line.under_way -= 1;
            if line.under_way == 0 {
                lines.remove(of);
            }
            return None;
        }
        let count = line.waiting.len().min(GROUP);
        Some(line.waiting.drain(..count).collect())
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<(TenantId, bool), Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of one name each, at one moment.
async fn together(
    pool: &Pool,
    (tenant, with_embedding): &(TenantId, bool),
    group: &[One],
) -> Result<Vec<Result<Vec<Read>, Refusal>>, Failure> {
    let mut tx = pool.tenant(tenant, Purpose::Look).await?;
    let mut picture = Picture::default();
    let names = || group.iter().flat_map(|one| &one.wanted.names);
    picture.load_namespaces(&mut tx, names().flat_map(|(reference, _)| naming::candidates(reference))).await?;
    // One that breaks a rule is refused below.
    let placed = names().filter_map(|(reference, field)| picture.place(reference, field).ok()?.for_read());
    let keys: BTreeSet<Key> = placed.map(|target| target.key).collect();
    picture.load_canonical(&mut tx, canonical_of(&keys)).await?;
    picture.load_things(&mut tx, keys, *with_embedding).await?;
    drop(tx);
    Ok(group.iter().map(|One { caller, wanted, .. }| Ok(picture.read(caller, wanted)?)).collect())
}

/// A read of many names, at one moment.
async fn many(pool: &Pool, caller: &Caller, wanted: &Wanted) -> Result<Vec<Read>, Failure> {
    let mut tx = pool.tenant(&caller.tenant, Purpose::Read).await?;
    let mut picture = Picture::default();
    let references = wanted.names.iter().map(|(reference, _)| reference);
    picture.load_namespaces(&mut tx, references.flat_map(naming::candidates)).await?;
    let mut keys = Vec::with_capacity(wanted.names.len());
    for (reference, field) in &wanted.names {
        keys.extend(picture.place(reference, field)?.for_read().map(|target| target.key));
    }
    picture.load_canonical(&mut tx, canonical_of(&keys)).await?;
    if keys.len() > READ_WHOLE {
        keys = picture.load_sizes(&mut tx, keys, caller, wanted).await?;
    }
    picture.load_things(&mut tx, keys, wanted.with_embedding).await?;
    picture.read(caller, wanted)
}

/// The canonical things without which nobody sees a variant.
fn canonical_of<'a>(keys: impl IntoIterator<Item = &'a Key>) -> BTreeSet<Name> {
    keys.into_iter().filter(|key| !key.variant.is_canonical()).map(Key::name).collect()
}
