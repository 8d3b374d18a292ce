//! Another engine in a Python process of its own, which reads the same Parquet files as we do and is asked by name of a query
//! (`engine.py`). Owns that process; never measures.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::{report::Row, server::python};

const MIB: f64 = (1 << 20) as f64;

/// Such a process; ended when dropped.
pub(crate) struct Engine {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Engine {
    /// `duckdb` or `clickhouse`, which knows the files of the events table in the directory `dir` of the events service.
    pub(crate) fn start(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine.py");
        let mut child = Command::new(python()?)
            .args([script.as_ref(), dir.as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Python does not start")?;
        let asks = child.stdin.take().context("it has an input")?;
        let answers = BufReader::new(child.stdout.take().context("it has an output")?);
        let mut engine = Self { child, asks, answers };
        println!("{name}: {}", engine.line()?.trim());
        Ok(engine)
    }

    /// Two figures: of most queries the seconds that it took and a figure to compare.
    pub(crate) fn ask(&mut self, query: &str) -> anyhow::Result<(f64, f64)> {
        writeln!(self.asks, "{query}")?;
        let line = self.line()?;
        let (first, second) = line.trim().split_once(' ').context("an engine answers two numbers")?;
        Ok((first.parse()?, second.parse()?))
    }

    /// What the files take against the same rows in a `MergeTree` with its default codec; only of `clickhouse`.
    pub(crate) fn size(&mut self, what: &str) -> anyhow::Result<Row> {
        let (ours, theirs) = self.ask("size")?;
        Ok(Row {
            what: format!("size of the archive, {what}"),
            ours: format!("{:.0} MiB", ours / MIB),
            baseline: format!("{:.0} MiB, MergeTree", theirs / MIB),
            ratio: theirs / ours,
            bounds: Some((0.67, 1.0)),
        })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "an engine has ended");
        Ok(line)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
