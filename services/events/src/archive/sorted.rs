//! Owns bringing rows into a table's order: sorting those that come from the journal, merging those of files that are
//! sorted. Never looks at a column that is not sorted by, and never makes an event of a row.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave_record_batch;
use proto::events::v1::Event;

use super::{
    Error, STEP_ROWS,
    columns::{arrow_schema, place_of, rows_of},
    step_rows,
    table::{Partition, Table},
};

/// Events that are about to be written into the tables, as rows.
#[derive(Default)]
pub(crate) struct Incoming {
    batches: Vec<RecordBatch>,
    /// Those that are not rows yet.
    events: Vec<Event>,
    /// Of each table, where the rows of each partition are.
    places: [BTreeMap<Partition, Vec<Place>>; 2],
}

/// Where a row is among batches.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: usize,
    row: usize,
    /// Its journal offset.
    offset: u64,
}

/// Makes keys of rows that compare as the rows of a table are ordered.
pub(crate) struct Sorter {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl Incoming {
    /// Adds an event.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), Error> {
        let (batch, row, offset) = (self.batches.len(), self.events.len(), event.journal_offset as u64);
        for table in Table::ALL.into_iter().filter(|table| table.has(&event)) {
            let partition = table.partition_of(&event);
            self.places[table as usize].entry(partition).or_default().push(Place { batch, row, offset });
        }
        self.events.push(event);
        if self.events.len() == STEP_ROWS { self.complete() } else { Ok(()) }
    }

    /// Makes rows of the events of which there are none yet.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        if !self.events.is_empty() {
            self.batches.push(rows_of(&self.events)?);
            self.events.clear();
        }
        Ok(())
    }

    /// The partitions of a table that have rows from an offset of the journal on, each with these in order.
    /// Of events that are rows.
    pub(crate) fn partitions(
        &self,
        table: Table,
        from: u64,
    ) -> Result<impl Iterator<Item = (&Partition, SortedRows<'_>)>, Error> {
        let sorter = Sorter::new(table)?;
        let keys = self.batches.iter().map(|batch| sorter.keys(batch)).collect::<Result<Vec<_>, _>>()?;
        let batches: Vec<_> = self.batches.iter().collect();
        let bytes = batches.iter().map(|batch| batch.get_array_memory_size()).sum();
        let at_a_time = step_rows(bytes, batches.iter().map(|batch| batch.num_rows()).sum());
        let partitions = self.places[table as usize].iter();
        Ok(partitions.filter_map(move |(partition, places)| {
            let mut places: Vec<_> = places.iter().filter(|place| place.offset >= from).copied().collect();
            places.sort_unstable_by(|one, other| keys[one.batch].row(one.row).cmp(&keys[other.batch].row(other.row)));
            let places: Vec<_> = places.into_iter().map(|place| (place.batch, place.row)).collect();
            let rows = SortedRows { batches: batches.clone(), places, next: 0, at_a_time };
            (!rows.places.is_empty()).then_some((partition, rows))
        }))
    }
}

/// Rows in a table's order, some at a time.
pub(crate) struct SortedRows<'a> {
    batches: Vec<&'a RecordBatch>,
    places: Vec<(usize, usize)>,
    next: usize,
    at_a_time: usize,
}

impl Iterator for SortedRows<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.places.len().min(self.next + self.at_a_time);
        let places = &self.places[self.next..end];
        self.next = end;
        (!places.is_empty()).then(|| interleave_record_batch(&self.batches, places))
    }
}

impl Sorter {
    pub(crate) fn new(table: Table) -> Result<Self, Error> {
        let columns: Vec<_> = table.sort_columns().iter().map(|name| place_of(name)).collect();
        let schema = arrow_schema();
        // Ascending, what is null first.
        let fields = columns.iter().map(|column| SortField::new(schema.field(*column).data_type().clone()));
        Ok(Self { converter: RowConverter::new(fields.collect())?, columns })
    }

    /// The keys of rows that have every column.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Rows, Error> {
        let columns: Vec<_> = self.columns.iter().map(|column| rows.column(*column).clone()).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }
}

/// Sorted rows, a batch at a time.
pub(crate) trait Source {
    /// The next ones, which are not none.
    fn next(&mut self) -> Result<Option<RecordBatch>, Error>;
}

/// The rows of several sources in one order.
pub(crate) struct Merge<S> {
    sorter: Sorter,
    heads: Vec<Head<S>>,
}

/// What a source has given last, and how far that is used up.
struct Head<S> {
    source: S,
    rows: RecordBatch,
    keys: Rows,
    next: usize,
}

impl<S: Source> Merge<S> {
    /// Of sources that are sorted as the table is.
    pub(crate) fn new(table: Table, sources: Vec<S>) -> Result<Self, Error> {
        let sorter = Sorter::new(table)?;
        let mut heads = Vec::new();
        for mut source in sources {
            if let Some(rows) = source.next()? {
                heads.push(Head { keys: sorter.keys(&rows)?, source, rows, next: 0 });
            }
        }
        Ok(Self { sorter, heads })
    }

    /// The next rows, at most [`STEP_ROWS`].
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let (mut places, mut used_up) = (Vec::with_capacity(STEP_ROWS), None);
        while places.len() < STEP_ROWS && used_up.is_none() {
            let heads = self.heads.iter().enumerate();
            let first = heads.min_by(|(_, one), (_, other)| one.key().cmp(&other.key())).map(|(place, _)| place);
            let Some(place) = first else { break };
            let head = &mut self.heads[place];
            places.push((place, head.next));
            head.next += 1;
            used_up = (head.next == head.rows.num_rows()).then_some(place);
        }
        if places.is_empty() {
            return Ok(None);
        }
        let batches: Vec<_> = self.heads.iter().map(|head| &head.rows).collect();
        let merged = interleave_record_batch(&batches, &places)?;
        if let Some(place) = used_up {
            let head = &mut self.heads[place];
            match head.source.next()? {
                Some(rows) => (head.keys, head.rows, head.next) = (self.sorter.keys(&rows)?, rows, 0),
                None => drop(self.heads.remove(place)),
            }
        }
        Ok(Some(merged))
    }
}

impl<S> Head<S> {
    fn key(&self) -> arrow_row::Row<'_> {
        self.keys.row(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::{collection::vec, prelude::*};
    use proto::common::v1::EntityKind;

    use super::{super::columns::events_of, *};

    impl Source for vec::IntoIter<RecordBatch> {
        fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
            Ok(Iterator::next(self))
        }
    }

    fn event(tenant: String, id: String, is_edge: bool, millis: i64, offset: u64) -> Event {
        let time = prost_types::Timestamp { seconds: millis, nanos: 0 };
        let mut event = Event {
            ulid: domain::Clock::system().ulid().to_string(),
            timestamp: Some(time),
            event_timestamp: Some(time),
            event_type: "mutation".into(),
            entity_ns: "a".into(),
            entity_id: id,
            tenant,
            journal_offset: offset as i64,
            ..Event::default()
        };
        event.set_entity_kind(if is_edge { EntityKind::Relationship } else { EntityKind::Thing });
        event
    }

    /// What [`Sorter`] promises, in words of events.
    fn key(table: Table, event: &Event) -> (String, i64, i64, String, &'static str, String) {
        let Event { tenant, entity_id, ulid, .. } = event.clone();
        let kind = if event.entity_kind() == EntityKind::Thing { "thing" } else { "relationship" };
        match table {
            Table::Events => {
                let time = event.timestamp.map_or(0, |time| time.seconds);
                (tenant, time, event.journal_offset, String::new(), "", String::new())
            }
            Table::History => (tenant, 0, 0, entity_id, kind, ulid),
        }
    }

    proptest! {
        #[test]
        fn rows_come_in_the_order_of_the_table(
            drawn in vec(("[a-c]{1,3}", "[a-dA-D_é]{0,4}", any::<bool>(), 0..50i64), 0..200),
            parts in 1..5usize,
        ) {
            let events: Vec<_> = (0..)
                .zip(drawn)
                .map(|(offset, (tenant, id, is_edge, millis))| event(tenant, id, is_edge, millis, offset))
                .collect();
            for table in Table::ALL {
                let mut expected = events.clone();
                expected.sort_by_key(|event| key(table, event));
                let mut sources = Vec::new();
                for part in 0..parts {
                    let mut part: Vec<_> = events.iter().skip(part).step_by(parts).cloned().collect();
                    part.sort_by_key(|event| key(table, event));
                    let batches = part.chunks(7).map(|events| rows_of(events).unwrap()).collect::<Vec<_>>();
                    sources.push(batches.into_iter());
                }
                let mut merge = Merge::new(table, sources).unwrap();
                let mut merged = Vec::new();
                while let Some(rows) = merge.next().unwrap() {
                    merged.extend(events_of(&rows));
                }
                prop_assert_eq!(&merged, &expected);

                let mut incoming = Incoming::default();
                events.iter().try_for_each(|event| incoming.push(event.clone())).unwrap();
                incoming.complete().unwrap();
                for (partition, rows) in incoming.partitions(table, 3).unwrap() {
                    let sorted: Vec<_> = rows.flat_map(|rows| events_of(&rows.unwrap())).collect();
                    let expected = expected.iter().filter(|event| event.journal_offset >= 3);
                    let expected: Vec<_> =
                        expected.filter(|event| table.partition_of(event) == *partition).cloned().collect();
                    prop_assert_eq!(sorted, expected);
                }
            }
        }
    }
}
