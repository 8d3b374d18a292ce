//! Decisions, migrations, and what no committed file may say.

use std::collections::BTreeMap;

use crate::workspace::{File, assert_none, files};

const LONGEST_DECISION: usize = 30;

/// Directories of one person's or one machine's. In pieces, so that this file does not name them.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/tm", "p/")];

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_none(&files().iter().flat_map(machine_paths).collect::<Vec<_>>());
}

#[test]
fn a_path_of_one_machine_is_found() {
    let path = concat!("cd /ho", "me/ada/annals");
    assert_eq!(machine_paths(&File::new("README.md", path)).len(), 1);
    assert_eq!(machine_paths(&File::new("README.md", concat!("GET example.com/ho", "me/page"))), [""; 0]);
}

#[test]
fn every_decision_is_numbered_and_short() {
    let decisions = files().into_iter().filter(|file| file.path.starts_with("docs/decisions/"));
    assert_none(&unfit_decisions(&decisions.collect::<Vec<_>>()));
}

#[test]
fn a_long_unnumbered_or_twice_numbered_decision_is_found() {
    let decision = |name: &str, lines| File::new(&format!("docs/decisions/{name}"), &"why\n".repeat(lines));
    assert_eq!(unfit_decisions(&[decision("0001-sqlite.md", 30), decision("0002-relay.md", 1)]), [""; 0]);
    assert_eq!(unfit_decisions(&[decision("0001-sqlite.md", 31)]).len(), 1);
    assert_eq!(unfit_decisions(&[decision("sqlite.md", 1)]).len(), 1);
    assert_eq!(unfit_decisions(&[decision("0001-sqlite.md", 1), decision("0001-relay.md", 1)]).len(), 1);
}

#[test]
fn the_migrations_of_every_backend_have_the_same_numbers() {
    let migrations = files().into_iter().filter(|file| file.path.starts_with("migrations/"));
    assert_none(&uneven_migrations(&migrations.collect::<Vec<_>>()));
}

#[test]
fn a_migration_that_one_backend_lacks_and_a_gap_are_found() {
    let migration = |path: &str| File::new(&format!("migrations/{path}"), "");
    let things = [migration("things/sqlite/0001_names.sql"), migration("things/postgres/0001_names.sql")];
    assert_eq!(uneven_migrations(&things), [""; 0]);
    let lacking = [migration("things/sqlite/0001_names.sql"), migration("things/postgres/0001_things.sql")];
    assert_eq!(uneven_migrations(&lacking).len(), 1);
    assert_eq!(uneven_migrations(&[migration("things/sqlite/0002_names.sql")]).len(), 1);
    assert_eq!(uneven_migrations(&[migration("things/0001_names.sql")]).len(), 1);
}

fn machine_paths(file: &File) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let starts_path = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/}".contains(c));
        for path in MACHINE_PATHS {
            if line.match_indices(path).any(|(at, _)| starts_path(at)) {
                breaches.push(format!("{}:{} names a path below {path}", file.path, number + 1));
            }
        }
    }
    breaches
}

fn unfit_decisions(decisions: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut numbers = BTreeMap::new();
    for File { path, text } in decisions {
        let lines = text.lines().count();
        if lines > LONGEST_DECISION {
            breaches.push(format!("{path} has {lines} lines, more than {LONGEST_DECISION}"));
        }
        match number(path) {
            None => breaches.push(format!("{path} is not named NNNN-words.md")),
            Some(number) => {
                if let Some(other) = numbers.insert(number, path) {
                    breaches.push(format!("{path} and {other} have one number"));
                }
            }
        }
    }
    breaches
}

/// Each service's backends, side by side, have the same files, numbered from 1 without a gap.
fn uneven_migrations(migrations: &[File]) -> Vec<String> {
    let mut services: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    let mut breaches = Vec::new();
    for File { path, .. } in migrations {
        let parts = path.split('/').collect::<Vec<_>>();
        let [_, service, backend, file] = parts[..] else {
            breaches.push(format!("{path} is not at migrations/service/backend/NNNN_words.sql"));
            continue;
        };
        services.entry(service).or_default().entry(backend).or_default().push(file);
    }
    for (service, backends) in services {
        let mut first = None;
        for (backend, mut files) in backends {
            files.sort_unstable();
            if !files.iter().zip(1..).all(|(file, expected)| number(file) == Some(expected)) {
                breaches.push(format!("migrations/{service}/{backend} is not numbered 0001, 0002, …"));
            }
            if *first.get_or_insert(files.clone()) != files {
                breaches.push(format!("migrations/{service}/{backend} differs from the other backends"));
            }
        }
    }
    breaches
}

/// The four digits that a file's name begins with.
fn number(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let (digits, rest) = name.split_at_checked(4)?;
    rest.starts_with(['-', '_']).then(|| digits.parse().ok())?
}
