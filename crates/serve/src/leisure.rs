//! Owns running a service's own long work on a thread of its own, behind what callers wait for. Never decides what is done.

use std::{io, thread};

use rustix::process::setpriority_process;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How far callers' work goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// It does not: too much is left to do, or somebody waits for it.
    Urgent,
    /// The thread gets a third of the processor that one of a caller's threads gets.
    Leisurely,
    /// A tenth.
    Idle,
}

impl Pace {
    /// Urgent where it `is_behind`, else leisurely.
    pub fn of(is_behind: bool) -> Self {
        if is_behind { Self::Urgent } else { Self::Leisurely }
    }

    /// What the thread is niced by.
    fn nice(self) -> i32 {
        match self {
            Self::Urgent => 0,
            Self::Leisurely => 5,
            Self::Idle => 10,
        }
    }
}

/// Runs `work` at its pace and waits for it, also once it is cancelled; then `stop` makes it end soon. An error if there is
/// no thread for it, or it panics. A thread of its own, because a niced one stays that way.
pub async fn run<T: Send + 'static>(
    name: &str,
    pace: Pace,
    work: impl FnOnce() -> T + Send + 'static,
    cancel: &CancellationToken,
    stop: impl FnOnce(),
) -> io::Result<T> {
    let (done, mut answer) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if pace != Pace::Urgent
            // Of the calling thread on Linux alone; elsewhere of the whole process.
            && cfg!(target_os = "linux")
            && let Err(error) = setpriority_process(None, pace.nice())
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "long work does not wait for callers");
        }
        drop(done.send(work()));
    })?;
    let answer = tokio::select! {
        answer = &mut answer => answer,
        () = cancel.cancelled() => {
            stop();
            answer.await
        }
    };
    answer.map_err(|_| io::Error::other("it panicked"))
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn work_is_niced_where_nothing_hurries_and_a_panic_is_told() {
        let (nice, cancel) = (|| getpriority_process(None).unwrap(), CancellationToken::new());
        let before = nice();
        for pace in [Pace::Idle, Pace::Leisurely, Pace::Urgent] {
            assert_eq!(run("test", pace, nice, &cancel, || {}).await.unwrap(), before + pace.nice());
        }
        assert_eq!(nice(), before);
        assert!(run("test", Pace::of(true), || panic!("told"), &cancel, || {}).await.is_err());
    }

    #[tokio::test]
    async fn work_that_is_cancelled_is_stopped_and_waited_for() {
        let (cancel, (stop, stopped)) = (CancellationToken::new(), std::sync::mpsc::sync_channel(1));
        cancel.cancel();
        let work = move || stopped.recv().unwrap();
        assert_eq!(run("test", Pace::Urgent, work, &cancel, || stop.send(7).unwrap()).await.unwrap(), 7);
    }
}
