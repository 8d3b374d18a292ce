//! Owns merging small files of a partition into large sorted ones, so that readers open few. Never changes a row.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError},
    vec,
};

use futures::TryStreamExt as _;
use iceberg::spec::{DataFile, Operation};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, async_reader::ParquetRecordBatchStream};
use proto::events::v1::Event;

use super::{
    Archive, Error, STEP_ROWS,
    columns::events_of,
    commit::Change,
    file::FileWriter,
    reader::FileReader,
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
/// The largest of them are left alone: merging only small ones keeps the sum of all writing small.
const LEFT_ALONE: usize = 3;
/// Files that are merged at once: each holds a row group and a few rows in memory.
const MAX_INPUTS: usize = 16;
/// Rows of an input that are decoded at a time.
const INPUT_ROWS: usize = 256;

/// What a compaction has done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Compacted {
    /// Files that were merged.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Archive {
    /// Merges the small files of one partition that has many, if there is one. Blocks.
    pub(crate) fn compact_once(&self, table: Table) -> Result<Option<Compacted>, Error> {
        self.check_stopping()?;
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let present = view.table(table);
        let Some((partition, inputs)) = due(present) else { return Ok(None) };
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
        let mut sources = Vec::new();
        for file in inputs {
            sources.push(Source::open(self, file)?);
        }
        let create = || {
            let location = self.new_location(&present.loaded, partition);
            FileWriter::create(&self.store, table, partition.clone(), location)
        };
        let (mut files, mut file, mut rows) = (Vec::new(), create()?, Vec::new());
        while let Some(next) = next(&mut sources, table, self)? {
            rows.push(next);
            if rows.len() == STEP_ROWS {
                self.check_stopping()?;
                file.write(&rows.iter().collect::<Vec<_>>())?;
                rows.clear();
                if file.bytes() >= FULL_BYTES {
                    files.push(std::mem::replace(&mut file, create()?).finish()?);
                }
            }
        }
        if !rows.is_empty() {
            file.write(&rows.iter().collect::<Vec<_>>())?;
        }
        files.push(file.finish()?);
        let (before, after) =
            (inputs.iter().map(|file| file.rows).sum::<u64>(), files.iter().map(DataFile::record_count).sum());
        if before == after { Ok(files) } else { Err(Error::Miscounted { before, after }) }
    }
}

/// The partition that has the most small files, if those are too many, and which of them to merge.
fn due(table: &TableView) -> Option<(&Partition, Vec<&Arc<ArchivedFile>>)> {
    let mut partitions: BTreeMap<&Partition, Vec<&Arc<ArchivedFile>>> = BTreeMap::new();
    for file in table.files.iter().filter(|file| file.bytes < SMALL_BYTES) {
        partitions.entry(&file.partition).or_default().push(file);
    }
    let (partition, mut files) = partitions.into_iter().max_by_key(|(_, files)| files.len())?;
    if files.len() < MANY {
        return None;
    }
    files.sort_by_key(|file| file.bytes);
    files.truncate((files.len() - LEFT_ALONE).min(MAX_INPUTS));
    Some((partition, files))
}

/// One file that is merged: its rows in their order.
struct Source {
    stream: ParquetRecordBatchStream<FileReader>,
    rows: vec::IntoIter<Event>,
    next: Option<Event>,
}

impl Source {
    fn open(archive: &Archive, file: &ArchivedFile) -> Result<Self, Error> {
        let reader = FileReader::open(&archive.store, &file.location, file.bytes)?;
        let stream = archive.store.wait(async {
            let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
            builder.with_batch_size(INPUT_ROWS).build()
        })?;
        let mut source = Self { stream, rows: Vec::new().into_iter(), next: None };
        source.advance(archive)?;
        Ok(source)
    }

    fn advance(&mut self, archive: &Archive) -> Result<(), Error> {
        self.next = self.rows.next();
        while self.next.is_none() {
            let Some(rows) = archive.store.wait(self.stream.try_next())? else { break };
            self.rows = events_of(&rows).into_iter();
            self.next = self.rows.next();
        }
        Ok(())
    }
}

/// The next row of all sources in the table's order.
fn next(sources: &mut [Source], table: Table, archive: &Archive) -> Result<Option<Event>, Error> {
    let heads = sources.iter().enumerate().filter_map(|(place, source)| Some((place, source.next.as_ref()?)));
    let first = heads.min_by(|(_, one), (_, other)| table.order(one, other)).map(|(place, _)| place);
    let Some(place) = first else { return Ok(None) };
    let next = sources[place].next.take();
    sources[place].advance(archive)?;
    Ok(next)
}
