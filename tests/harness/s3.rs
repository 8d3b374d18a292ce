//! Owns an S3 server for a test: a process of its own on a port of the system's choice, with one bucket, all in memory.
//! It ends with the value, and with the test's process.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// The bucket that is there.
pub const BUCKET: &str = "annals";

/// The running server.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    /// It ends when this is closed.
    _stdin: ChildStdin,
    endpoint: String,
}

impl S3 {
    /// Starts it with the Python of `cargo xtask backends`; returns when it answers.
    pub fn start(python: &Path) -> Self {
        let script = Path::new(file!()).with_extension("py");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|above| above.join(&script).exists());
        let script = root.expect("the script is beside this file").join(script);
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut endpoint = String::new();
        BufReader::new(stdout).read_line(&mut endpoint).expect("the server tells where it is");
        assert!(endpoint.starts_with("http://"), "the S3 server does not start: run `cargo xtask backends`");
        Self { child, _stdin: stdin, endpoint: endpoint.trim_end().to_owned() }
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
