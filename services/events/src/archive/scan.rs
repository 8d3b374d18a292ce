//! Owns reading rows of the archive: the first ones of those that are wanted, in journal order, from as few files, row
//! groups and pages as can be. Never decides who may see them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    ops::Range,
};

use arrow_array::{RecordBatch, cast::AsArray as _, types};
use futures::TryStreamExt as _;
use parquet::arrow::{
    ParquetRecordBatchStreamBuilder, ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector},
};
use proto::events::v1::Event;

use super::{
    Error,
    columns::{self, place_of},
    reader::{Cost, FileReader, Footers},
    store::Store,
    wanted::{self, ArchivedFile, Wanted},
};
use crate::index::Order;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1_024;

/// Events that are fetched first, to see how large they are; then four times as many, as long as they are small.
const FIRST_SLICE: usize = 16;
const SMALL_SLICE_BYTES: usize = 1 << 20;
/// No more are fetched once there are so many bytes.
const MAX_BYTES: usize = 8 << 20;

/// One reader's way through the archive.
pub(crate) struct Scan<'a> {
    store: &'a Store,
    footers: &'a Footers,
    /// What it has cost until now.
    pub(crate) cost: Cost,
}

/// The first events that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order asked for, no two with the same offset.
    pub(crate) events: Vec<Event>,
    /// What is still to be read, in offsets; empty when all of it has been.
    pub(crate) rest: Range<u64>,
}

/// Where a row is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    file: usize,
    group: usize,
    row: usize,
}

/// What is to be looked at next: a file, whose row groups are not known, or one of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    File(usize),
    Group(usize, usize),
}

impl<'a> Scan<'a> {
    pub(crate) fn new(store: &'a Store, footers: &'a Footers) -> Self {
        Self { store, footers, cost: Cost::default() }
    }

    /// The first `limit` events of `files` that are wanted, or fewer after `max_groups` row groups.
    pub(crate) fn first<'f>(
        &mut self,
        files: impl IntoIterator<Item = &'f ArchivedFile>,
        wanted: &Wanted,
        order: Order,
        limit: usize,
        max_groups: usize,
    ) -> Result<Found, Error> {
        let files: Vec<_> = files.into_iter().filter(|file| wanted.may_be_in(file)).collect();
        // In order of the first offset that may come next; the other way round, by what is left below the last.
        let rank = |offsets: &std::ops::RangeInclusive<u64>| match order {
            Order::OldestFirst => *offsets.start(),
            Order::NewestFirst => u64::MAX - *offsets.end(),
        };
        let rank_of = |offset: u64| rank(&(offset..=offset));
        let mut steps: BinaryHeap<_> =
            files.iter().enumerate().map(|(place, file)| Reverse((rank(&file.offsets), Step::File(place)))).collect();
        let mut hits: BTreeMap<u64, Place> = BTreeMap::new();
        let mut groups = 0;
        let mut unread = None;
        while let Some(Reverse((next, step))) = steps.pop() {
            let is_enough = hits.len() >= limit && hits.keys().nth(limit - 1).is_some_and(|last| *last < next);
            if is_enough || groups >= max_groups {
                unread = Some(next);
                break;
            }
            match step {
                Step::File(place) => {
                    self.cost.files += 1;
                    let footer = self.footer(files[place])?;
                    for (number, group) in footer.metadata().row_groups().iter().enumerate() {
                        if wanted.may_be_in_group(group) {
                            let offsets = wanted::offsets_of(group);
                            steps.push(Reverse((rank(&offsets), Step::Group(place, number))));
                        }
                    }
                }
                Step::Group(file, group) => {
                    groups += 1;
                    for (offset, row) in self.find(files[file], group, wanted, order, limit)? {
                        hits.insert(rank_of(offset), Place { file, group, row });
                    }
                    while hits.len() > limit {
                        hits.pop_last();
                    }
                }
            }
        }
        // What was found behind what is unread is found again, in its place.
        if let Some(unread) = unread {
            hits.split_off(&unread);
        }
        let is_all = hits.len() < limit;
        let hits: Vec<_> = hits.into_iter().collect();
        let (mut events, mut bytes, mut slice) = (Vec::new(), 0, FIRST_SLICE);
        while events.len() < hits.len() && bytes < MAX_BYTES {
            let end = hits.len().min(events.len() + slice);
            let read = self.fetch(&files, &hits[events.len()..end])?;
            let read_bytes = read.iter().map(prost::Message::encoded_len).sum::<usize>();
            if read_bytes < SMALL_SLICE_BYTES {
                slice *= 4;
            }
            bytes += read_bytes;
            events.extend(read);
        }
        let rest = match (events.len().checked_sub(1), unread) {
            (Some(last), _) if events.len() < hits.len() || !is_all => after(hits[last].0, order, &wanted.offsets),
            (_, Some(unread)) => from(unread, order, &wanted.offsets),
            (_, None) => 0..0,
        };
        Ok(Found { events, rest })
    }

    /// The offsets of the wanted rows of a group, and their places there; of the oldest, `limit` are enough.
    fn find(
        &mut self,
        file: &ArchivedFile,
        group: usize,
        wanted: &Wanted,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(u64, usize)>, Error> {
        let selection = wanted.rows_of_group(self.footer(file)?.metadata(), group);
        let mut places = places_of(&selection);
        let mut found = Vec::new();
        self.read(file, group, Some(&wanted::COLUMNS), selection, |rows| {
            let offsets = rows.column(wanted::COLUMNS.len() - 1).as_primitive::<types::Int64Type>();
            let places: Vec<_> = places.by_ref().take(rows.num_rows()).collect();
            found.extend(wanted.rows_in(&rows).map(|row| (offsets.value(row) as u64, places[row])));
            // Of a tenant, and of a name, rows ascend by offset.
            order == Order::OldestFirst && found.len() >= limit
        })?;
        Ok(found)
    }

    /// The events at these places, in the order of their ranks.
    fn fetch(&mut self, files: &[&ArchivedFile], hits: &[(u64, Place)]) -> Result<Vec<Event>, Error> {
        let mut by_place: Vec<(Place, u64)> = hits.iter().map(|(rank, place)| (*place, *rank)).collect();
        by_place.sort_unstable();
        let mut events = BTreeMap::new();
        for chunk in by_place.chunk_by(|(one, _), (other, _)| (one.file, one.group) == (other.file, other.group)) {
            let Place { file, group, .. } = chunk[0].0;
            let selection = selection(chunk.iter().map(|(place, _)| place.row));
            let mut read = Vec::with_capacity(chunk.len());
            self.read(files[file], group, None, selection, |rows| {
                read.extend(columns::events_of(&rows));
                false
            })?;
            events.extend(chunk.iter().map(|(_, rank)| *rank).zip(read));
        }
        self.cost.rows += events.len() as u64;
        Ok(events.into_values().collect())
    }

    /// Reads all rows of a file, of `columns` in the order of the table (all of them without).
    pub(crate) fn read_all(
        &mut self,
        file: &ArchivedFile,
        columns: Option<&[&str]>,
        mut each: impl FnMut(RecordBatch),
    ) -> Result<(), Error> {
        let footer = self.footer(file)?;
        for (number, group) in footer.metadata().row_groups().iter().enumerate() {
            let rows = group.num_rows() as usize;
            let all = RowSelection::from_consecutive_ranges(std::iter::once(0..rows), rows);
            self.read(file, number, columns, all, |rows| {
                each(rows);
                false
            })?;
        }
        Ok(())
    }

    fn footer(&mut self, file: &ArchivedFile) -> Result<ArrowReaderMetadata, Error> {
        let mut reader = FileReader::open(self.store, &file.location, file.bytes)?;
        let footer = self.store.wait(self.footers.of(&mut reader));
        self.cost.add(reader.cost());
        Ok(footer?)
    }

    /// Reads rows of a row group, of `columns` in that order (all of them without), until `is_enough`.
    fn read(
        &mut self,
        file: &ArchivedFile,
        group: usize,
        columns: Option<&[&str]>,
        selection: RowSelection,
        mut is_enough: impl FnMut(RecordBatch) -> bool,
    ) -> Result<(), Error> {
        let mut reader = FileReader::open(self.store, &file.location, file.bytes)?;
        let cost = reader.cost_handle();
        let read = self.store.wait(async {
            let footer = self.footers.of(&mut reader).await?;
            let mask = columns.map_or_else(ProjectionMask::all, |columns| {
                ProjectionMask::roots(footer.parquet_schema(), columns.iter().map(|column| place_of(column)))
            });
            let mut rows = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer)
                .with_batch_size(BATCH_ROWS)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_row_selection(selection)
                .build()?;
            while let Some(batch) = rows.try_next().await? {
                if is_enough(batch) {
                    break;
                }
            }
            Ok(())
        });
        self.cost.add(cost.get());
        read
    }
}

/// The places of the rows that a selection selects.
fn places_of(selection: &RowSelection) -> impl Iterator<Item = usize> + use<> {
    let mut next = 0;
    let mut ranges = Vec::new();
    for selector in selection.iter() {
        if !selector.skip {
            ranges.push(next..next + selector.row_count);
        }
        next += selector.row_count;
    }
    ranges.into_iter().flatten()
}

/// What is left from a rank on.
fn from(rank: u64, order: Order, offsets: &Range<u64>) -> Range<u64> {
    match order {
        Order::OldestFirst => rank.max(offsets.start)..offsets.end,
        Order::NewestFirst => offsets.start..(u64::MAX - rank).saturating_add(1).min(offsets.end),
    }
}

/// What is left after a rank.
fn after(rank: u64, order: Order, offsets: &Range<u64>) -> Range<u64> {
    match order {
        Order::OldestFirst => rank + 1..offsets.end,
        Order::NewestFirst => offsets.start..u64::MAX - rank,
    }
}

/// Selects these rows of a group, which ascend.
fn selection(rows: impl Iterator<Item = usize>) -> RowSelection {
    let (mut selectors, mut next): (Vec<RowSelector>, _) = (Vec::new(), 0);
    for row in rows {
        if row > next {
            selectors.push(RowSelector::skip(row - next));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    selectors.into()
}
