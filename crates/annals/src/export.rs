//! `annals export`: everything that one may see, as lines of a file.
//!
//! Owns going on where a call has ended early. Never holds more than one message.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use gateway::json as http;
use proto::{
    common::v1::Reason,
    things::v1::{ExportThingsRequest, ExportThingsResponse},
};
use serve::Refusal;
use tonic::{Code, Status};

use crate::{client::Client, import::Progress, name::NamespaceName, render::grouped};

/// How often in a row a call that has ended early is made again.
const TRIES: u32 = 5;
/// The first pause before that, where the server does not say one; then it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Write everything that one may see to a file, to be imported again.
///
/// Each line is a JSON object with one of `namespace`, `thing` and `relationship`, in this order. It is all of one moment; where a
/// call ends early it goes on at another moment, and says so. The namespaces are those that one may read: things of others, and
/// relationships to what is not exported, are imported where these are there already.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals export --output everything.ndjson
  annals export onet/ > onet.ndjson
  annals export --under github.com/ --output repos.ndjson
  annals import everything.ndjson --exported")]
pub(crate) struct Args {
    /// The namespace: onet/, /github.com/repos/. Without it all that there are.
    #[arg(value_name = "NS/")]
    ns: Option<NamespaceName>,

    /// Of this namespace and of those under it.
    #[arg(long, value_name = "NS/", conflicts_with = "ns")]
    under: Option<NamespaceName>,

    /// The file to write. Default: standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { ns, under, output } = args;
    // What is there stays until there is a whole one.
    let part = output.as_ref().map(|path| path.with_added_extension("part"));
    let mut lines: Box<dyn Write + Send> = match &part {
        Some(path) => Box::new(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?)),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut progress = Progress::new("export", None, Arc::default(), is_json);
    let mut request = ExportThingsRequest {
        ns: NamespaceName::or_empty(ns),
        ns_prefix: NamespaceName::or_empty(under),
        page_token: String::new(),
        page_size: 0,
    };
    let (mut rows, mut moments, mut tries) = (0, 0, 0);
    loop {
        let (before, token) = (rows, request.page_token.clone());
        let Err(status) = stream(&client, &mut request, &mut *lines, &mut rows, &mut progress).await? else { break };
        tries = if request.page_token == token { tries + 1 } else { 1 };
        moments += u32::from(rows > before);
        let is_over = !matches!(
            status.code(),
            Code::Unavailable
                | Code::ResourceExhausted
                | Code::Cancelled
                | Code::DeadlineExceeded
                // Of a connection that was lost.
                | Code::Unknown
                | Code::Internal
        );
        if is_over || tries > TRIES {
            progress.finish();
            return Err(anyhow::Error::from(status).context(format!("after {} rows", grouped(rows))));
        }
        let refusal = Refusal::from_status(&status);
        tokio::time::sleep(refusal.retry_after.unwrap_or(PAUSE * 2_u32.pow(tries - 1))).await;
    }
    lines.flush().context("the last lines cannot be written")?;
    drop(lines);
    if let (Some(part), Some(path)) = (part, output) {
        fs::rename(part, &path).with_context(|| path.display().to_string())?;
    }
    progress.finish();
    let seconds = progress.elapsed().as_secs_f64();
    let rate = grouped((rows as f64 / seconds.max(0.001)) as u64);
    eprintln!("{} rows in {seconds:.1} s, {rate} rows/s", grouped(rows));
    if moments > 0 {
        eprintln!("the call ended early {moments} times: the rows behind are of later moments");
    }
    Ok(())
}

/// One call, which goes on behind what there is. The error is the call's.
async fn stream(
    client: &Client,
    request: &mut ExportThingsRequest,
    lines: &mut (dyn Write + Send),
    rows: &mut u64,
    progress: &mut Progress,
) -> anyhow::Result<Result<(), Status>> {
    let mut messages = match client.things().export_things(request.clone()).await {
        Ok(messages) => messages.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    loop {
        let ExportThingsResponse { rows: given, next_page_token } = match messages.message().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                let refusal = Refusal::new(Reason::PeerUnavailable, "the export ended before its last message");
                return Ok(Err(refusal.into()));
            }
            Err(status) => return Ok(Err(status)),
        };
        for row in &given {
            writeln!(lines, "{}", http::row(row)).context("a line cannot be written")?;
        }
        *rows += given.len() as u64;
        progress.advance(given.len());
        if next_page_token.is_empty() {
            return Ok(Ok(()));
        }
        request.page_token = next_page_token;
    }
}
