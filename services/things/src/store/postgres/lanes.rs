//! Owns the order of writes in this process: those of a tenant are carried out one group after the other, each a transaction of
//! all that wait. Different tenants' groups are under way at the same time. Never looks into a write.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Clock, TenantId};
use proto::convert::WriteResult;
use serve::health::Readiness;
use serve::{Refusal, Tasks};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::outbox::{self, Waiting};
use super::save::Added;
use super::tenant::Pool;
use super::write::{self, Answers};
use crate::atomic::Terms;
use crate::change::{Change, Write};
use crate::refuse::store_unavailable;

/// Groups that are under way at a time: half of the connections, so that writes leave the others to reads.
const WORKERS: usize = 8;
/// What waits at a time, of all tenants. More waits in its callers, until their deadline.
const QUEUE: usize = 2_048;
/// Changes of a group, after which no further write joins it.
const GROUP_CHANGES: usize = 1_000;
/// About how many bytes a group's changes have, after which no further write joins it.
const GROUP_BYTES: usize = 16 << 20;
/// How often a group is tried that others are in the way of.
const TRIES: usize = 5;

/// What is done in its turn.
enum Job {
    Write(Write, oneshot::Sender<Answers>),
    /// Alone in its transaction: where one of its changes is refused, all of that is undone.
    Atomic(Write, Terms, oneshot::Sender<Result<Vec<WriteResult>, Refusal>>),
    /// Tells when its turn has come.
    Turn(oneshot::Sender<()>),
    /// After these turns, the number of the last mutation that is in the outbox.
    Settle(Vec<oneshot::Receiver<()>>, oneshot::Sender<Result<i64, Refusal>>),
}

/// Whose turn it is among what; settling has a lane of its own.
type Lane = Option<TenantId>;

/// The lanes of this process.
pub(super) struct Lanes {
    pool: Pool,
    clock: Clock,
    waiting: Arc<Waiting>,
    readiness: Readiness,
    state: Mutex<State>,
    /// As many permits as there are lanes in `State::ready`.
    ready: Semaphore,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    /// Those with something to do or under way.
    lanes: HashMap<Lane, VecDeque<(Job, tokio::sync::OwnedSemaphorePermit)>>,
    /// Those with something to do and nothing under way, the longest first.
    ready: VecDeque<Lane>,
}

impl Lanes {
    /// Its workers end with `tasks`, once nothing waits any more.
    pub(super) fn start(
        pool: Pool,
        clock: Clock,
        waiting: Arc<Waiting>,
        readiness: Readiness,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let (ready, room) = (Semaphore::new(0), Arc::new(Semaphore::new(QUEUE)));
        let lanes = Arc::new(Self { pool, clock, waiting, readiness, state: Mutex::default(), ready, room });
        for _ in 0..WORKERS {
            let lanes = Arc::clone(&lanes);
            tasks.spawn("writer", |cancel| async move {
                lanes.work(cancel).await;
                anyhow::Ok(())
            });
        }
        lanes
    }

    /// Has a write carried out after those before it. One that was taken is carried out even if nobody waits any more.
    pub(super) async fn write(&self, write: Write) -> Answers {
        let (answer, answered) = oneshot::channel();
        let lane = Some(write.caller.tenant.clone());
        self.enqueue(lane, Job::Write(write, answer)).await?;
        answered.await.map_err(|_| store_unavailable())?
    }

    /// As [`write`](Self::write), all changes or none.
    pub(super) async fn write_atomic(&self, write: Write, terms: Terms) -> Result<Vec<WriteResult>, Refusal> {
        let (answer, answered) = oneshot::channel();
        let lane = Some(write.caller.tenant.clone());
        self.enqueue(lane, Job::Atomic(write, terms, answer)).await?;
        answered.await.map_err(|_| store_unavailable())?
    }

    /// Returns once all writes of a tenant that were asked for before have ended.
    pub(super) async fn turn(&self, tenant: &TenantId) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Some(tenant.clone()), Job::Turn(answer)).await?;
        answered.await.map_err(|_| store_unavailable())
    }

    /// The number of the last mutation of all writes that were asked for before, here or anywhere.
    pub(super) async fn settle(&self) -> Result<i64, Refusal> {
        let (answer, answered) = oneshot::channel();
        let busy: Vec<Lane> = self.state().lanes.keys().filter(|lane| lane.is_some()).cloned().collect();
        let mut turns = Vec::with_capacity(busy.len());
        for lane in busy {
            let (turn, come) = oneshot::channel();
            self.enqueue(lane, Job::Turn(turn)).await?;
            turns.push(come);
        }
        self.enqueue(None, Job::Settle(turns, answer)).await?;
        answered.await.map_err(|_| store_unavailable())?
    }

    async fn enqueue(&self, lane: Lane, job: Job) -> Result<(), Refusal> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| store_unavailable())?;
        let mut state = self.state();
        let is_idle = !state.lanes.contains_key(&lane);
        state.lanes.entry(lane.clone()).or_default().push_back((job, room));
        if is_idle {
            state.ready.push_back(lane);
            self.ready.add_permits(1);
        }
        Ok(())
    }

    async fn work(&self, cancel: CancellationToken) {
        loop {
            let permit = tokio::select! {
                biased;
                permit = self.ready.acquire() => permit.ok(),
                () = cancel.cancelled() => self.ready.try_acquire().ok(),
            };
            let Some(permit) = permit else { return };
            permit.forget();
            let lane = self.state().ready.pop_front().expect("there is a lane for each permit");
            self.next_of(&lane).await;
            let mut state = self.state();
            if state.lanes.get(&lane).is_some_and(VecDeque::is_empty) {
                state.lanes.remove(&lane);
            } else {
                state.ready.push_back(lane);
                self.ready.add_permits(1);
            }
        }
    }

    async fn next_of(&self, lane: &Lane) {
        let mut writes = Vec::new();
        let other = self.take(lane, &mut writes);
        if !writes.is_empty() {
            self.group(writes).await;
        }
        match other {
            None | Some(Job::Write(..)) => {}
            Some(Job::Atomic(write, terms, answer)) => {
                let mut tries = 0;
                let done = loop {
                    let outcome = write::atomic(&self.pool, &self.clock, &write, &terms).await;
                    if let Some(done) = self.came(&mut tries, outcome) {
                        break done;
                    }
                };
                // Nobody listens if the caller's deadline came first.
                let _ = answer.send(done.map_err(|failure| self.refusal_of(failure)));
            }
            Some(Job::Turn(come)) => drop(come.send(())),
            Some(Job::Settle(turns, answer)) => {
                for turn in turns {
                    let _ = turn.await;
                }
                let last = outbox::last(&self.pool, &self.clock).await;
                let _ = answer.send(last.map_err(Refusal::from));
            }
        }
    }

    /// The writes that come next, as many as a group has, and what comes after them if that is no write.
    fn take(&self, lane: &Lane, writes: &mut Vec<(Write, oneshot::Sender<Answers>)>) -> Option<Job> {
        let mut state = self.state();
        let jobs = state.lanes.get_mut(lane).expect("a lane with something to do is known");
        let (mut changes, mut bytes) = (0, 0);
        while let Some((job, room)) = jobs.pop_front() {
            let Job::Write(write, answer) = job else { return Some(job) };
            let weight = write.changes.iter().map(weight).sum::<usize>();
            let is_full = changes + write.changes.len() > GROUP_CHANGES || bytes + weight > GROUP_BYTES;
            if is_full && !writes.is_empty() {
                jobs.push_front((Job::Write(write, answer), room));
                return None;
            }
            changes += write.changes.len();
            bytes += weight;
            writes.push((write, answer));
        }
        None
    }

    async fn group(&self, writes: Vec<(Write, oneshot::Sender<Answers>)>) {
        let (ended, going): (Vec<_>, Vec<_>) = writes.into_iter().partition(|(write, _)| write.sequence.has_ended());
        for (_, answer) in ended {
            let _ = answer.send(Err(store_unavailable()));
        }
        if going.is_empty() {
            return;
        }
        metrics::histogram!("annals_things_group_requests").record(going.len() as f64);
        let refs: Vec<&Write> = going.iter().map(|(write, _)| write).collect();
        let mut tries = 0;
        let answers = loop {
            let outcome = write::group(&self.pool, &self.clock, &refs).await;
            if let Some(answers) = self.came(&mut tries, outcome) {
                break answers;
            }
        };
        match answers {
            Ok(answers) => {
                for ((write, answer), of_write) in going.into_iter().zip(answers) {
                    if of_write.is_err() {
                        // Before the next group begins.
                        write.sequence.end();
                    }
                    // Nobody listens if the caller's deadline came first.
                    let _ = answer.send(of_write);
                }
            }
            Err(failure) => {
                let refusal = self.refusal_of(failure);
                for (write, answer) in going {
                    // Before the next group begins.
                    write.sequence.end();
                    let _ = answer.send(Err(refusal.clone()));
                }
            }
        }
    }

    /// What the caller of a transaction is told that failed.
    fn refusal_of(&self, failure: Failure) -> Refusal {
        if let Failure::Refused(refusal) = failure {
            return refusal;
        }
        let refusal = Refusal::from(failure);
        metrics::counter!("annals_things_commit_failures_total").increment(1);
        self.readiness.failed("store", refusal.message.clone());
        refusal
    }

    /// What came of a transaction; none where others were in the way, so that it is made again.
    fn came<T>(&self, tries: &mut usize, outcome: Result<(T, Added), Failure>) -> Option<Result<T, Failure>> {
        *tries += 1;
        match outcome {
            Ok((answers, added)) => {
                if added.rows > 0 {
                    self.readiness.clear("store");
                }
                self.waiting.added(added);
                Some(Ok(answers))
            }
            Err(Failure::Conflict) if *tries < TRIES => None,
            Err(failure) => Some(Err(failure)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About how many bytes a change has.
fn weight(change: &Change) -> usize {
    let body = |content: usize, data: usize, embedding: usize| content + data + 4 * embedding;
    match change {
        Change::PutThing { body: given, .. } => body(
            given.content.as_ref().map_or(0, |content| content.as_str().len()),
            given.data.as_ref().map_or(0, |data| data.as_str().len()),
            given.embedding.as_ref().map_or(0, |embedding| embedding.as_slice().len()),
        ),
        Change::PutRelationship { relationship, .. } => {
            relationship.data.as_ref().map_or(0, |data| data.as_str().len())
        }
        Change::PutSchema { schema, .. } => schema.text().len(),
        // What is patched may be as large as a thing is.
        Change::PatchThing { .. } => 1 << 20,
        Change::DeleteThing { .. }
        | Change::DeleteRelationship { .. }
        | Change::RegisterNamespace { .. }
        | Change::DeleteNamespace { .. }
        | Change::DeleteSchema { .. } => 0,
    }
}
