//! `annals events`: find, follow and append events.

use anyhow::bail;
use proto::{
    convert,
    events::v1::{Order, QueryRequest, Start, SubscribeRequest},
};

use crate::{
    append,
    client::Client,
    filter::Filter,
    list::Limit,
    render::{self, Follow},
};

/// Show events by time, type and entity; with --follow, as they happen.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals events --type error --newest
  annals events --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z --limit all --json
  annals events --ns onet --id 15-1252.00
  annals events --follow --type log,error
  annals events --append readings.ndjson

--follow ends with Ctrl-C and prints, with --json, one document a line.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,

    /// How many, or all.
    #[arg(long, default_value = "50")]
    limit: Limit,

    /// Newest first.
    #[arg(long)]
    newest: bool,

    /// Show events as they are stored, from now on.
    #[arg(long, conflicts_with_all = ["from", "to", "limit", "newest"])]
    follow: bool,

    /// Follow from the position that a broken follow told.
    #[arg(long, requires = "follow")]
    cursor: Option<String>,

    /// Append the events of an NDJSON file (- for standard input): a JSON object of our columns a line.
    #[arg(long, value_name = "FILE", exclusive = true)]
    append: Option<std::path::PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    if let Some(file) = args.append {
        return append::run(&file, client, is_json).await;
    }
    if args.follow {
        return follow(args, client, is_json).await;
    }
    let Args { filter, limit, newest, .. } = args;
    let (event_types, entity_ns, entity_id) = filter.to_wire();
    let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
    let mut request = QueryRequest {
        from: filter.from.map(convert::timestamp_to_wire),
        to: filter.to.map(convert::timestamp_to_wire),
        event_types,
        entity_ns,
        entity_id,
        order: order.into(),
        ..QueryRequest::default()
    };
    let mut found = Vec::new();
    loop {
        request.page_size = limit.page_size(found.len());
        let page = client.events().query(request.clone()).await?.into_inner();
        found.extend(page.events);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || found.len() >= limit.0 {
            break;
        }
    }
    render::events(&found, &request.page_token, is_json);
    Ok(())
}

async fn follow(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { filter, cursor, .. } = args;
    let (event_types, entity_ns, entity_id) = filter.to_wire();
    let request = SubscribeRequest {
        cursor: cursor.unwrap_or_default(),
        start: Start::Now.into(),
        event_types,
        entity_ns,
        entity_id,
        all_tenants: false,
    };
    let show = if is_json { Follow::Json } else { Follow::Text };
    let mut last = request.cursor.clone();
    let mut answers = client.events().subscribe(request).await?.into_inner();
    loop {
        let answer = tokio::select! {
            answer = answers.message() => answer,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match answer {
            Ok(Some(answer)) => {
                if let Some(event) = &answer.event {
                    show.show(event);
                }
                last = answer.cursor;
            }
            Ok(None) if last.is_empty() => bail!("the server ended; run the command again"),
            Ok(None) => bail!("the server ended; go on from here with --cursor {last}"),
            Err(status) if last.is_empty() => return Err(status.into()),
            Err(status) => {
                return Err(anyhow::Error::from(status).context(format!("go on from here with --cursor {last}")));
            }
        }
    }
}
