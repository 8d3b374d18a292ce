//! Owns the client that appends in streams, many batches under way at a time, until the server dies under it.

use std::collections::VecDeque;

use anyhow::{Context, ensure};
use proto::events::v1::{AppendStreamRequest, AppendStreamResponse};
use serve::Refusal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::appends::{Appender, Made};
use super::client::{Client, refused};
use super::request::Answer;
use super::shared::Shared;

/// Batches under way.
const AHEAD: usize = 16;
/// Batches of one stream: then the client closes its side, and the stream must end well.
const BATCHES: i64 = 200;

/// Appends in one stream after the other until the server dies or the round ends.
pub(crate) async fn run(mut appender: Appender, mut client: Client, shared: &Shared) -> anyhow::Result<Appender> {
    while !shared.is_stopped() {
        if !stream(&mut appender, &mut client, shared).await? {
            break;
        }
    }
    Ok(appender)
}

/// One stream. Whether the server lives.
async fn stream(appender: &mut Appender, client: &mut Client, shared: &Shared) -> anyhow::Result<bool> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut told = match client.events.append_stream(ReceiverStream::new(receiver)).await {
        Ok(told) => told.into_inner(),
        Err(status) => return Ok(refused(&status)? != Answer::Nothing),
    };
    let (mut sender, mut under_way, mut last, mut acknowledged) = (Some(sender), VecDeque::<Made>::new(), 0, 0);
    loop {
        if shared.is_stopped() || last == BATCHES {
            sender = None;
        }
        if let Some(sender) = &sender
            && under_way.len() < AHEAD
        {
            let made = appender.make()?;
            last += 1;
            // One that has ended says so below.
            let _ = sender.send(AppendStreamRequest { events: made.events.clone(), batch: 0 }).await;
            under_way.push_back(made);
            continue;
        }
        match told.message().await {
            Ok(Some(AppendStreamResponse { batch, ulids, cursor: _, duplicates })) => {
                let made = under_way.pop_front().context("an answer to nothing")?;
                acknowledged += 1;
                ensure!(batch == acknowledged, "batch {batch} is acknowledged after {}", acknowledged - 1);
                let given = if made.has_ulids { 0 } else { made.events.len() };
                ensure!(ulids.len() == given, "{} ULIDs for {made:?}", ulids.len());
                appender.stored(&made, &ulids, &duplicates)?;
                // Beside this one the other clients must come to their turns.
                if acknowledged % AHEAD as i64 == 0 {
                    shared.count_answer();
                }
            }
            Ok(None) => {
                ensure!(sender.is_none() && under_way.is_empty(), "the stream ends without an answer to {under_way:?}");
                return Ok(true);
            }
            Err(status) => {
                let is_alive = refused(&status)? != Answer::Nothing;
                if let Some(batch) = Refusal::from_status(&status).metadata.get("batch") {
                    let first = under_way.front().with_context(|| format!("nothing is under way: {status:?}"))?;
                    ensure!(*batch == (acknowledged + 1).to_string(), "{batch} is not the first after {acknowledged}");
                    appender.refused(first);
                    shared.count_answer();
                }
                return Ok(is_alive);
            }
        }
    }
}
