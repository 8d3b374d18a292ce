//! Owns what the programs under test see of the environment: the settings that a test gives them and no others.

use std::{env, process::Command};

/// A program without what the one who runs the tests has set: every variable of ours would be a setting.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    #[expect(clippy::disallowed_methods, reason = "only names, so that nothing is read of them")]
    let ours = env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"ANNALS_"));
    ours.for_each(|name| _ = command.env_remove(name));
    command
}
