//! `annals events --append`: the lines of a file become events, in one stream.
//!
//! Each event has a ULID before it is sent, so what was not acknowledged when a connection broke is sent again and
//! stored once. Never holds more of the file than what is under way.

use std::{collections::VecDeque, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use domain::Clock;
use gateway::json as http;
use prost::Message as _;
use proto::{
    convert::new_event,
    events::v1::{AppendStreamRequest, AppendStreamResponse, Event},
};
use serve::Refusal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    client::Client,
    import::{Format, Progress, Rows, Source},
    render,
};

/// The most events of one batch.
const BATCH_EVENTS: usize = 1_000;
/// The most bytes of one batch: small enough that several are under way in a stream's window.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that are not acknowledged yet.
const AHEAD: usize = 16;
/// How often in a row a broken stream is begun again.
const TRIES: u32 = 5;
/// The first pause before that, where the server does not say one; then it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// What was appended.
#[derive(Default)]
pub(crate) struct Appended {
    stored: usize,
    duplicates: usize,
    failed: usize,
    cursor: String,
    /// The last line of what is stored.
    line: u64,
}

/// Runs the command.
pub(crate) async fn run(file: &Path, client: Client, is_json: bool) -> anyhow::Result<()> {
    let source = Source::open(file)?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let mut progress = Progress::new(&name, source.length, source.position.clone(), is_json);
    let appended = load(source, client, &mut progress).await;
    progress.finish();
    let appended = appended?;
    let Appended { stored, duplicates, failed, cursor, line: _ } = &appended;
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
pub(crate) async fn load(source: Source, client: Client, progress: &mut Progress) -> anyhow::Result<Appended> {
    let lines = Lines { rows: Rows::open(source, Format::Ndjson)?, clock: Clock::system(), left: None };
    let mut loading = Loading { lines, under_way: VecDeque::new(), appended: Appended::default(), progress };
    let mut tries = 0;
    loop {
        let before = loading.appended.line;
        let Err(status) = loading.stream(&client).await? else { return Ok(loading.appended) };
        tries = if loading.appended.line > before { 1 } else { tries + 1 };
        let refusal = Refusal::from_status(&status);
        let is_over = !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Cancelled);
        if loading.leave_out(&refusal) {
            tries = 0;
        } else if is_over || tries > TRIES {
            let Appended { stored, line, .. } = loading.appended;
            let context = format!("after {stored} events, up to line {line}: what follows can be appended again");
            return Err(anyhow::Error::from(status).context(context));
        } else {
            tokio::time::sleep(refusal.retry_after.unwrap_or(PAUSE * 2_u32.pow(tries - 1))).await;
        }
    }
}

/// Events with the lines that they stand in.
#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    events: Vec<Event>,
}

/// A line and its event, or what is wrong with it.
type Line = Result<(u64, Event), (u64, String)>;

/// The lines of a file as batches.
struct Lines {
    rows: Rows,
    clock: Clock,
    /// What did not fit into the last one.
    left: Option<(u64, Event)>,
}

struct Loading<'a> {
    lines: Lines,
    under_way: VecDeque<Batch>,
    appended: Appended,
    progress: &'a mut Progress,
}

impl Loading<'_> {
    /// One stream: first what was not acknowledged in the one before. The error is the stream's.
    async fn stream(&mut self, client: &Client) -> anyhow::Result<Result<(), Status>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let mut told: Streaming<AppendStreamResponse> =
            match client.events().append_stream(ReceiverStream::new(receiver)).await {
                Ok(told) => told.into_inner(),
                Err(status) => return Ok(Err(status)),
            };
        let mut sender = Some(sender);
        let mut sent = 0;
        loop {
            if sent == self.under_way.len() && sent < AHEAD && sender.is_some() {
                match self.lines.next(&mut self.appended, self.progress)? {
                    Some(batch) => self.under_way.push_back(batch),
                    None => sender = None,
                }
            }
            if let Some(sender) = &sender
                && let Some(batch) = self.under_way.get(sent)
            {
                let request = AppendStreamRequest { events: batch.events.clone(), batch: 0 };
                sent += 1;
                // A stream that has ended says why below.
                let _ = sender.send(request).await;
                if sent < AHEAD {
                    continue;
                }
            }
            match told.message().await {
                Ok(Some(answer)) => {
                    let batch = self.under_way.pop_front().context("the server acknowledged what was not sent")?;
                    sent -= 1;
                    self.acknowledged(&batch, answer);
                }
                Ok(None) if sender.is_none() && self.under_way.is_empty() => return Ok(Ok(())),
                Ok(None) => bail!("the server ended the stream before everything was acknowledged"),
                Err(status) => return Ok(Err(status)),
            }
        }
    }

    fn acknowledged(&mut self, batch: &Batch, answer: AppendStreamResponse) {
        let (count, known) = (batch.events.len(), answer.duplicates.len());
        self.appended.duplicates += known;
        self.appended.stored += count - known;
        self.appended.cursor = answer.cursor;
        self.appended.line = batch.lines.last().copied().unwrap_or(self.appended.line);
        self.progress.advance(count);
    }

    /// Takes the events out that a refusal names, in the first batch that is not acknowledged; whether there were any.
    fn leave_out(&mut self, refusal: &Refusal) -> bool {
        let Some(batch) = self.under_way.front_mut() else { return false };
        let mut bad: Vec<usize> = Vec::new();
        for violation in &refusal.violations {
            let rest = violation.field.strip_prefix("events[").and_then(|rest| rest.split_once(']'));
            let Some((place, field)) = rest else { continue };
            if let Some(place) = place.parse().ok().filter(|place| *place < batch.events.len()) {
                let line = batch.lines[place];
                self.progress.say(&format!("line {line}: {}: {}", field.trim_start_matches('.'), violation.rule));
                bad.push(place);
            }
        }
        bad.sort_unstable();
        bad.dedup();
        for place in bad.iter().rev() {
            batch.events.remove(*place);
            batch.lines.remove(*place);
        }
        if batch.events.is_empty() {
            self.under_way.pop_front();
        }
        self.appended.failed += bad.len();
        !bad.is_empty()
    }
}

impl Lines {
    /// The next batch; none after the last line. Lines that are no events are told and left out.
    fn next(&mut self, appended: &mut Appended, progress: &Progress) -> anyhow::Result<Option<Batch>> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        loop {
            let next = match self.left.take() {
                Some(left) => Some(Ok(left)),
                None => self.read()?,
            };
            match next {
                None => break,
                Some(Err((line, problem))) => {
                    progress.say(&format!("line {line}: {problem}"));
                    appended.failed += 1;
                }
                Some(Ok((line, event))) => {
                    let size = event.encoded_len() + 6;
                    if batch.events.len() == BATCH_EVENTS || (bytes + size > BATCH_BYTES && !batch.events.is_empty()) {
                        self.left = Some((line, event));
                        break;
                    }
                    bytes += size;
                    batch.events.push(event);
                    batch.lines.push(line);
                }
            }
        }
        Ok((!batch.events.is_empty()).then_some(batch))
    }

    /// The event of the next line, or what is wrong with it.
    fn read(&mut self) -> anyhow::Result<Option<Line>> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let read = row.map_err(|bad| (bad.line, bad.reason)).and_then(|row| {
            let mut event = event(&row.as_json().to_string()).map_err(|problem| (row.line, problem))?;
            if event.ulid.is_empty() {
                event.ulid = self.clock.ulid().to_string();
            }
            Ok((row.line, event))
        });
        Ok(Some(read))
    }
}

/// The event that one line is, or what is wrong with it: all that the server would say of it but for its age.
fn event(line: &str) -> Result<Event, String> {
    let event: Event =
        http::read_line(line.as_bytes()).map_err(|refusal| refusal.to_string().replace("events[0].", ""))?;
    new_event(event.clone()).map_err(|invalid| invalid.to_string())?;
    Ok(event)
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

    #[test]
    fn a_value_that_breaks_a_rule_is_told_before_it_is_sent() {
        let problem = event(r#"{"event_type":"log","status":1000}"#).unwrap_err();
        assert!(problem.contains("status"), "{problem}");
    }
}
