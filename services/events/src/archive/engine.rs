//! Owns how plans run: on threads of their own, few at a time, in so much memory and no more. Never decides what one reads.

use std::{sync::Arc, thread};

use arrow_array::RecordBatch;
use datafusion::{
    execution::{
        SessionState, SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::GreedyMemoryPool,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::LogicalPlan,
    physical_plan::{ExecutionPlan, execute_stream},
    prelude::SessionConfig,
};
use futures::TryStreamExt as _;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
};

use super::Error;

/// Plans that run at a time; each uses every thread.
const AT_ONCE: usize = 2;
/// Calls that wait for these, each holding what was asked and no more; others are refused.
const WAITING: usize = 256;
/// See [`Engine::memory`], where nothing else is said.
const MEMORY: usize = 128 << 20;
/// Rows that go through a plan together. Figures that are kept for each group on its own take most of the time, and the fewer
/// the more rows come at once.
const BATCH_ROWS: usize = 32_768;

/// Runs plans.
pub(crate) struct Engine {
    /// Not the one that serves: a step of a plan may take milliseconds.
    runtime: Option<Runtime>,
    threads: usize,
    running: Semaphore,
    admitted: Semaphore,
    /// What the groups and the rows in order of one plan may take. Pages that are being decoded come on top: some MiB a thread.
    pub(super) memory: usize,
}

/// That a plan may run; the next one may when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _permits: [SemaphorePermit<'a>; 2],
}

impl Engine {
    /// With its threads, which wait for plans.
    pub(crate) fn new() -> std::io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name("plans").enable_all().build()?;
        Ok(Self {
            runtime: Some(runtime),
            threads,
            running: Semaphore::new(AT_ONCE),
            admitted: Semaphore::new(AT_ONCE + WAITING),
            memory: MEMORY,
        })
    }

    /// Waits until one more plan may run.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let admitted = self.admitted.try_acquire().map_err(|_| Error::Busy)?;
        let running = self.running.acquire().await.map_err(|_| Error::Busy)?;
        Ok(Turn { _permits: [admitted, running] })
    }

    /// The rows of a plan, of which there are few, and how many rows it read from files. Ends with its caller.
    pub(crate) async fn run(&self, _turn: Turn<'_>, plan: LogicalPlan) -> Result<(Vec<RecordBatch>, u64), Error> {
        let runtime = self.runtime.as_ref().expect("it is there until the engine is dropped");
        let state = self.state()?;
        // A set, because that ends what is in it when it is dropped.
        let mut task = JoinSet::new();
        task.spawn_on(run(state, plan), runtime.handle());
        let ran = task.join_next().await.expect("there is one task");
        ran.map_err(|panic| Error::Panicked(panic.to_string()))?
    }

    fn state(&self) -> Result<SessionState, Error> {
        let mut config = SessionConfig::new().with_target_partitions(self.threads).with_batch_size(BATCH_ROWS);
        // Snapshots have as many parts as there are threads already.
        config = config.with_repartition_file_scans(false);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(self.memory)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        Ok(SessionStateBuilder::new().with_config(config).with_runtime_env(environment).build())
    }
}

async fn run(state: SessionState, plan: LogicalPlan) -> Result<(Vec<RecordBatch>, u64), Error> {
    let plan = state.create_physical_plan(&plan).await?;
    let rows = execute_stream(Arc::clone(&plan), state.task_ctx())?.try_collect().await?;
    Ok((rows, rows_read(plan.as_ref())))
}

/// Rows of files that a plan has decoded, of at least one column.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    if plan.name() == "DataSourceExec" {
        let metrics = plan.metrics().unwrap_or_default();
        let left_out = metrics.sum_by_name("pushdown_rows_pruned").map_or(0, |sum| sum.as_usize());
        return (metrics.output_rows().unwrap_or(0) + left_out) as u64;
    }
    plan.children().into_iter().map(|child| rows_read(child.as_ref())).sum()
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Not by dropping it, which waits, and may not where tasks run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::LogicalPlanBuilder;

    use super::*;

    #[tokio::test]
    async fn a_plan_beyond_those_that_may_wait_is_refused() {
        let engine = Engine::new().unwrap();
        let all = engine.admitted.try_acquire_many((AT_ONCE + WAITING) as u32).unwrap();
        assert!(matches!(engine.turn().await, Err(Error::Busy)));
        drop(all);
        let plan = LogicalPlanBuilder::empty(true).build().unwrap();
        let (rows, _) = engine.run(engine.turn().await.unwrap(), plan).await.unwrap();
        assert_eq!(rows[0].num_rows(), 1);
    }
}
