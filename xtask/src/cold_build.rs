//! What the first commands of the README cost on a machine that has built nothing yet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// What each command builds, in the order of the README: the second goes on where the first ended.
const BUILDS: [(&str, &[&str]); 2] = [
    ("cargo run -- serve --demo", &["build", "--bin", "annals"]),
    ("cargo xtask test", &["build", "--workspace", "--bins", "--tests"]),
];
/// CPU minutes of both together, above which it fails.
const FLOOR: f64 = 20.0;
/// Ticks of the times in `/proc`: a constant of Linux towards programs, whatever the kernel's own is.
const TICKS_A_MINUTE: f64 = 100.0 * 60.0;

/// Builds in an empty directory under the target directory, prints a row for each build and removes the directory.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let directory = workspace.target.join("cold-build");
    remove(&directory)?;
    let built = build(workspace, &directory);
    remove(&directory)?;
    let minutes = built?;
    ensure!(minutes <= FLOOR, "{minutes:.1} CPU minutes are above the floor of {FLOOR}");
    Ok(())
}

/// CPU minutes of all builds.
fn build(workspace: &Workspace, directory: &Path) -> Result<f64> {
    let mut rows = Vec::new();
    let mut total = 0.0;
    for (command, arguments) in BUILDS {
        let (cpu, start) = (cpu_minutes()?, Instant::now());
        workspace.cargo(arguments.iter().copied()).args(["--locked", "--target-dir"]).args([directory]).run()?;
        let (cpu, elapsed) = (cpu_minutes()? - cpu, start.elapsed().as_secs_f64() / 60.0);
        rows.push(format!("| `{command}` | {cpu:.1} | {elapsed:.1} |"));
        total += cpu;
    }
    println!("| command, in this order | CPU minutes | minutes |\n|---|---|---|\n{}", rows.join("\n"));
    println!("together {total:.1} CPU minutes, floor {FLOOR}; {}", size(directory)?);
    Ok(total)
}

/// User and system time of all processes that this one has started and that have ended.
fn cpu_minutes() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("CPU time is read from /proc, which only Linux has")?;
    // The second field is our name, in parentheses; the times of the children are the 16th and 17th.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has a name")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let [user, system] = [13, 14].map(|field| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()));
    Ok((user.context("no user time")? + system.context("no system time")?) / TICKS_A_MINUTE)
}

/// What the directory takes on disk, as `du` says it.
fn size(directory: &Path) -> Result<String> {
    let output = Command::new("du").arg("-sh").arg(directory).output().context("cannot start du")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(format!("{} on disk", text.split_whitespace().next().unwrap_or("an unknown size")))
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
