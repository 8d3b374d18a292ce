//! A disk that forgets: a process runs on a data directory under the sync shim (`tests/faults/shim`), is killed,
//! and the directory is put back to what was synced. Owns the shim's library, its environment, the undo log beside
//! the data directory and the processes started on it; never touches the data itself (`restore` does).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::sync::OnceLock;
use std::{env, fs, io, process};

use anyhow::{Context, ensure};

use crate::restore::{self, Undone};

/// The data directory of one process at a time, on a disk that can lose power, fill up or break.
///
/// Keep it as long as the directory: the undo log beside it goes with it.
#[derive(Debug)]
pub struct Disk {
    data_dir: PathBuf,
    library: PathBuf,
    ignored: Vec<String>,
    faults: Vec<Fault>,
}

/// What fails on a broken disk.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Writing, allocating, growing and creating files.
    Write,
    /// `fsync` and `fdatasync`, of files and directories.
    Sync,
    /// The same, but it fails although it was done: what a sync that failed did to the disk, nobody knows.
    Synced,
}

/// How it fails.
#[derive(Debug, Clone, Copy)]
pub enum Failure {
    /// `ENOSPC`.
    NoSpace,
    /// `EIO`.
    Io,
}

#[derive(Debug)]
struct Fault {
    glob: String,
    operation: Operation,
    failure: Failure,
    switch: Switch,
}

/// Turns a fault on and off while the process runs. Off at first.
#[derive(Debug, Clone)]
pub struct Switch(PathBuf);

/// A process that ends, at the latest, with this value.
#[derive(Debug)]
pub struct Running(Child);

impl Disk {
    /// The disk under `data_dir`, which is created if it is absent; what it holds now counts as synced.
    pub fn of(data_dir: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let data_dir = data_dir.into();
        fs::create_dir_all(&data_dir).with_context(|| format!("create {}", data_dir.display()))?;
        let data_dir = data_dir.canonicalize()?;
        let disk = Self { library: library()?, ignored: Vec::new(), faults: Vec::new(), data_dir };
        restore::forget(&disk.log())?;
        Ok(disk)
    }

    /// Makes every sync that matches do nothing, as if the call was not in the program.
    ///
    /// `pattern`: `file:GLOB` or `dir:GLOB` on the path relative to the data directory, which itself is `dir:.`;
    /// `*` matches slashes too. `fsync:GLOB` and `fdatasync:GLOB` match files by the one call only.
    /// Holds for processes started from now on.
    #[must_use]
    pub fn without_sync(mut self, pattern: &str) -> Self {
        self.ignored.push(pattern.to_owned());
        self
    }

    /// The same for these patterns instead of those before; none of them makes every sync count again.
    pub fn ignore_syncs(&mut self, patterns: &[&str]) {
        self.ignored = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    }

    /// Prepares `operation` on the files that match `glob` to fail while the switch is on, for processes started
    /// from now on.
    pub fn failing(&mut self, glob: &str, operation: Operation, failure: Failure) -> Switch {
        let switch = Switch(self.beside(&format!(".fault{}", self.faults.len())));
        self.faults.push(Fault { glob: glob.to_owned(), operation, failure, switch: switch.clone() });
        switch
    }

    /// Makes `command` run on this disk: sets the environment that loads the shim.
    pub fn under<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let faults: Vec<_> = self.faults.iter().map(Fault::to_string).collect();
        command
            .env("LD_PRELOAD", &self.library)
            .env("SHIM_DIR", &self.data_dir)
            .env("SHIM_LOG", self.log())
            .env_remove("SHIM_IGNORE")
            .env_remove("SHIM_FAIL");
        if !self.ignored.is_empty() {
            command.env("SHIM_IGNORE", self.ignored.join(","));
        }
        if !faults.is_empty() {
            command.env("SHIM_FAIL", faults.join(","));
        }
        command
    }

    /// Starts `command` on this disk.
    pub fn start(&self, command: &mut Command) -> io::Result<Running> {
        self.under(command).spawn().map(Running)
    }

    /// Undoes whatever no sync covered, as a power cut would. The process must be dead: [`Running::kill`].
    pub fn lose_power(&self) -> anyhow::Result<Undone> {
        restore::restore(&self.data_dir, &self.log(), None)
    }

    /// The same, but of what no sync covered a random part had reached the disk: of each file and directory the
    /// earliest changes, and a piece of the next. `random` gives a number below the one that it is given.
    pub fn lose_power_while_writing(&self, mut random: impl FnMut(u64) -> u64) -> anyhow::Result<Undone> {
        restore::restore(&self.data_dir, &self.log(), Some(&mut random))
    }

    /// The data directory, canonical.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The undo log: beside the data directory, because removed files are kept there by hard links.
    pub fn log(&self) -> PathBuf {
        self.beside(".undo")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.data_dir);
        path.push(suffix);
        path.into()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What stays behind costs space in a temporary directory, and nothing else.
        let _ = restore::forget(&self.log());
        for fault in &self.faults {
            let _ = fault.switch.off();
        }
    }
}

impl Switch {
    /// From the next call on, the operation fails.
    pub fn on(&self) -> io::Result<()> {
        fs::write(&self.0, "")
    }

    /// From the next call on, it works again.
    pub fn off(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its input, once, if it was piped.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Its output, once, if it was piped.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub fn kill(mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> io::Result<process::ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `kill` or `wait` both do nothing; a failing test has its own message to show.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operation = match self.operation {
            Operation::Write => "write",
            Operation::Sync => "fsync",
            Operation::Synced => "synced",
        };
        let failure = match self.failure {
            Failure::NoSpace => "ENOSPC",
            Failure::Io => "EIO",
        };
        let switch = self.switch.0.display();
        write!(out, "{}:{operation}:{failure}:{switch}", self.glob)
    }
}

/// The shim, compiled once in each test process by the C compiler.
fn library() -> anyhow::Result<PathBuf> {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(library) = LIBRARY.get() {
        return Ok(library.clone());
    }
    let library = compile()?;
    Ok(LIBRARY.get_or_init(|| library).clone())
}

fn compile() -> anyhow::Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/shim");
    let mut inputs: Vec<_> = fs::read_dir(&sources)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    let test = env::current_exe()?;
    let built = test.with_file_name("sync-shim.so");
    // Test processes compile at the same time: each its own file, and a rename that replaces it whole.
    let own = tempfile::Builder::new()
        .suffix(".so")
        .tempfile_in(test.parent().context("a test runs from a directory")?)?
        .into_temp_path();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-U_FORTIFY_SOURCE", "-o"])
        .arg(&own)
        .args(&inputs)
        .args(["-ldl", "-lpthread"])
        .status()
        .context("run the C compiler, cc")?;
    ensure!(status.success(), "the sync shim does not compile");
    own.persist(&built)?;
    Ok(built)
}
