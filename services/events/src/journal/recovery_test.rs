//! Opening a journal again: torn tails are cut, other damage is refused, nothing whole is lost.

use std::path::Path;

use domain::TenantId;
use tempfile::TempDir;
use ulid::Ulid;

use super::*;
use crate::index::Entity;
use proto::common::v1::EntityKind;

const SETTINGS: Settings = Settings { segment_bytes: 1 << 20, queue_bytes: 1 << 20 };

fn open(dir: &Path) -> Result<Journal, OpenError> {
    Journal::open(dir, SETTINGS, Clock::manual("2026-01-31T09:30:00Z".parse().unwrap()))
}

fn batch(journal: &Journal, ulids: &[u128]) -> Batch {
    let mut index = journal.index.write();
    let tenant = index.number(&TenantId::local());
    let mut batch = Batch::new(None);
    for ulid in ulids {
        let entity = Entity { kind: EntityKind::Thing, ns: "onet", id: "15-1252.00" };
        let entry = index.keys().entry(tenant, Ulid(*ulid), "log", entity);
        let event = proto::events::v1::Event {
            ulid: Ulid(*ulid).to_string(),
            event_type: "log".into(),
            entity_ns: "onet".into(),
            entity_id: "15-1252.00".into(),
            tenant: "default".into(),
            ..Default::default()
        };
        batch.push(entry, |bytes| prost::Message::encode(&event, bytes).unwrap());
    }
    batch
}

/// A directory whose one segment holds a group for each list of batches, as the writer makes them.
fn written(groups: &[&[&[u128]]]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    let mut segment = fs::read(segment::path_of(dir.path(), 0)).unwrap();
    let mut first = 0;
    for group in groups {
        let synced = segment.len() as u64;
        for ulids in *group {
            let start = segment.len();
            segment.resize(start + frame::RECORD_HEADER, 0);
            segment.extend_from_slice(&batch(&journal, ulids).bytes);
            let events = ulids.len() as u32;
            let position = start as u64;
            let header = frame::Header { first, position, synced, intake: 1, relay: None, events };
            frame::seal(&mut segment, start, journal.identity.mark(), &header);
            first += u64::from(events);
        }
    }
    drop(journal);
    fs::write(segment::path_of(dir.path(), 0), segment).unwrap();
    dir
}

fn bytes(dir: &TempDir) -> Vec<u8> {
    fs::read(segment::path_of(dir.path(), 0)).unwrap()
}

fn reopened_with(dir: &TempDir, segment: &[u8]) -> Result<Vec<u128>, OpenError> {
    fs::write(segment::path_of(dir.path(), 0), segment).unwrap();
    let journal = open(dir.path())?;
    let index = journal.index.read();
    Ok((index.beginning()..index.end()).map(|offset| index.locate(offset).ulid.0).collect())
}

/// Length of the segment that ends with its `groups`.
fn length_of(groups: &[&[&[u128]]]) -> usize {
    bytes(&written(groups)).len()
}

#[test]
fn a_journal_reads_back_what_was_appended() {
    let dir = written(&[&[&[1, 2]], &[&[3]]]);
    assert_eq!(reopened_with(&dir, &bytes(&dir)).unwrap(), [1, 2, 3]);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_record() {
    let dir = written(&[&[&[1]], &[&[2], &[3, 4]]]);
    let whole = bytes(&dir);
    let (one, two) = (length_of(&[&[&[1]]]), length_of(&[&[&[1]], &[&[2]]]));
    for length in one..whole.len() {
        let kept = reopened_with(&dir, &whole[..length]).unwrap();
        let (expected, cut): (&[u128], _) = if length < two { (&[1], one) } else { (&[1, 2], two) };
        assert_eq!(kept, expected, "torn at {length}");
        assert_eq!(bytes(&dir).len(), cut, "torn at {length}");
    }
}

#[test]
fn a_hole_in_the_last_group_is_a_torn_tail() {
    let dir = written(&[&[&[1]], &[&[2], &[3], &[4]]]);
    let whole = bytes(&dir);
    let (one, two) = (length_of(&[&[&[1]]]), length_of(&[&[&[1]], &[&[2]]]));
    for position in one..two {
        let mut holed = whole.clone();
        holed[position..two].fill(0);
        if holed != whole {
            assert_eq!(reopened_with(&dir, &holed).unwrap(), [1], "hole from {position}");
        }
    }
}

#[test]
fn a_bit_flipped_before_the_last_group_is_refused_with_file_and_position() {
    let dir = written(&[&[&[1]], &[&[2], &[3]], &[&[4]]]);
    let whole = bytes(&dir);
    let start = segment::SEGMENT_HEADER as usize;
    let starts = [start, length_of(&[&[&[1]]]), length_of(&[&[&[1]], &[&[2]]])];
    let end = length_of(&[&[&[1]], &[&[2], &[3]]]);
    for position in start..end {
        let mut damaged = whole.clone();
        damaged[position] ^= 1 << (position % 8);
        let record = *starts.iter().rfind(|start| **start <= position).unwrap() as u64;
        match reopened_with(&dir, &damaged) {
            Err(OpenError::Damaged { path, position: at }) => {
                assert_eq!((path, at), (segment::path_of(dir.path(), 0), record), "bit in byte {position}");
            }
            other => panic!("bit in byte {position}: {other:?}"),
        }
        assert_eq!(bytes(&dir), damaged, "a refused journal is left as it is");
    }
}

#[test]
fn an_event_that_holds_a_copy_of_a_record_is_no_record() {
    let dir = written(&[&[&[1]], &[&[2]]]);
    let mut segment = bytes(&dir);
    let record = segment[segment::SEGMENT_HEADER as usize..].to_vec();
    let torn = segment.len();
    segment.extend_from_slice(&[0; 100]);
    segment.extend_from_slice(&record);
    assert_eq!(reopened_with(&dir, &segment).unwrap(), [1, 2]);
    assert_eq!(bytes(&dir).len(), torn);
}

#[test]
fn a_damaged_header_is_refused() {
    let dir = written(&[&[&[1]]]);
    let whole = bytes(&dir);
    for position in 0..segment::SEGMENT_HEADER as usize {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        assert!(
            matches!(reopened_with(&dir, &damaged), Err(OpenError::Damaged { position: 0, .. })),
            "byte {position}"
        );
    }
}

#[tokio::test]
async fn damage_before_another_segment_is_refused_and_a_gap_is_where_the_journal_begins() {
    let dir = tempfile::tempdir().unwrap();
    for ulid in 1..4 {
        let settings = Settings { segment_bytes: 1, ..SETTINGS };
        let clock = Clock::manual("2026-01-31T09:30:00Z".parse().unwrap());
        let journal = Journal::open(dir.path(), settings, clock).unwrap();
        journal.append(batch(&journal, &[ulid])).await.unwrap();
    }
    assert_eq!(segment::list(dir.path()).unwrap(), [0, 1, 2]);
    let middle = segment::path_of(dir.path(), 1);
    let whole = fs::read(&middle).unwrap();
    fs::write(&middle, &whole[..whole.len() - 1]).unwrap();
    let position = segment::SEGMENT_HEADER;
    assert!(
        matches!(open(dir.path()), Err(OpenError::Damaged { path, position: at }) if path == middle && at == position)
    );
    fs::remove_file(&middle).unwrap();
    let offsets = |journal: Journal| {
        let index = journal.index.read();
        (index.beginning(), index.end())
    };
    assert_eq!(offsets(open(dir.path()).unwrap()), (2, 3));
    fs::write(&middle, &whole).unwrap();
    assert_eq!(offsets(open(dir.path()).unwrap()), (0, 3));
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let (dir, other) = (written(&[&[&[1]]]), tempfile::tempdir().unwrap());
    drop(open(other.path()).unwrap());
    let segment = bytes(&dir);
    assert!(matches!(reopened_with(&other, &segment), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_second_process_is_refused_while_the_first_runs() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Locked { .. })));
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn a_journal_keeps_its_identity_and_is_not_made_anew_beside_segments() {
    let dir = tempfile::tempdir().unwrap();
    let identity = open(dir.path()).unwrap().identity();
    assert_eq!(open(dir.path()).unwrap().identity(), identity);
    fs::remove_file(dir.path().join("identity")).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_batch_larger_than_it_still_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { queue_bytes: 64, ..SETTINGS };
    let clock = Clock::manual("2026-01-31T09:30:00Z".parse().unwrap());
    let journal = Journal::open(dir.path(), settings, clock).unwrap();
    journal.append(batch(&journal, &[1, 2, 3])).await.unwrap();
    let held = Arc::clone(&journal.room).try_acquire_owned().unwrap();
    assert_eq!(journal.append(batch(&journal, &[4])).await, Err(AppendError::Full));
    drop(held);
    journal.append(batch(&journal, &[4])).await.unwrap();
}
