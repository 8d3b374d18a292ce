//! Owns how an import shows that it goes on: a bar on a terminal, a line now and then elsewhere, on standard error.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::render::grouped;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one file.
pub(crate) struct Progress {
    place: Place,
    rows: u64,
    started: Instant,
    length: Option<u64>,
    position: Arc<AtomicU64>,
}

enum Place {
    Terminal(ProgressBar),
    Lines {
        last: Instant,
    },
    /// Nobody wants to see it.
    Nowhere,
}

impl Progress {
    /// Of the file `name`, of which `position` bytes were read.
    pub(crate) fn new(name: &str, length: Option<u64>, position: Arc<AtomicU64>, is_quiet: bool) -> Self {
        let started = Instant::now();
        let place = if is_quiet {
            Place::Nowhere
        } else if std::io::stderr().is_terminal() {
            Place::Terminal(bar(name, length))
        } else {
            Place::Lines { last: started }
        };
        Self { place, rows: 0, started, length, position }
    }

    /// How long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// `rows` more were handed to the server.
    pub(crate) fn advance(&mut self, rows: usize) {
        self.rows += rows as u64;
        let position = self.position.load(Ordering::Relaxed);
        let rate = grouped((self.rows as f64 / self.elapsed().as_secs_f64().max(0.001)) as u64);
        let message = format!("{} rows, {rate} rows/s", grouped(self.rows));
        match &mut self.place {
            Place::Terminal(bar) => {
                bar.set_position(position);
                bar.set_message(message);
            }
            Place::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let share = self.length.map(|length| format!(", {} %", position * 100 / length.max(1)));
                eprintln!("{message}{}", share.unwrap_or_default());
            }
            Place::Lines { .. } | Place::Nowhere => {}
        }
    }

    /// Writes a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.place {
            Place::Terminal(bar) => bar.suspend(|| eprintln!("{line}")),
            Place::Lines { .. } | Place::Nowhere => eprintln!("{line}"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Place::Terminal(bar) = &self.place {
            bar.finish_and_clear();
        }
    }
}

fn bar(name: &str, length: Option<u64>) -> ProgressBar {
    let template = match length {
        Some(_) => "{prefix} [{bar:30}] {percent:>3} %  {msg}  {eta} left",
        None => "{prefix} {spinner} {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is one of these two");
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr())
        .with_style(style.progress_chars("=> "))
        .with_prefix(name.to_owned())
}
