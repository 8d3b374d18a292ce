//! Owns merging small files of a partition into large sorted ones, so that readers open few. Never changes a row.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError},
    time::Duration,
};

use arrow_array::RecordBatch;
use futures::TryStreamExt as _;
use iceberg::spec::{DataFile, Operation};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, async_reader::ParquetRecordBatchStream};
use ulid::Ulid;

use super::{
    Archive, Error, FEWEST_ROWS,
    commit::Change,
    file::{FileWriter, GROUP_BYTES},
    new_location,
    reader::FileReader,
    sorted::{Merge, Source},
    step_rows,
    store::Reader,
    table::{Partition, Table},
    view::TableView,
    wanted::ArchivedFile,
};

/// A file below this is small.
const SMALL_BYTES: u64 = 128 << 20;
/// A file is closed at this size.
const FULL_BYTES: u64 = 512 << 20;
/// So many small files of a partition are merged; fewer stay, so that the same rows are not written all the time.
pub(crate) const MANY: usize = 8;
/// With so many, callers do not go first any more.
const BEHIND: usize = 4 * MANY;
/// The largest of them are left alone: merging only small ones keeps the sum of all writing small.
const LEFT_ALONE: usize = 3;
/// Files that are merged at once, and bytes of them in memory: a row group of each.
const MAX_INPUTS: usize = 16;
const MAX_HELD_BYTES: u64 = 32 << 20;
/// A partition that got no file for so long rests: all of its small files are merged.
pub(crate) const REST: Duration = Duration::from_hours(1);

/// What a compaction has done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Compacted {
    /// Files that were merged.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Archive {
    /// Whether a partition has so many small files that merging them hurries.
    pub(crate) fn is_behind(&self) -> bool {
        let view = self.view();
        let small = |files: &Vec<&Arc<ArchivedFile>>| files.iter().filter(|file| file.bytes < SMALL_BYTES).count();
        Table::ALL.into_iter().any(|table| mergeable(view.table(table)).values().any(|files| small(files) >= BEHIND))
    }

    /// Merges small files of one partition that has too many of them, if there is one: many, or more than one where the
    /// last was made before `rested`, in milliseconds since 1970. Blocks.
    pub(crate) fn compact_once(&self, table: Table, rested: i64) -> Result<Option<Compacted>, Error> {
        let _merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_stopping()?;
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let present = view.table(table);
        let Some((partition, inputs)) = due(present, Ulid::from_parts(rested.max(0) as u64, 0)) else {
            return Ok(None);
        };
        let add = self.merge(table, partition, present, &inputs)?;
        let change = Change {
            id: self.clock.ulid(),
            operation: Operation::Replace,
            add,
            remove: inputs.iter().map(|file| file.location.clone()).collect::<BTreeSet<_>>(),
            positions: None,
            expire: Vec::new(),
            properties: HashMap::new(),
        };
        self.commit(table, &change)?;
        let bytes = inputs.iter().map(|file| file.bytes).sum();
        metrics::counter!("annals_archive_compacted_bytes_total").increment(bytes);
        tracing::info!(table = table.name(), files = inputs.len(), bytes, "files are merged");
        Ok(Some(Compacted { files: inputs.len() as u64, bytes }))
    }

    fn merge(
        &self,
        table: Table,
        partition: &Partition,
        present: &TableView,
        inputs: &[&Arc<ArchivedFile>],
    ) -> Result<Vec<DataFile>, Error> {
        let sources = inputs.iter().map(|file| Input::open(self, file)).collect::<Result<_, _>>()?;
        let mut rows = Merge::new(table, sources)?;
        // A merge brings nothing new: a partition that rests goes on resting, until it has one file.
        let made = inputs.iter().filter_map(|file| file.made()).map(|made| made.timestamp_ms()).max();
        let create = || {
            let now = self.clock.ulid();
            let made = Ulid::from_parts(made.unwrap_or(now.timestamp_ms()), now.random());
            let location = new_location(&present.loaded, partition, made);
            FileWriter::create(&self.store, table, partition.clone(), location)
        };
        let (mut files, mut file) = (Vec::new(), create()?);
        while let Some(rows) = rows.next()? {
            self.check_stopping()?;
            if file.bytes() >= FULL_BYTES {
                files.push(std::mem::replace(&mut file, create()?).finish()?);
            }
            file.write(&rows)?;
        }
        files.push(file.finish()?);
        let (before, after) =
            (inputs.iter().map(|file| file.rows).sum::<u64>(), files.iter().map(DataFile::record_count).sum());
        if before == after { Ok(files) } else { Err(Error::Miscounted { before, after }) }
    }
}

/// The files of each partition, but those of other engines: from rows that are not sorted a sorted file cannot be merged.
fn mergeable(table: &TableView) -> BTreeMap<&Partition, Vec<&Arc<ArchivedFile>>> {
    let mut partitions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for file in table.files.iter().filter(|file| file.is_sorted()) {
        partitions.entry(&file.partition).or_default().push(file);
    }
    partitions
}

/// The partition that has the most small files of those that are due, and which of them to merge.
fn due(table: &TableView, rested: Ulid) -> Option<(&Partition, Vec<&Arc<ArchivedFile>>)> {
    let due = mergeable(table).into_iter().filter_map(|(partition, files)| {
        let rests = files.iter().all(|file| file.made().is_none_or(|made| made < rested));
        let mut small: Vec<_> = files.into_iter().filter(|file| file.bytes < SMALL_BYTES).collect();
        let (many, left_alone) = if rests { (2, 0) } else { (MANY, LEFT_ALONE) };
        if small.len() < many {
            return None;
        }
        small.sort_by_key(|file| file.bytes);
        small.truncate(small.len() - left_alone);
        Some((partition, small))
    });
    let (partition, mut files) = due.max_by_key(|(_, files)| files.len())?;
    let held = files.iter().scan(0, |held, file| {
        *held += file.bytes.min(GROUP_BYTES as u64);
        Some(*held)
    });
    let count = held.take(MAX_INPUTS).take_while(|held| *held <= MAX_HELD_BYTES).count();
    files.truncate(count);
    Some((partition, files))
}

/// One file that is merged: its rows in their order.
struct Input<'a> {
    archive: &'a Archive,
    rows: ParquetRecordBatchStream<FileReader>,
}

impl<'a> Input<'a> {
    fn open(archive: &'a Archive, file: &ArchivedFile) -> Result<Self, Error> {
        let reader = FileReader::open(&archive.store, &file.location, file.bytes, Reader::Upkeep)?;
        let rows = archive.store.wait(async {
            let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
            let groups = builder.metadata().row_groups().iter();
            let at_a_time = groups.map(|group| step_rows(group.total_byte_size() as usize, group.num_rows() as usize));
            let at_a_time = at_a_time.min().unwrap_or(FEWEST_ROWS);
            builder.with_batch_size(at_a_time).build()
        })?;
        Ok(Self { archive, rows })
    }
}

impl Source for Input<'_> {
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        Ok(self.archive.store.wait(self.rows.try_next())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, event};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_partition_is_merged_into_one_file_once_it_rests() {
        let fixture = Fixture::new();
        let files = || fixture.log.archive.view().table(Table::Events).files.len();
        // The second time more than are merged at once.
        for flushes in [3, MAX_INPUTS + MANY] {
            for _ in 0..flushes {
                fixture.append(vec![event("log")]).await;
                fixture.flush(u64::MAX);
            }
            if flushes < MANY {
                fixture.keep_up();
                assert_eq!(files(), flushes);
            }
            fixture.clock.advance(REST.as_millis() as i64 + 1);
            fixture.keep_up();
            assert_eq!(files(), 1);
        }
    }
}
