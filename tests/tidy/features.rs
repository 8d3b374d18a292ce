//! One build: `cargo run` compiles nothing that `cargo test --workspace` compiles again.
//!
//! Cargo joins the features that the selected packages ask of a crate; a crate whose features differ between the
//! two commands is built twice, and all above it.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{assert_none, output};

#[test]
fn run_and_test_share_one_build() {
    let run = tree("normal,build");
    let test = tree("normal,build,dev");
    assert!(run.contains("tokio v"), "cargo tells the tree");
    assert_none(&rebuilt(&run, &test));
}

#[test]
fn a_crate_with_other_features_in_tests_is_found() {
    let run = "regex v1.0.0 std\nbytes v1.0.0 std\n";
    let test = "regex v1.0.0 std,unicode\nbytes v1.0.0 std (*)\nproptest v1.0.0 std\n";
    assert_eq!(rebuilt(run, test), ["regex v1.0.0 has other features in tests than in cargo run"]);
}

fn tree(edges: &str) -> String {
    let format = ["--prefix", "none", "--format", "{p} {f}"];
    let select = ["tree", "--locked", "--workspace", "--edges", edges];
    output("cargo", &[select.as_slice(), format.as_slice()].concat())
}

fn rebuilt(run: &str, test: &str) -> Vec<String> {
    let (run, test) = (features(run), features(test));
    let differs =
        |(package, run): &(&&str, &BTreeSet<&str>)| test.get(*package).is_some_and(|test| !run.is_subset(test));
    run.iter()
        .filter(differs)
        .map(|(package, _)| format!("{package} has other features in tests than in cargo run"))
        .collect()
}

/// Each package with the sets of features it is built with: there may be one for the host and one for the target.
fn features(tree: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let line = line.trim_end_matches(" (*)");
        let features = line.rfind(' ').unwrap_or(line.len());
        packages.entry(&line[..features]).or_default().insert(&line[features..]);
    }
    packages
}
