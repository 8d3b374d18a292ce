//! A server of a test's own, and the shell that talks to it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use crate::config::command;

/// The built binary.
const ANNALS: &str = env!("CARGO_BIN_EXE_annals");

/// `annals serve` on a port of the system's choice.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it printed when it was ready.
    pub(crate) banner: String,
    /// Where it is.
    pub(crate) url: String,
}

impl Server {
    /// Starts on `data_dir` and waits for the banner.
    pub(crate) fn start(data_dir: &Path, flags: &[&str]) -> Self {
        let mut child = command(ANNALS)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("annals starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut banner = String::new();
        for _ in 0..5 {
            stdout.read_line(&mut banner).expect("the banner can be read");
        }
        let url = banner.split([' ', ',']).find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("no URL in the banner: {banner}")).to_owned();
        Self { child, stdout, banner, url }
    }

    /// Runs a script as a person would, with `annals` on the path, in the project's root.
    pub(crate) fn shell(&self, script: &str) -> Output {
        let binaries = Path::new(ANNALS).parent().expect("a binary lies in a directory").display();
        command("sh")
            .args(["-e", "-c", &format!("PATH={binaries}:$PATH\n{script}")])
            .env("ANNALS_SERVER", &self.url)
            .current_dir(root())
            .output()
            .expect("sh starts")
    }

    /// Runs a script that must succeed; returns what it printed.
    pub(crate) fn run(&self, script: &str) -> String {
        let output = self.shell(script);
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
        stdout.into_owned()
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub(crate) fn end(mut self) {
        // The shell's own `kill`: a machine need not have it as a program.
        let kill = format!("kill {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
        assert!(self.child.wait().expect("it can be waited for").success(), "it ends in order");
        let mut rest = String::new();
        self.stdout.read_line(&mut rest).expect("the output can be read");
        assert_eq!(rest, "", "nothing is printed after the banner");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `end` there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shell blocks of a document.
pub(crate) fn shell_blocks(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(path)).expect("the document is there");
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("split gives one").to_owned()).collect()
}
