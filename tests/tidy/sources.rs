//! Where the sources may use what, how long they are, and that each says what it owns.

use crate::workspace::{File, assert_none, rust_sources};

const LONGEST: usize = 500;

/// Database and file engines.
const ENGINES: [&str; 11] = [
    "sqlx",
    "rusqlite",
    "libsqlite3_sys",
    "clickhouse",
    "object_store",
    "iceberg",
    "datafusion",
    "arrow",
    "parquet",
    "tantivy",
    "candle_core",
];
const ENGINE_HOMES: [&str; 5] = ["store", "archive", "hot", "index", "open"];

const TONIC: [&str; 6] = ["tonic", "tonic_health", "tonic_prost", "tonic_reflection", "tonic_types", "tonic_web"];
/// The crates that speak gRPC as a whole, and in a service the files that do.
const TONIC_HOMES: [&str; 7] = ["proto", "serve", "gateway", "annals", "grpc", "relay", "follow"];

const ENVIRONMENT: [&str; 5] = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os(", "env::set_var("];
/// A build script's settings are cargo's, and come no other way.
const ENVIRONMENT_HOMES: [&str; 2] = ["config", "build"];

/// The loops over vectors, chosen by what the processor has; and the mapping of a file that nobody changes.
const UNSAFE_HOMES: [&str; 2] =
    ["services/search/src/index/vector/kernels.rs", "services/search/src/index/vector/segment.rs"];

#[test]
fn engines_are_used_only_by_stores_archives_hot_stores_and_indexes() {
    assert_none(&product().iter().flat_map(engine_elsewhere).collect::<Vec<_>>());
}

#[test]
fn an_engine_elsewhere_is_found() {
    let text = "//! Reads.\nuse rusqlite::Connection;\n";
    assert_eq!(engine_elsewhere(&File::new("services/things/src/read.rs", text)).len(), 1);
    assert_eq!(engine_elsewhere(&File::new("services/things/src/store/sqlite.rs", text)), [""; 0]);
    let comment = "//! Reads without `rusqlite::Connection`.\n";
    assert_eq!(engine_elsewhere(&File::new("services/things/src/read.rs", comment)), [""; 0]);
}

#[test]
fn tonic_is_used_only_where_grpc_is_spoken() {
    assert_none(&product().iter().flat_map(tonic_elsewhere).collect::<Vec<_>>());
}

#[test]
fn tonic_in_a_verb_is_found() {
    let text = "//! Writes.\nfn write() -> Result<(), tonic::Status> {}\n";
    assert_eq!(tonic_elsewhere(&File::new("services/things/src/write.rs", text)).len(), 1);
    assert_eq!(tonic_elsewhere(&File::new("services/things/src/grpc.rs", text)), [""; 0]);
    assert_eq!(tonic_elsewhere(&File::new("services/things/src/grpc/write.rs", text)), [""; 0]);
}

#[test]
fn the_environment_is_read_only_by_config() {
    assert_none(&product().iter().flat_map(environment_elsewhere).collect::<Vec<_>>());
}

#[test]
fn a_variable_read_elsewhere_is_found() {
    let text = "//! Opens.\nlet home = std::env::var(\"HOME\");\n";
    assert_eq!(environment_elsewhere(&File::new("services/things/src/lib.rs", text)).len(), 1);
    assert_eq!(environment_elsewhere(&File::new("services/things/src/config.rs", text)), [""; 0]);
}

#[test]
fn unsafe_code_is_only_where_vectors_are_compared_and_mapped() {
    assert_none(&product().iter().flat_map(unsafe_elsewhere).collect::<Vec<_>>());
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    let text = "//! Reads.\nlet byte = unsafe { *pointer };\n";
    assert_eq!(unsafe_elsewhere(&File::new("services/things/src/read.rs", text)).len(), 1);
    assert_eq!(unsafe_elsewhere(&File::new("services/search/src/index/vector/kernels.rs", text)), [""; 0]);
}

#[test]
fn no_source_is_longer_than_500_lines() {
    assert_none(&rust_sources().iter().filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn a_source_of_501_lines_is_found() {
    assert_eq!(too_long(&File::new("a.rs", &"\n".repeat(500))), None);
    assert!(too_long(&File::new("a.rs", &"\n".repeat(501))).is_some());
}

#[test]
fn every_source_begins_with_what_it_owns() {
    assert_none(&rust_sources().iter().filter_map(unexplained).collect::<Vec<_>>());
}

#[test]
fn a_source_without_module_docs_is_found() {
    assert_eq!(unexplained(&File::new("a.rs", "//! Owns a.\n")), None);
    assert!(unexplained(&File::new("a.rs", "use std::fs;\n")).is_some());
    assert!(unexplained(&File::new("a.rs", "//!\nuse std::fs;\n")).is_some());
}

/// The sources that run in production; tests, benchmarks and xtask may look behind any seam.
fn product() -> Vec<File> {
    let is_product = |file: &File| file.path.starts_with("crates/") || file.path.starts_with("services/");
    let product = rust_sources().into_iter().filter(is_product).collect::<Vec<_>>();
    assert!(!product.is_empty(), "git lists the sources");
    product
}

fn engine_elsewhere(file: &File) -> Vec<String> {
    let is_engine = |code: &str| ENGINES.iter().any(|engine| names_crate(code, engine));
    elsewhere(file, &ENGINE_HOMES, is_engine)
}

fn tonic_elsewhere(file: &File) -> Vec<String> {
    let is_tonic = |code: &str| TONIC.iter().any(|tonic| names_crate(code, tonic));
    elsewhere(file, &TONIC_HOMES, is_tonic)
}

fn environment_elsewhere(file: &File) -> Vec<String> {
    let is_read = |code: &str| ENVIRONMENT.iter().any(|read| code.contains(read));
    elsewhere(file, &ENVIRONMENT_HOMES, is_read)
}

fn unsafe_elsewhere(file: &File) -> Vec<String> {
    if UNSAFE_HOMES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    elsewhere(file, &[], |code| code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl"))
}

/// The lines of code that `is_use` picks, unless the file lies in or is one of the `homes`.
fn elsewhere(file: &File, homes: &[&str], is_use: impl Fn(&str) -> bool) -> Vec<String> {
    if homes.iter().any(|home| file.is_in(home)) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (line, code) in file.text.lines().enumerate() {
        let code = code.split("//").next().unwrap_or(code);
        if is_use(code) {
            let homes = homes.join(", ");
            breaches.push(format!("{}:{}: `{}` belongs into {homes}", file.path, line + 1, code.trim()));
        }
    }
    breaches
}

/// Whether `code` starts a path with the crate: `tonic::Status`, but not `prost_tonic::` or `crate::tonic::`.
fn names_crate(code: &str, name: &str) -> bool {
    let starts_path = |at: usize| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    };
    let imports = code.trim().trim_start_matches("pub ").strip_prefix("use ");
    code.match_indices(&format!("{name}::")).any(|(at, _)| starts_path(at))
        || imports.is_some_and(|path| path.trim_end_matches(';') == name)
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LONGEST).then(|| format!("{} has {lines} lines; split it by noun or verb", file.path))
}

fn unexplained(file: &File) -> Option<String> {
    let is_explained = file.text.strip_prefix("//! ").is_some_and(|text| !text.trim().is_empty());
    (!is_explained).then(|| format!("{} does not begin with `//!` and what it owns", file.path))
}
