//! `annals import`: the rows of a file become things or relationships.
//!
//! The file is read by one thread a few messages ahead of the server, which is never kept waiting for it. Memory is
//! bounded but for about 40 bytes a name, which tell equal rows from contradictions.

mod data;
mod parse;
mod plan;
mod progress;
mod read;
mod report;
mod row;
mod seen;
mod send;
mod template;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use domain::Style;
use tokio::{sync::mpsc, task};

use crate::{client::Client, render};

use self::{data::DataTemplate, parse::Parser, plan::Plan, send::Sender, template::Template};
pub(crate) use self::{
    progress::Progress,
    read::{Format, Rows, Source},
    report::Report,
};

/// What the parser may be ahead of the sender: batches of up to 4 MiB each, and rows that were left out.
const ITEMS_AHEAD: usize = 4;

/// Put the rows of a TSV, CSV or NDJSON file as things or relationships, or all that `annals export` wrote.
///
/// Each row becomes what the templates say. In a template {Column} is the value of a column, {row} a hash of the whole
/// row (the first 16 hexadecimal digits of the SHA-256 of its columns as compact JSON), \n a line break, {{ and }}
/// braces. A row that cannot be used is told with its line and left out; running the command again changes nothing
/// that is already so. A row that says the same as an earlier one is counted as equal; one that has the name of an
/// earlier row and says something else is left out.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals import occupations.tsv --ns onet --id '{O*NET-SOC Code}' --type Occupation \\
      --content '# {Title}\\n\\n{Description}'
  annals import people.ndjson --ns example.com --id 'people/{login}' --type Person --data login,name
  annals import related.tsv --ns onet --type '{Relatedness Tier}' \\
      --from 'onet/{O*NET-SOC Code}' --to 'onet/{Related O*NET-SOC Code}'
  annals import everything.ndjson --exported

Ends with 1 if a row was left out.")]
pub(crate) struct Args {
    /// The file, or - for standard input.
    file: PathBuf,

    /// Format of the file. Default: what its extension says.
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// The file is what `annals export` wrote: its lines say what they put.
    #[arg(long, conflicts_with_all = TEMPLATES)]
    exported: bool,

    /// Go on with an import of this file that stopped, by the id that was told then; for a day. What it had stored stays as it is now.
    #[arg(long, value_name = "ID")]
    resume: Option<String>,

    /// Template of the namespace; it is registered on the way.
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "exported")]
    ns: Option<Template>,

    /// Template of the id. Default for relationships: {row}.
    #[arg(long, value_name = "TEMPLATE")]
    id: Option<Template>,

    /// Template of the type.
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "exported")]
    r#type: Option<Template>,

    /// Template of the content; none where it comes out empty.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "from")]
    content: Option<Template>,

    /// Template of the code; none where it comes out empty.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "from")]
    code: Option<Template>,

    /// Template of the variant; the canonical one where it comes out empty.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "from")]
    variant: Option<Template>,

    /// Template of the visibility: public, private or unlisted. Default: public.
    #[arg(long, value_name = "TEMPLATE")]
    visibility: Option<Template>,

    /// What becomes data: `all` columns, `none`, names of columns with commas between, or a JSON object whose strings
    /// are templates. Fields of TSV and CSV are strings; NDJSON keeps its values. Default: all.
    #[arg(long, value_name = "WHAT")]
    data: Option<DataTemplate>,

    /// Template of the thing that a relationship starts from, ns/id; makes the rows relationships.
    #[arg(long, value_name = "TEMPLATE", requires = "to")]
    from: Option<Template>,

    /// Template of the thing that a relationship leads to, ns/id.
    #[arg(long, value_name = "TEMPLATE", requires = "from")]
    to: Option<Template>,

    /// Style of the namespace, if it is not registered yet: wiki or literal. Default: wiki.
    #[arg(long)]
    style: Option<Style>,

    /// Why, for the history of what changes.
    #[arg(long, default_value = "")]
    cause: String,
}

/// What a row becomes where it does not say that itself.
const TEMPLATES: [&str; 11] =
    ["ns", "id", "type", "content", "code", "variant", "visibility", "data", "from", "to", "style"];

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<ExitCode> {
    let source = Source::open(&args.file)?;
    let report = load(&args, source, client, is_json).await?;
    if is_json {
        render::document(&report.to_json());
    } else {
        println!("{report}");
    }
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Imports `source` as `args` say; their file is only a name.
pub(crate) async fn load(args: &Args, source: Source, client: Client, is_quiet: bool) -> anyhow::Result<Report> {
    let format = args.format.map_or_else(|| Format::of_file(&args.file), Ok)?;
    let plan = Plan::new(args)?;
    let name = args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy().into_owned();
    let mut progress = Progress::new(&name, source.length, source.position.clone(), is_quiet);
    let rows = Rows::open(source, format).with_context(|| name.clone())?;
    rows.require(plan.columns().into_iter()).with_context(|| name.clone())?;

    let (items, parsed) = mpsc::channel(ITEMS_AHEAD);
    let parser = Parser::new(plan, items);
    let parsing = task::spawn_blocking(move || parser.run(rows));
    let mut report = Report::default();
    let import_id = args.resume.clone().unwrap_or_else(|| domain::Clock::system().ulid().to_string());
    let mut sender = Sender {
        client,
        style: args.style,
        cause: &args.cause,
        import_id: &import_id,
        next_row: 0,
        committed: 0,
        progress: &mut progress,
        report: &mut report,
    };
    let sent = sender.send_all(parsed, args.resume.is_some()).await;
    progress.finish();
    parsing.await.context("the parser ended in the middle")?;
    report.finish(progress.elapsed());
    match sent {
        Ok(()) => Ok(report),
        Err(error) if report.is_empty() => Err(error.context(name)),
        Err(error) => Err(error.context(format!("{name}: so far {report}"))),
    }
}
