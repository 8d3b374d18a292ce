//! The workspace as cargo knows it, and the steps that run in it.
//!
//! Cargo is asked where things are; no path is guessed, because a user may keep the target directory anywhere.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Where the workspace is and where it builds; fields as `cargo metadata` names them.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let metadata = Step::new("cargo").args(["metadata", "--no-deps", "--format-version=1"]).output()?;
        serde_json::from_str(&metadata).context("cargo metadata is not what we know")
    }

    /// The directory of one package, from the root.
    pub(crate) fn package(&self, name: &str) -> Result<&Path> {
        let package = self.packages.iter().find(|package| package.name == name);
        let package = package.with_context(|| format!("the workspace has no package {name}"))?;
        let directory = package.manifest_path.parent().context("a manifest lies in a directory")?;
        directory.strip_prefix(&self.root).context("a member lies in the workspace")
    }

    /// The names of all integration tests.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &str> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        targets.filter(|target| target.kind.iter().any(|kind| kind == "test")).map(|target| target.name.as_str())
    }

    /// `cargo` with `arguments`, at the root of the workspace.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Step {
        self.step("cargo").args(arguments)
    }

    /// `program`, at the root of the workspace.
    pub(crate) fn step(&self, program: impl AsRef<OsStr>) -> Step {
        let mut step = Step::new(program);
        step.0.current_dir(&self.root);
        // What cargo tells of xtask itself. Build scripts that look at it (ring's) would run again, and all that depends on
        // them be built again, each time that a build by hand and one of ours take turns.
        for name in OF_XTASK {
            step.0.env_remove(name);
        }
        step
    }
}

/// Variables of the package that `cargo run` runs.
const OF_XTASK: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A program to run, which must succeed.
pub(crate) struct Step(Command);

impl Step {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Says the command on standard error, then runs it with our own standard streams.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {self}");
        let status = self.0.status().with_context(|| format!("cannot start `{self}`"))?;
        ensure!(status.success(), "`{self}` failed: {status}");
        Ok(())
    }

    /// What the command prints on standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self.0.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{self}`"))?;
        ensure!(output.status.success(), "`{self}` failed: {}", output.status);
        String::from_utf8(output.stdout).with_context(|| format!("`{self}` printed what is not UTF-8"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.get_program().display())?;
        for argument in self.0.get_args() {
            write!(f, " {}", argument.display())?;
        }
        Ok(())
    }
}
