//! The ends of background tasks.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_drain_waits_until_a_task_has_tidied_up() {
    let (tasks, tidy) = (Tasks::new("things"), Arc::new(AtomicBool::new(false)));
    let done = Arc::clone(&tidy);
    tasks.spawn("relay", |cancel| async move {
        cancel.cancelled().await;
        tokio::task::yield_now().await;
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(tasks.drain(LIMIT).await, Ok(()));
    assert!(tidy.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_is_aborted_and_named() {
    let tasks = Tasks::new("things");
    tasks.spawn("good", |cancel| async move { cancel.cancelled().await });
    tasks.spawn("stuck", |_| std::future::pending::<()>());
    let overdue = tasks.drain(LIMIT).await.expect_err("one is stuck");
    assert_eq!(overdue.to_string(), "tasks of things did not end in time: stuck");
}

#[tokio::test]
async fn a_task_that_panics_is_a_failure() {
    let tasks = Tasks::new("events");
    tasks.spawn("flush", |_| async { assert!(std::hint::black_box(false), "the disk is gone") });
    assert_eq!(tasks.failed().await.to_string(), "task events/flush panicked: the disk is gone");
}

#[tokio::test]
async fn a_task_that_ends_with_an_error_is_a_failure_and_the_first_one_stays() {
    let tasks = Tasks::new("events");
    tasks.spawn("first", |_| async { Err::<(), _>("no space") });
    assert_eq!(tasks.failed().await.to_string(), "task events/first failed: no space");
    tasks.spawn("second", |_| async { Err::<(), _>("no luck") });
    assert_eq!(tasks.drain(LIMIT).await, Ok(()));
    assert_eq!(tasks.failed().await.to_string(), "task events/first failed: no space");
}

#[tokio::test]
async fn a_task_that_ends_well_is_no_failure() {
    let tasks = Tasks::new("events");
    tasks.spawn("once", |_| async {});
    assert_eq!(tasks.drain(LIMIT).await, Ok(()));
    assert!(tasks.failed().now_or_never().is_none());
}
