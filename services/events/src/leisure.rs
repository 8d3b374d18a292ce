//! Owns running the archive's own long work on a thread of its own, behind what callers wait for. Never decides what is done.

use std::{io, thread};

use rustix::process::setpriority_process;
use tokio::sync::oneshot;

/// What the thread is niced by where nothing hurries: a third of the processor that one of a caller's threads gets.
const NICE: i32 = 5;

/// Whether callers' work goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// It does.
    Leisurely,
    /// It does not: too much is left to do.
    Urgent,
}

impl Pace {
    /// Urgent where it `is_behind`.
    pub(crate) fn of(is_behind: bool) -> Self {
        if is_behind { Self::Urgent } else { Self::Leisurely }
    }
}

/// Runs `work` at its pace; the answer fails if it panics. A thread of its own, because a niced one stays that way.
pub(crate) fn run<T: Send + 'static>(
    name: &str,
    pace: Pace,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, answer) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if pace == Pace::Leisurely
            // Of the calling thread on Linux alone; elsewhere of the whole process.
            && cfg!(target_os = "linux")
            && let Err(error) = setpriority_process(None, NICE)
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "the archive's work does not wait for callers");
        }
        drop(done.send(work()));
    })?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn work_is_niced_where_nothing_hurries_and_a_panic_is_told() {
        let nice = || getpriority_process(None).unwrap();
        let before = nice();
        for (pace, nicer) in [(Pace::Leisurely, NICE), (Pace::Urgent, 0)] {
            assert_eq!(run("test", pace, nice).unwrap().await.unwrap(), before + nicer);
        }
        assert_eq!(nice(), before);
        assert!(run("test", Pace::of(true), || panic!("told")).unwrap().await.is_err());
    }
}
