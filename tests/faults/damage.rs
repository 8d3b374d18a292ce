//! Damage of the journal's files: what may be a torn tail is cut and said, anything else is refused by file and place.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use proto::events::v1::{AppendRequest, Event, QueryRequest};

use crate::crash::client::Client;
use crate::crash::machine::Machine;

/// A machine without power whose journal has these events, each synced for itself, in one segment.
async fn with_events(machine: &Machine, events: &[&str]) -> anyhow::Result<()> {
    let server = machine.start().await?;
    let mut client = Client::connect(server.address).await?;
    for event in events {
        let event = Event { event_type: (*event).into(), ..Event::default() };
        client.events.append(AppendRequest { events: vec![event], relay: None }).await?;
    }
    Ok(server.running.kill()?)
}

async fn event_types(machine: &Machine) -> anyhow::Result<Vec<String>> {
    let server = machine.start().await?;
    let mut client = Client::connect(server.address).await?;
    let answer = client.events.query(QueryRequest::default()).await?.into_inner();
    Ok(answer.events.into_iter().map(|event| event.event_type).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_in_the_middle_is_refused_by_file_and_place() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    with_events(&machine, &["one", "two", "three"]).await?;
    let segments = machine.segments()?;
    let bytes = fs::read(&segments[0])?;
    let flipped = bytes.windows(3).position(|window| window == b"two").expect("the event is there");
    File::options().write(true).open(&segments[0])?.write_all_at(&[bytes[flipped] ^ 1], flipped as u64)?;

    let refusal = machine.start().await.expect_err("it does not start").to_string();
    let (_, rest) = refusal.split_once(&*segments[0].to_string_lossy()).expect("the file is named");
    let (_, rest) = rest.split_once("is damaged at byte ").unwrap_or_else(|| panic!("{refusal}"));
    let place: usize = rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?;
    // The record that the byte is in begins there.
    let first = bytes.windows(3).position(|window| window == b"one").expect("the event is there");
    assert!(first < place && place < flipped, "{refusal}");
    assert_eq!(fs::metadata(&segments[0])?.len(), bytes.len() as u64, "nothing is cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_is_cut_and_said() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    with_events(&machine, &["one", "two", "three"]).await?;
    let segments = machine.segments()?;
    let length = fs::metadata(&segments[0])?.len();
    File::options().write(true).open(&segments[0])?.set_len(length - 3)?;

    assert_eq!(event_types(&machine).await?, ["one", "two"]);
    let log = machine.log();
    let said = log.lines().find(|line| line.contains("cut a torn tail of the journal"));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    assert!(said.contains(&*segments[0].to_string_lossy()), "{said}");
    assert_eq!(event_types(&machine).await?, ["one", "two"], "and it is cut for good");
    Ok(())
}
