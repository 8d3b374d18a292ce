//! Three processes, started by hand as the README says.

use std::process::Command;

use harness::cluster::{free_address, program};

use crate::docs::{shell_at, shell_blocks, succeeded};

#[test]
fn the_three_processes_of_the_readme_work_together() {
    let [start] = shell_blocks("README.md", "## As three processes").try_into().expect("one block");
    let (dir, gateway) = (tempfile::tempdir().expect("a directory"), free_address());
    let start = start
        .replace("127.0.0.1:8081", &free_address().to_string())
        .replace("127.0.0.1:8082", &free_address().to_string())
        .replace("./annals-apart", &dir.path().display().to_string());
    // History waits for the relay, which must be known to events.
    let script = format!(
        "trap 'kill $(jobs -p); wait' EXIT
        {start}
        annals put /harbour/Old_crane --type Crane >&2
        annals history /harbour/Old_crane --json"
    );
    let printed = succeeded(&script, &shell_at(gateway, &script));
    assert!(printed.contains("created"), "{printed}");
}

#[test]
fn a_service_apart_does_not_start_without_the_key_that_it_shares_with_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["events", "things", "gateway"] {
        let mut command = Command::new("timeout");
        command.arg("20").arg(program(name)).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
        let output = command.env_remove("ANNALS_PEER_KEY").output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("--peer-key (ANNALS_PEER_KEY) must be given"), "{name}: {said}");
    }
}
