//! What the rules are held to: this workspace's files, and what cargo says of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A text file of the project.
pub(crate) struct File {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// The directories and the bare name of the file: `services/things/src/store.rs` has `store`.
    pub(crate) fn is_in(&self, home: &str) -> bool {
        let path = self.path.rsplit_once('.').map_or(self.path.as_str(), |(stem, _)| stem);
        path.split('/').any(|part| part == home)
    }
}

/// All files that are committed or could be, but those that are not text.
pub(crate) fn files() -> Vec<File> {
    let listed = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut files = Vec::new();
    for path in listed.lines() {
        // A file may be deleted and not yet committed as such, or hold no text.
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            files.push(File { path: path.into(), text });
        }
    }
    files
}

pub(crate) fn rust_sources() -> Vec<File> {
    files().into_iter().filter(File::is_rust).collect()
}

/// The members of the workspace, as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let metadata = output("cargo", &["metadata", "--no-deps", "--locked", "--format-version=1"]);
    let mut metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo lists packages");
    };
    packages
}

/// The workspace's own and external packages that `package` names in its manifest, with any kind of dependency.
pub(crate) fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().expect("cargo lists dependencies").iter()
}

pub(crate) fn name(package: &Value) -> &str {
    package["name"].as_str().expect("a package has a name")
}

/// Where the package's files lie, from the root, with `/` at the end.
pub(crate) fn directory(package: &Value) -> String {
    let manifest = package["manifest_path"].as_str().expect("a package has a manifest");
    let manifest = Path::new(manifest).strip_prefix(root()).expect("a member lies in the workspace");
    format!("{}/", manifest.parent().expect("a manifest lies in a directory").display())
}

/// What `program` prints when run at the root of the workspace.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("the programs that we ask print UTF-8")
}

/// Fails with all breaches at once, one a line.
pub(crate) fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}
