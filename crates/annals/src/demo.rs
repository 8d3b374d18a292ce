//! The small world of `annals serve --demo`: `samples/`, carried by the binary and loaded as anybody would.
//!
//! Loaded once: what a user then changes or deletes in it stays so at the next start.

use anyhow::{Context as _, ensure};
use clap::Parser;
use proto::{
    common::v1::{EntityKind, Reason},
    events::v1::QueryRequest,
};
use serve::Refusal;
use tonic::Status;

use crate::{
    append,
    client::Client,
    import::{self, Progress, Source},
};

/// A file of `samples/` and the arguments of `annals import` that load it.
struct Sample {
    file: &'static str,
    text: &'static str,
    arguments: &'static [&'static str],
}

macro_rules! sample {
    ($file:literal, $($argument:literal)+) => {
        Sample { file: $file, text: include_str!(concat!("../../../samples/", $file)), arguments: &[$($argument),+] }
    };
}

/// In the order in which they are loaded: the ends of a relationship before it, and last the page whose presence says
/// that all the others are there.
const SAMPLES: [Sample; 6] = [
    sample!("lights.tsv",
        "--ns" "lights.example" "--id" "{Name}" "--type" "Light" "--code" "{Character}"
        "--content" "# {Name}\\n\\n*{Place}.* {Story}\\n"
        "--data" "Name,Character,Range,Height,First lit,Status"),
    sample!("people.ndjson",
        "--ns" "lights.example" "--id" "{name}" "--type" "Person" "--visibility" "{shown}"
        "--content" "# {name}\\n\\n{role} since {since}. {about}\\n" "--data" "name,role,since"),
    sample!("pages.ndjson",
        "--ns" "lights.example" "--id" "{id}" "--variant" "{variant}" "--type" "{type}" "--visibility" "{shown}"
        "--content" "{text}" "--data" "{\"title\":\"{id}\",\"facts\":\"{data}\"}"),
    sample!("log.csv",
        "--ns" "lights.example/log" "--style" "literal" "--id" "{station}/{date}/{watch}" "--type" "LogEntry"
        "--content" "{entry}" "--data" "keeper,visibility_nm,wind"),
    sample!("links.tsv",
        "--ns" "lights.example" "--type" "{Type}" "--from" "lights.example/{From}" "--to" "lights.example/{To}"
        "--data" "Since"),
    sample!("welcome.ndjson",
        "--ns" "lights.example" "--id" "{id}" "--type" "{type}" "--content" "{text}" "--data" "none"),
];

const EVENTS: &str = include_str!("../../../samples/events.ndjson");

/// The namespace of the demo, and the path of the page that is loaded last.
const NS: &str = "lights.example";
const WELCOME: &str = "lights.example/Welcome";

#[derive(Parser)]
#[command(name = "import")]
struct Import {
    #[command(flatten)]
    args: import::Args,
}

impl Sample {
    fn args(&self) -> anyhow::Result<import::Args> {
        let line = [&["import", self.file], self.arguments].concat();
        Ok(Import::try_parse_from(line)?.args)
    }
}

/// Loads the samples, unless they were loaded before.
pub(crate) async fn load(client: &Client) -> anyhow::Result<()> {
    if is_loaded(client).await? {
        return Ok(());
    }
    let (last, before) = SAMPLES.split_last().expect("there are samples");
    for sample in before {
        import(sample, client).await?;
    }
    if !has_events(client).await? {
        let source = Source::embedded(EVENTS);
        let mut progress = Progress::new("events.ndjson", source.length, source.position.clone(), true);
        append::load(source, client.clone(), &mut progress).await.context("samples/events.ndjson")?;
    }
    import(last, client).await
}

async fn import(sample: &Sample, client: &Client) -> anyhow::Result<()> {
    let args = sample.args().with_context(|| format!("samples/{}", sample.file))?;
    let report = import::load(&args, Source::embedded(sample.text), client.clone(), true).await?;
    ensure!(report.failed() == 0, "samples/{} cannot be loaded whole: {report}", sample.file);
    Ok(())
}

/// Whether the last page has, or once had, a state.
async fn is_loaded(client: &Client) -> anyhow::Result<bool> {
    let Err(error) = client.resolve(&WELCOME.parse()?, EntityKind::Thing, None).await else { return Ok(true) };
    let is_absent = |status: &Status| Refusal::from_status(status).reason == Reason::NotFound;
    if error.downcast_ref::<Status>().is_some_and(is_absent) { Ok(false) } else { Err(error) }
}

/// Whether a start that was cut short had come as far as the events.
async fn has_events(client: &Client) -> anyhow::Result<bool> {
    let event_types = vec!["tide".into()];
    let request = QueryRequest { event_types, entity_ns: NS.into(), page_size: 1, ..QueryRequest::default() };
    Ok(!client.events().query(request).await?.into_inner().events.is_empty())
}

#[cfg(test)]
#[path = "demo_test.rs"]
mod tests;
