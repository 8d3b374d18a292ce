//! Compiles the protos of this repository to Rust without protoc.

use prost::Message as _;

const PROTOS: [&str; 8] = [
    "annals/common/v1/filter.proto",
    "annals/common/v1/key.proto",
    "annals/common/v1/reason.proto",
    "annals/things/v1/thing.proto",
    "annals/things/v1/things.proto",
    "annals/events/v1/event.proto",
    "annals/events/v1/events.proto",
    "annals/search/v1/search.proto",
];

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its directory in the environment only")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Asked at run time: clones that share a target directory share this program too.
    let member = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let root = std::path::Path::new(&member).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.join("annals").display());
    let descriptors = protox::compile(PROTOS, [root])?;
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
