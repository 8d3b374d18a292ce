//! Which crate may know which.

use std::collections::BTreeSet;

use crate::workspace::{assert_none, dependencies, files, name, packages};

/// A crate may depend on those of lower layers, never on its own: domain ← proto ← serve ← services ← programs.
const LAYERS: [&[&str]; 5] = [
    &["domain", "xtask"],
    &["proto"],
    &["serve"],
    &["things", "events", "search", "gateway"],
    &["annals", "annals-tests", "benches"],
];

/// External crates that we name, of which another version has to be there too.
const DOUBLED: [(&str, &str); 4] = [
    ("base64", "0.22 comes with the Iceberg crate, 0.23 with hyper-util"),
    ("getrandom", "0.3 comes with the rand of ulid and proptest, 0.4 with tempfile"),
    ("hashbrown", "h2, rusqlite, prost-build and the Prometheus exporter each pin another"),
    ("thiserror", "gemm reads the size of caches on macOS by sysctl, which is on 1; no Linux build has it"),
];

#[test]
fn a_crate_depends_only_on_layers_below_it() {
    let packages = packages();
    let mut edges = Vec::new();
    for package in &packages {
        for dependency in dependencies(package).filter(|dependency| dependency["path"].is_string()) {
            edges.push((name(package), name(dependency)));
        }
    }
    assert!(edges.contains(&("proto", "domain")), "cargo tells the edges");
    assert_none(&upward(&edges));
}

#[test]
fn a_dependency_upwards_sideways_or_on_an_unknown_crate_is_found() {
    assert_eq!(upward(&[("serve", "domain"), ("annals", "things")]), [""; 0]);
    assert_eq!(upward(&[("domain", "proto")]).len(), 1);
    assert_eq!(upward(&[("gateway", "things")]).len(), 1);
    assert_eq!(upward(&[("gateway", "helpers")]).len(), 1);
}

#[test]
fn a_crate_that_we_name_is_there_in_one_version() {
    let packages = packages();
    let named = packages.iter().flat_map(dependencies).map(name).collect::<Vec<_>>();
    let lock = files().into_iter().find(|file| file.path == "Cargo.lock").expect("the lock file is committed");
    assert_none(&doubled(&lock.text, &named, &DOUBLED));
}

#[test]
fn a_crate_in_two_versions_and_a_stale_exception_are_found() {
    let lock =
        "[[package]]\nname = \"http\"\nversion = \"0.2.1\"\n\n[[package]]\nname = \"http\"\nversion = \"1.0.0\"\n";
    assert_eq!(doubled(lock, &["http"], &[]).len(), 1);
    assert_eq!(doubled(lock, &["axum"], &[]), [""; 0]);
    assert_eq!(doubled(lock, &["http"], &[("http", "hyper wants both")]), [""; 0]);
    assert_eq!(doubled(lock, &["axum"], &[("axum", "tonic wants both")]).len(), 1);
}

fn upward(edges: &[(&str, &str)]) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut breaches = Vec::new();
    for (from, to) in edges {
        match (layer(from), layer(to)) {
            (Some(above), Some(below)) if above > below => {}
            (Some(_), Some(_)) => breaches.push(format!("{from} depends on {to}, which is not below it")),
            _ => breaches.push(format!("{from} or {to} has no layer in tests/tidy/dependencies.rs")),
        }
    }
    breaches
}

fn doubled(lock: &str, named: &[&str], exceptions: &[(&str, &str)]) -> Vec<String> {
    let is_exception = |name: &str| exceptions.iter().any(|(exception, _)| *exception == name);
    let mut breaches = Vec::new();
    for name in BTreeSet::from_iter(named) {
        let entry = format!("\nname = \"{name}\"\n");
        match (lock.matches(&entry).count(), is_exception(name)) {
            (0 | 1, false) | (2.., true) => {}
            (versions, false) => breaches.push(format!("Cargo.lock has {name} in {versions} versions")),
            (_, true) => breaches.push(format!("the exception for {name} is not needed any more")),
        }
    }
    breaches
}
