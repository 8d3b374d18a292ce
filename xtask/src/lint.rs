//! All that is checked without running a test. The first thing found ends it.

use anyhow::Result;

use crate::backends::Backends;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo(["fmt", "--all", "--check"]).run()?;
    workspace.cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]).run()?;
    workspace.step(Backends::install(workspace)?.buf).args(["lint", "proto"]).run()?;
    workspace.cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings").run()
}
