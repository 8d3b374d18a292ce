//! The programs under test as a test starts them: those that were built beside it, with the settings that it gives them
//! and no others.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The program of that name, built beside the tests, to be started without settings.
pub fn command(name: &str) -> Command {
    without_settings(Command::new(path(name)))
}

/// The command without what the one who runs the tests has set: every variable of ours would be a setting.
pub fn without_settings(mut command: Command) -> Command {
    #[expect(clippy::disallowed_methods, reason = "only names, so that nothing is read of them")]
    let ours = env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"ANNALS_"));
    ours.for_each(|name| _ = command.env_remove(name));
    command
}

/// Where the program of that name is.
pub fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test runs from a file");
    let built = test.parent().and_then(Path::parent).expect("a test is in target/<profile>/deps").join(name);
    assert!(built.exists(), "{} is not built: run `cargo xtask test`, or `cargo build --bins`", built.display());
    built
}
