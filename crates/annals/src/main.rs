//! `annals`: everything of Annals in one process, and the commands that talk to it.

mod aggregate;
mod append;
mod archive;
mod atomic;
mod cli;
mod client;
mod conditions;
mod config;
mod count;
mod delete;
mod demo;
mod diff;
mod embedder;
mod events;
mod export;
mod failure;
mod filter;
mod get;
mod history;
mod import;
mod key;
mod link;
mod list;
mod migrate;
mod name;
mod namespace;
mod patch;
mod put;
mod render;
mod restore;
mod schema;
mod search;
mod serving;
mod takeover;
mod traverse;
mod write;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run().await {
        Ok(exit) => exit,
        Err(error) => {
            eprint!("{}", failure::told(&error));
            ExitCode::FAILURE
        }
    }
}
