//! `annals events --append`: the lines of a file become events.

use std::path::Path;

use anyhow::{Context as _, bail};
use gateway::json as http;
use prost::Message as _;
use proto::events::v1::{AppendRequest, Event};

use crate::{
    client::Client,
    import::{Format, Rows, Source},
    render,
};

/// The most events of one append.
const BATCH_EVENTS: usize = 1_000;

/// The most bytes of one append; the server takes 4 MiB with everything around them.
const BATCH_BYTES: usize = (4 << 20) - (16 << 10);

/// What was appended.
#[derive(Default)]
pub(crate) struct Appended {
    stored: usize,
    duplicates: usize,
    failed: usize,
    cursor: String,
}

/// Runs the command.
pub(crate) async fn run(file: &Path, client: Client, is_json: bool) -> anyhow::Result<()> {
    let appended = load(Source::open(file)?, client).await?;
    let Appended { stored, duplicates, failed, cursor } = &appended;
    if is_json {
        let mut writer = http::Writer::object();
        writer.number("stored", stored);
        writer.number("duplicates", duplicates);
        writer.number("failed", failed);
        writer.text("cursor", cursor);
        render::document(&writer.finish());
    } else {
        println!("{stored} stored, {duplicates} known before by their ULID, {failed} failed");
    }
    if *failed > 0 {
        bail!("{failed} lines are no events and were left out");
    }
    Ok(())
}

/// Appends the events of `source`, in batches that are stored all or none.
pub(crate) async fn load(source: Source, client: Client) -> anyhow::Result<Appended> {
    let mut rows = Rows::open(source, Format::Ndjson)?;
    let (mut appended, mut batch, mut bytes) = (Appended::default(), Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let event = row
            .map_err(|bad| (bad.line, bad.reason))
            .and_then(|row| event(&row.as_json().to_string()).map_err(|problem| (row.line, problem)));
        match event {
            Err((line, problem)) => {
                eprintln!("line {line}: {problem}");
                appended.failed += 1;
            }
            Ok(event) => {
                let size = event.encoded_len() + 6;
                if batch.len() == BATCH_EVENTS || (bytes + size > BATCH_BYTES && !batch.is_empty()) {
                    send(&client, std::mem::take(&mut batch), &mut appended).await?;
                    bytes = 0;
                }
                bytes += size;
                batch.push(event);
            }
        }
    }
    if !batch.is_empty() {
        send(&client, batch, &mut appended).await?;
    }
    Ok(appended)
}

async fn send(client: &Client, events: Vec<Event>, appended: &mut Appended) -> anyhow::Result<()> {
    let count = events.len();
    let answer = client.events().append(AppendRequest { events, relay: None }).await;
    let answer = answer.with_context(|| format!("after {} events", appended.stored))?.into_inner();
    appended.duplicates += answer.duplicates.len();
    appended.stored += count - answer.duplicates.len();
    appended.cursor = answer.cursor;
    Ok(())
}

/// The event that one line is, or what is wrong with it.
fn event(line: &str) -> Result<Event, String> {
    http::read_line(line.as_bytes()).map_err(|refusal| refusal.to_string().replace("events[0].", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_an_event_with_its_json_as_text() {
        let event = event(r#"{"event_type":"metric","data":{"b":1.50,"a":2}}"#).unwrap();
        assert_eq!((event.event_type.as_str(), event.data.as_str()), ("metric", r#"{"b":1.50,"a":2}"#));
    }

    #[test]
    fn an_unknown_column_is_told_with_the_nearest() {
        let problem = event(r#"{"event_typ":"log"}"#).unwrap_err();
        assert!(problem.contains("event_typ") && problem.contains("event_type is the nearest"), "{problem}");
    }
}
