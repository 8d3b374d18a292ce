//! Owns reading the rows of one row group: those that are wanted are found by a few columns, then fetched with all; at
//! once where that is little, because each time is a round trip. Never decides which group is read next.

use std::{collections::BTreeMap, ops::Range};

use arrow_array::{RecordBatch, UInt32Array, cast::AsArray as _, types};
use arrow_select::take::take_record_batch;
use futures::TryStreamExt as _;
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder, ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector},
    },
    file::metadata::ParquetMetaData,
};
use proto::events::v1::Event;

use super::{
    super::{
        Error,
        columns::{self, place_of},
        reader::FileReader,
        store::Reader,
        wanted::{self, ArchivedFile, Wanted},
    },
    Scan,
};
use crate::index::Order;

/// Rows that are decoded at a time; whole ones may be large.
pub(in super::super) const BATCH_ROWS: usize = 1_024;
const WHOLE_ROWS: usize = 16;
/// Rows that are looked through without asking the Bloom filters first, which is a request: two pages.
const FEW_ROWS: usize = 4_096;
/// Rows whose texts are not larger are found and fetched at once; so many bytes are held of all such rows together.
const SMALL_BYTES: u64 = 4 << 20;
const HELD_BYTES: u64 = 16 << 20;

/// Where a row is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in super::super) struct Place {
    pub(in super::super) file: usize,
    pub(in super::super) group: usize,
    pub(in super::super) row: usize,
}

/// A row that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) place: Place,
    /// If it was decoded when it was found.
    pub(super) event: Option<Event>,
}

impl Scan<'_> {
    /// The offsets of the wanted rows of a group, their places there, and what they are if that was cheap; of the
    /// first, `limit` are enough.
    pub(super) fn find(
        &mut self,
        file: &ArchivedFile,
        group: usize,
        wanted: &Wanted,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(u64, usize, Option<Event>)>, Error> {
        let footer = self.footer(file)?;
        let selection = wanted.rows_of_group(footer.metadata(), group);
        if selection.row_count() > FEW_ROWS && !self.may_have(file, group, wanted)? {
            return Ok(Vec::new());
        }
        let bytes = bytes_of(footer.metadata(), group, &selection);
        let is_small = bytes.is_some_and(|bytes| bytes <= SMALL_BYTES && self.held + bytes <= HELD_BYTES);
        let mut places = places_of(&selection);
        let mut found = Vec::new();
        let columns = (!is_small).then_some(&wanted::COLUMNS[..]);
        self.read(file, group, columns, BATCH_ROWS, selection, |rows| {
            let places: Vec<_> = places.by_ref().take(rows.num_rows()).collect();
            let looked_at = if is_small { rows.project(&wanted::COLUMNS.map(place_of))? } else { rows.clone() };
            let offsets = looked_at.column(wanted::COLUMNS.len() - 1).as_primitive::<types::Int64Type>();
            let mut hits: Vec<_> = wanted.rows_in(&looked_at).collect();
            // Of a tenant, and of a name, rows ascend by offset where they are sorted.
            match order {
                _ if !file.is_sorted() => {}
                Order::OldestFirst => hits.truncate(limit),
                Order::NewestFirst => drop(hits.drain(..hits.len().saturating_sub(limit))),
            }
            let events = if is_small {
                let hits = UInt32Array::from_iter_values(hits.iter().map(|row| *row as u32));
                columns::events_of(&take_record_batch(&rows, &hits)?)
            } else {
                Vec::new()
            };
            let mut events = events.into_iter();
            found.extend(hits.into_iter().map(|row| (offsets.value(row) as u64, places[row], events.next())));
            if !file.is_sorted() && found.len() > limit.saturating_add(BATCH_ROWS) {
                keep_first(&mut found, order, limit);
            }
            Ok(file.is_sorted() && order == Order::OldestFirst && found.len() >= limit)
        })?;
        let decoded = found.iter().filter_map(|(.., event)| event.as_ref());
        self.held += decoded.clone().map(|event| prost::Message::encoded_len(event) as u64).sum::<u64>();
        self.cost.rows += decoded.count() as u64;
        Ok(found)
    }

    /// The events of these hits, in the order of their ranks.
    pub(super) fn fetch(&mut self, files: &[&ArchivedFile], hits: &mut [(u64, Hit)]) -> Result<Vec<Event>, Error> {
        let (mut events, mut unread) = (BTreeMap::new(), Vec::new());
        for (rank, hit) in hits {
            match hit.event.take() {
                Some(event) => drop(events.insert(*rank, event)),
                None => unread.push((*rank, hit.place)),
            }
        }
        events.extend(self.fetch_at(files, &unread, usize::MAX)?.unwrap_or_default());
        Ok(events.into_values().collect())
    }

    /// The events at these places, by their ranks; nothing if they have more than `max_bytes`.
    pub(in super::super) fn fetch_at(
        &mut self,
        files: &[&ArchivedFile],
        places: &[(u64, Place)],
        max_bytes: usize,
    ) -> Result<Option<BTreeMap<u64, Event>>, Error> {
        let mut by_place: Vec<_> = places.iter().map(|(rank, place)| (*place, *rank)).collect();
        by_place.sort_unstable();
        let (mut events, mut bytes) = (BTreeMap::new(), 0);
        for chunk in by_place.chunk_by(|(one, _), (other, _)| (one.file, one.group) == (other.file, other.group)) {
            let Place { file, group, .. } = chunk[0].0;
            let selection = selection(chunk.iter().map(|(place, _)| place.row));
            let mut read = Vec::with_capacity(chunk.len());
            self.read(files[file], group, None, WHOLE_ROWS, selection, |rows| {
                let decoded = columns::events_of(&rows);
                bytes += decoded.iter().map(prost::Message::encoded_len).sum::<usize>();
                read.extend(decoded);
                Ok(bytes > max_bytes)
            })?;
            self.cost.rows += read.len() as u64;
            if bytes > max_bytes {
                return Ok(None);
            }
            events.extend(chunk.iter().map(|(_, rank)| *rank).zip(read));
        }
        Ok(Some(events))
    }

    /// Reads all rows of a file, of `columns` in the order of the table (all of them without), some at a time.
    pub(crate) fn read_all(
        &mut self,
        file: &ArchivedFile,
        columns: Option<&[&str]>,
        mut each: impl FnMut(RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let footer = self.footer(file)?;
        for (number, group) in footer.metadata().row_groups().iter().enumerate() {
            let rows = group.num_rows() as usize;
            let all = RowSelection::from_consecutive_ranges(std::iter::once(0..rows), rows);
            let at_a_time = if columns.is_some() { BATCH_ROWS } else { WHOLE_ROWS };
            self.read(file, number, columns, at_a_time, all, |rows| each(rows).map(|()| false))?;
        }
        Ok(())
    }

    /// The footer of a file.
    pub(in super::super) fn footer(&mut self, file: &ArchivedFile) -> Result<ArrowReaderMetadata, Error> {
        let mut reader = FileReader::open(self.store, &file.location, file.bytes, Reader::Caller)?;
        let footer = self.store.wait(self.footers.of(&mut reader));
        self.cost.add(reader.cost());
        Ok(footer?)
    }

    /// Whether a group may have what is wanted by value, as far as Bloom filters say.
    fn may_have(&mut self, file: &ArchivedFile, group: usize, wanted: &Wanted) -> Result<bool, Error> {
        let (first, last) = (wanted.ulids.start(), wanted.ulids.end());
        let ulid = (first == last).then(|| first.to_string());
        for (column, value) in [("ulid", ulid.as_deref()), ("entity_id", wanted.entity_id.as_deref())] {
            let Some(value) = value else { continue };
            let mut reader = FileReader::open(self.store, &file.location, file.bytes, Reader::Caller)?;
            let cost = reader.cost_handle();
            let filter = self.store.wait(async {
                let footer = self.footers.of(&mut reader).await?;
                let mut rows = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer);
                rows.get_row_group_column_bloom_filter(group, place_of(column)).await
            });
            self.cost.add(cost.get());
            if filter?.is_some_and(|filter| !filter.check(&value)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads rows of a row group, of `columns` in the order of the file (all of them without), some at a time, until
    /// `is_enough`.
    pub(in super::super) fn read(
        &mut self,
        file: &ArchivedFile,
        group: usize,
        columns: Option<&[&str]>,
        at_a_time: usize,
        selection: RowSelection,
        mut is_enough: impl FnMut(RecordBatch) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut reader = FileReader::open(self.store, &file.location, file.bytes, Reader::Caller)?;
        let cost = reader.cost_handle();
        let read = self.store.wait(async {
            let footer = self.footers.of(&mut reader).await?;
            let mask = columns.map_or_else(ProjectionMask::all, |columns| {
                ProjectionMask::roots(footer.parquet_schema(), columns.iter().map(|column| place_of(column)))
            });
            let mut rows = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer)
                .with_batch_size(at_a_time)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_row_selection(selection)
                .build()?;
            while let Some(batch) = rows.try_next().await? {
                if is_enough(batch)? {
                    break;
                }
            }
            Ok(())
        });
        self.cost.add(cost.get());
        read
    }
}

/// Leaves the first `limit` of rows that are in no order.
fn keep_first(found: &mut Vec<(u64, usize, Option<Event>)>, order: Order, limit: usize) {
    match order {
        Order::OldestFirst => found.sort_unstable_by_key(|(offset, ..)| *offset),
        Order::NewestFirst => found.sort_unstable_by_key(|(offset, ..)| std::cmp::Reverse(*offset)),
    }
    found.truncate(limit);
}

/// Bytes of the texts on the pages of selected rows; nothing where the file does not say.
fn bytes_of(footer: &ParquetMetaData, group: usize, selection: &RowSelection) -> Option<u64> {
    let rows = footer.row_group(group).num_rows() as usize;
    let mut sum = 0;
    for column in footer.offset_index()?.get(group)? {
        // Numbers have none, and are small.
        let Some(bytes) = column.unencoded_byte_array_data_bytes() else { continue };
        let pages = column.page_locations();
        let starts = pages.iter().map(|page| page.first_row_index as usize);
        let ends = starts.clone().skip(1).chain([rows]);
        for ((start, end), bytes) in starts.zip(ends).zip(bytes) {
            if overlaps(selection, start, end) {
                sum += u64::try_from(*bytes).ok()?;
            }
        }
    }
    Some(sum)
}

/// Whether any row from `start` to before `end` is selected.
fn overlaps(selection: &RowSelection, start: usize, end: usize) -> bool {
    let mut next = 0;
    selection.iter().any(|selector| {
        let first = next;
        next += selector.row_count;
        !selector.skip && first < end && start < next
    })
}

/// The places of the rows that a selection selects.
fn places_of(selection: &RowSelection) -> impl Iterator<Item = usize> + use<> {
    ranges_of(selection).into_iter().flatten()
}

/// The same, as ranges that ascend.
pub(in super::super) fn ranges_of(selection: &RowSelection) -> Vec<Range<usize>> {
    let mut next = 0;
    let mut ranges = Vec::new();
    for selector in selection.iter() {
        if !selector.skip {
            ranges.push(next..next + selector.row_count);
        }
        next += selector.row_count;
    }
    ranges
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
