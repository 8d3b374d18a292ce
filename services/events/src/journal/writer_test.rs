//! The writer on a disk that refuses: appends are refused, and taken again when it has passed.

use std::fs::OpenOptions;

use domain::TenantId;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use ulid::Ulid;

use super::*;
use crate::index::Entity;
use proto::common::v1::EntityKind;

/// A writer without its thread: what it does is done when `append` returns.
struct Bench {
    dir: TempDir,
    writer: Writer,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-01-31T09:30:00Z".parse().unwrap());
        let identity = Identity { id: Ulid(77), epoch: 1 };
        let mut index = Index::default();
        index.number(&TenantId::local());
        let tail = super::super::recovery::recover(dir.path(), identity, &[], &mut index).unwrap();
        let (published, _) = watch::channel(0);
        let index = Arc::new(RwLock::new(index));
        let window = dir.path().join("window");
        std::fs::create_dir(&window).unwrap();
        let writer = Writer {
            dir: dir.path().to_owned(),
            identity,
            segment_bytes: 1 << 20,
            clock,
            tail,
            mend: Mend::Nothing,
            index,
            window: Arc::new(Window::open(&window).unwrap()),
            end: published,
            buffer: Vec::new(),
        };
        Self { dir, writer }
    }

    fn append(&mut self, ulids: &[u128]) -> Result<Appended, AppendError> {
        self.append_all(&[ulids]).remove(0)
    }

    /// Appends several batches as one group.
    fn append_all(&mut self, batches: &[&[u128]]) -> Vec<Result<Appended, AppendError>> {
        let (mut appends, mut answers) = (Vec::new(), Vec::new());
        for ulids in batches {
            let (answer, answered) = oneshot::channel();
            let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
            appends.push(Append { batch: self.batch(ulids), answer, room });
            answers.push(answered);
        }
        self.writer.commit(appends);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }

    fn batch(&self, ulids: &[u128]) -> Batch {
        let index = self.writer.index.read();
        let tenant = index.tenant(&TenantId::local()).unwrap();
        let mut batch = Batch::new(None);
        for ulid in ulids {
            let entity = Entity { kind: EntityKind::Thing, ns: "", id: "" };
            let entry = index.keys().entry(tenant, Ulid(*ulid), "log", entity);
            let event = proto::events::v1::Event {
                ulid: Ulid(*ulid).to_string(),
                event_type: "log".into(),
                tenant: "default".into(),
                ..Default::default()
            };
            batch.push(entry, |bytes| prost::Message::encode(&event, bytes).unwrap());
        }
        batch
    }

    /// The ULIDs that a restart finds.
    fn recovered(&self) -> Vec<u128> {
        let mut index = Index::default();
        let firsts = segment::list(self.dir.path()).unwrap();
        super::super::recovery::recover(self.dir.path(), self.writer.identity, &firsts, &mut index).unwrap();
        (index.beginning()..index.end()).map(|offset| index.locate(offset).ulid.0).collect()
    }
}

/// Every write to it fails with ENOSPC.
fn full_disk() -> std::fs::File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// It takes every write and fails every fdatasync, with EINVAL.
fn disk_that_cannot_sync() -> std::fs::File {
    OpenOptions::new().write(true).open("/dev/null").unwrap()
}

#[test]
fn a_full_disk_refuses_the_append_and_the_next_one_is_taken() {
    let mut bench = Bench::new();
    bench.append(&[1]).unwrap();
    bench.writer.tail.file = Some(full_disk());
    assert!(matches!(bench.append(&[2]), Err(AppendError::Unavailable(_))));
    assert_eq!(bench.append(&[3]), Ok(Appended { end: 2, duplicates: vec![] }));
    assert_eq!(bench.recovered(), [1, 3]);
}

#[test]
fn after_a_failed_sync_the_journal_goes_on_in_a_fresh_segment() {
    let mut bench = Bench::new();
    bench.append(&[1]).unwrap();
    let synced = bench.writer.tail.synced;
    bench.writer.tail.file = Some(disk_that_cannot_sync());
    assert!(matches!(bench.append(&[2]), Err(AppendError::Unavailable(_))));
    bench.append(&[3]).unwrap();
    assert_eq!(segment::list(bench.dir.path()).unwrap(), [0, 1]);
    assert_eq!(segment::path_of(bench.dir.path(), 0).metadata().unwrap().len(), synced);
    assert_eq!(bench.recovered(), [1, 3]);
}

#[test]
fn a_failed_first_sync_replaces_the_empty_segment() {
    let mut bench = Bench::new();
    bench.writer.tail.file = Some(disk_that_cannot_sync());
    assert!(bench.append(&[1]).is_err());
    bench.append(&[2]).unwrap();
    assert_eq!(segment::list(bench.dir.path()).unwrap(), [0]);
    assert_eq!(bench.recovered(), [2]);
}

#[test]
fn what_a_failed_write_left_behind_is_cut() {
    let mut bench = Bench::new();
    bench.append(&[1]).unwrap();
    let position = bench.writer.tail.synced;
    let file = bench.writer.tail.file.as_ref().unwrap();
    file.write_all_at(b"half a record", position).unwrap();
    bench.writer.tail.file = Some(full_disk());
    assert!(bench.append(&[2]).is_err());
    assert_eq!(segment::path_of(bench.dir.path(), 0).metadata().unwrap().len(), position);
}

#[test]
fn a_segment_that_cannot_be_replaced_refuses_until_it_can() {
    let mut bench = Bench::new();
    bench.append(&[1]).unwrap();
    bench.writer.segment_bytes = SEGMENT_HEADER;
    let in_the_way = segment::path_of(bench.dir.path(), 1).with_extension("unfinished");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(bench.append(&[2]), Err(AppendError::Unavailable(_))));
    std::fs::remove_dir(&in_the_way).unwrap();
    bench.append(&[3]).unwrap();
    assert_eq!(bench.recovered(), [1, 3]);
}

#[test]
fn a_refused_append_leaves_no_trace_in_the_index() {
    let mut bench = Bench::new();
    bench.writer.tail.file = Some(full_disk());
    assert!(bench.append(&[1]).is_err());
    assert_eq!(bench.append(&[1]), Ok(Appended { end: 1, duplicates: vec![] }));
}

#[test]
fn a_ulid_is_stored_once_within_a_batch_a_group_and_the_journal() {
    let mut bench = Bench::new();
    let answers = bench.append_all(&[&[1, 2, 1], &[2, 3]]);
    assert_eq!(answers[0], Ok(Appended { end: 2, duplicates: vec![2] }));
    assert_eq!(answers[1], Ok(Appended { end: 3, duplicates: vec![0] }));
    assert_eq!(bench.append(&[3, 1]), Ok(Appended { end: 3, duplicates: vec![0, 1] }));
    assert_eq!(bench.recovered(), [1, 2, 3]);
}

#[test]
fn intake_never_runs_backwards() {
    let mut bench = Bench::new();
    bench.append(&[1]).unwrap();
    bench.writer.clock.advance(-60_000);
    bench.append(&[2]).unwrap();
    let index = bench.writer.index.read();
    assert_eq!(index.locate(0).intake, index.locate(1).intake);
}
