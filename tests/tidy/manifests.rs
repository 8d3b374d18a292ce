//! Manifests: every version once, in the workspace's; nothing declared that nobody uses.

use crate::workspace::{File, assert_none, dependencies, directory, files, name, packages};

/// Dependencies that no source of ours names, with the reason they are there.
const UNNAMED: [(&str, &str, &str); 4] = [
    ("proto", "prost", "the generated messages name it"),
    ("proto", "prost-types", "the generated messages name it"),
    ("proto", "tonic-prost", "the generated services name it"),
    ("annals-tests", "proptest", "its features are declared for every build"),
];

#[test]
fn every_member_takes_versions_and_lints_from_the_workspace() {
    let manifests = members();
    assert!(!manifests.is_empty(), "git lists the manifests");
    assert_none(&manifests.iter().flat_map(own_versions).collect::<Vec<_>>());
}

#[test]
fn a_version_or_lints_of_its_own_are_found() {
    let lints = "[lints]\nworkspace = true\n";
    let member = |dependency: &str| {
        own_versions(&File::new("a/Cargo.toml", &format!("{lints}[dependencies]\n{dependency}\n"))).len()
    };
    assert_eq!(member("http.workspace = true\n# why\n"), 0);
    assert_eq!(member("http = { workspace = true, features = [\"std\"] }"), 0);
    assert_eq!(member("http = \"1\""), 1);
    assert_eq!(member("http = { version = \"1\" }"), 1);
    assert_eq!(member("[dev-dependencies.http]\nversion = \"1\""), 1);
    assert_eq!(own_versions(&File::new("a/Cargo.toml", "[package]\nname = \"a\"\n")).len(), 1);
}

#[test]
fn every_version_in_the_workspace_is_wanted_by_a_member() {
    let root = files().into_iter().find(|file| file.path == "Cargo.toml").expect("there is a root manifest");
    let packages = packages();
    let wanted = packages.iter().flat_map(dependencies).map(name).collect::<Vec<_>>();
    assert_none(&unwanted(&root.text, &wanted));
}

#[test]
fn a_version_that_no_member_wants_is_found() {
    let root = "[workspace.dependencies]\nhttp = \"1\"\n# why\nbytes = \"1\"\n\n[profile.dev]\ndebug = false\n";
    assert_eq!(unwanted(root, &["http"]), ["Cargo.toml declares bytes, which no member wants"]);
}

#[test]
fn every_dependency_of_a_member_is_named_in_its_sources() {
    let (packages, files) = (packages(), files());
    let mut breaches = Vec::new();
    for package in &packages {
        let directory = directory(package);
        let sources = files.iter().filter(|file| file.is_rust() && file.path.starts_with(&directory));
        let sources = sources.map(|file| file.text.as_str()).collect::<Vec<_>>();
        let package_name = name(package);
        for dependency in dependencies(package).map(name) {
            let is_exception = UNNAMED.iter().any(|(from, to, _)| (*from, *to) == (package_name, dependency));
            if !is_exception && !names(&sources, dependency) {
                breaches.push(format!("{package_name} depends on {dependency} and never names it"));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn a_dependency_that_is_only_a_part_of_a_word_is_not_named() {
    assert!(names(&["use http_body::Body;"], "http-body"));
    assert!(!names(&["use http_body::Body; // http"], "http"));
}

/// A manifest with a workspace of its own is no member of ours.
fn members() -> Vec<File> {
    let is_member = |file: &File| file.path.ends_with("/Cargo.toml") && !file.text.contains("[workspace]\n");
    files().into_iter().filter(is_member).collect()
}

fn own_versions(manifest: &File) -> Vec<String> {
    let mut breaches = Vec::new();
    if !manifest.text.contains("[lints]\nworkspace = true\n") {
        breaches.push(format!("{} does not take the workspace's lints", manifest.path));
    }
    let mut in_dependencies = false;
    for line in manifest.text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && !line.is_empty() && !line.starts_with('#') && !line.contains("workspace = true") {
            breaches.push(format!("{}: `{line}` is not the workspace's", manifest.path));
        }
    }
    breaches
}

fn unwanted(root: &str, wanted: &[&str]) -> Vec<String> {
    let (_, declared) = root.split_once("[workspace.dependencies]\n").expect("the workspace has dependencies");
    declared
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| !wanted.contains(name))
        .map(|(name, _)| format!("Cargo.toml declares {name}, which no member wants"))
        .collect()
}

/// Whether one of the `sources` has the crate's name as a word of its code.
fn names(sources: &[&str], dependency: &str) -> bool {
    let word = dependency.replace('-', "_");
    let code = |line: &str| line.split("//").next().is_some_and(|code| has_word(code, &word));
    sources.iter().any(|text| text.lines().any(code))
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}
