//! Owns one machine: a disk that forgets, and the `annals serve` that runs on it. Never talks to it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use harness::disk::{Disk, Running};
use harness::program::command;
use tempfile::TempDir;

use super::check::PATIENCE;

/// The least, so that every round meets the change to a new one.
const SEGMENT_BYTES: &str = "65536";
/// More than any test writes.
const ALL_BYTES: &str = "67108864";
/// Short, so that every round meets flushes of whatever there is.
const OFTEN: &str = "200ms";
/// Longer than any test.
const NEVER: &str = "10h";

#[derive(Debug)]
pub(crate) struct Machine {
    /// The data directory is in it, so that the name of that is on the disk too.
    pub(crate) disk: Disk,
    around: TempDir,
    /// How long events stay in the journal alone.
    flush_interval: &'static str,
    segment_bytes: &'static str,
}

/// A server that has said that it is ready.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
}

impl Machine {
    /// One whose server keeps events in the journal.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let around = tempfile::Builder::new().prefix("annals-crash").tempdir()?;
        Ok(Self {
            disk: Disk::of(around.path().join("disk"))?,
            around,
            flush_interval: NEVER,
            segment_bytes: SEGMENT_BYTES,
        })
    }

    /// One whose server archives events all the time.
    pub(crate) fn flushing() -> anyhow::Result<Self> {
        Ok(Self { flush_interval: OFTEN, ..Self::new()? })
    }

    /// From its next start on, its journal is one segment.
    pub(crate) fn keep_to_one_segment(&mut self) {
        self.segment_bytes = ALL_BYTES;
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.disk.data_dir().join("data")
    }

    /// The segments of the journal, the oldest first.
    pub(crate) fn segments(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(self.data_dir().join("events/journal"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "segment") {
                segments.push(path);
            }
        }
        segments.sort();
        Ok(segments)
    }

    /// What the last server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_else(|error| error.to_string())
    }

    /// Returns when the server has logged `words`.
    pub(crate) async fn logged(&self, words: &str) {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while !self.log().contains(words) {
            tick.tick().await;
        }
    }

    fn log_file(&self) -> PathBuf {
        self.around.path().join("server.log")
    }

    /// Starts a server, which is not ready yet.
    pub(crate) fn spawn(&self) -> anyhow::Result<Running> {
        let arguments = [
            ["--journal-segment-bytes", self.segment_bytes],
            ["--archive-flush-bytes", SEGMENT_BYTES],
            ["--archive-flush-interval", self.flush_interval],
        ];
        self.spawn_program("annals", &[&["serve"], arguments.as_flattened()].concat())
    }

    /// Starts a command that works on the data directory while no server does.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        self.spawn_program("annals", arguments)
    }

    fn spawn_program(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Running> {
        let mut command = command(name);
        command
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data_dir())
            .current_dir(self.around.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.log_file())?);
        Ok(self.disk.start(&mut command)?)
    }

    /// Starts things on its own and waits until it listens; events is not there.
    pub(crate) async fn start_things(&self) -> anyhow::Result<Server> {
        let peer_key = format!("annals_peer_{}", "5".repeat(64));
        let running = self.spawn_program("things", &["--events", "http://127.0.0.1:9", "--peer-key", &peer_key])?;
        tokio::time::timeout(PATIENCE, self.logged("listening address=")).await?;
        let log = self.log();
        let (_, address) = log.split_once("listening address=").context("it was just there")?;
        let address = address.lines().next().unwrap_or_default().trim();
        Ok(Server { running, address: address.parse().with_context(|| log.clone())? })
    }

    /// Starts a server and waits until it is ready; if it never is, the error is its log.
    pub(crate) async fn start(&self) -> anyhow::Result<Server> {
        let mut running = self.spawn()?;
        let out = running.stdout().context("its output is piped")?;
        let address = tokio::task::spawn_blocking(move || address_of(out)).await?;
        let Some(address) = address? else {
            bail!("it does not start:\n{}", self.log());
        };
        Ok(Server { running, address })
    }
}

/// The address in the first line of the banner; none if the server ends without one.
fn address_of(out: ChildStdout) -> anyhow::Result<Option<SocketAddr>> {
    let mut out = BufReader::new(out);
    let mut line = String::new();
    if out.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let (_, rest) = line.split_once("http://").with_context(|| format!("no address: {line}"))?;
    let (address, _) = rest.split_once(',').with_context(|| format!("no address: {line}"))?;
    let address = address.parse().with_context(|| line.clone())?;
    // The rest of the banner; a closed pipe would end the server.
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    Ok(Some(address))
}
