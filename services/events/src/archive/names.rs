//! Owns going through the names of a namespace in the history in their order, each with where its mutations are. Reads
//! narrow columns only, a short run of rows of each file at a time. Never decides who may see a name.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    iter,
    ops::Range,
    sync::Arc,
    vec,
};

use arrow_array::{Array as _, cast::AsArray as _};
use domain::parse_ulid;
use parquet::arrow::arrow_reader::RowSelection;
use proto::events::v1::Event;
use ulid::Ulid;

use super::{
    Error, Scan,
    scan::{BATCH_ROWS, Place, ranges_of},
    wanted::{ArchivedFile, Wanted},
};

/// Rows of all files that are held at a time: some megabytes of names.
const HELD_ROWS: usize = 16_384;
/// Of one file, at least and at most so many: a page has 2,048.
const RUN_ROWS: Range<usize> = 64..2_048;

/// Rows of files that are in no order, which are held until they have been put in order: some 50 MB.
const MOST_UNORDERED: usize = 262_144;

/// What is read of a row, in the order of the file's columns, and where in it the columns are that [`Wanted`] looks at.
const COLUMNS: [&str; 10] = [
    "ulid",
    "timestamp",
    "event_type",
    "mutation_type",
    "entity_ns",
    "entity_id",
    "entity_type",
    "tenant",
    "entity_kind",
    "journal_offset",
];
const LOOKED_AT: [usize; 8] = [0, 1, 2, 4, 5, 7, 8, 9];

/// The names that are wanted, one after the other.
pub(crate) struct Names {
    wanted: Wanted,
    /// Of the states; any without.
    entity_type: Option<String>,
    files: Vec<Arc<ArchivedFile>>,
    runs: Vec<Run>,
    /// The next row of each file.
    heads: BinaryHeap<Reverse<Row>>,
    run_rows: usize,
    /// Rows that were looked at until now.
    pub(crate) rows: usize,
}

/// A name, and the newest of its mutations.
#[derive(Debug)]
pub(crate) struct Name {
    /// With the variant.
    pub(crate) id: String,
    /// Up to the moment that was asked for.
    pub(crate) then: Option<Archived>,
    /// Of all that are wanted.
    pub(crate) latest: Archived,
}

/// An archived mutation that has not been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Archived {
    place: Place,
    /// Whether it leaves the name with a state of the type that is wanted.
    pub(crate) has_wanted: bool,
}

/// What is still to be read of a file.
struct Run {
    /// Rows of row groups.
    left: VecDeque<(usize, Range<usize>)>,
    read: vec::IntoIter<Row>,
}

/// A mutation; the order is that of names, then of time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    id: Box<str>,
    ulid: Ulid,
    place: Place,
    has_wanted: bool,
}

impl Names {
    /// Begins with the first name that is wanted, which has to be of a namespace. Opens every file that may have one.
    pub(crate) fn open(
        scan: &mut Scan<'_>,
        files: impl IntoIterator<Item = Arc<ArchivedFile>>,
        wanted: Wanted,
        entity_type: Option<String>,
    ) -> Result<Self, Error> {
        let files: Vec<_> = files.into_iter().filter(|file| wanted.may_be_in(file)).collect();
        let run_rows = (HELD_ROWS / files.len().max(1)).clamp(RUN_ROWS.start, RUN_ROWS.end);
        let (runs, heads) = (Vec::new(), BinaryHeap::new());
        let mut names = Self { wanted, entity_type, files, runs, heads, run_rows, rows: 0 };
        let mut unordered = 0;
        for number in 0..names.files.len() {
            scan.cost.files += 1;
            let footer = scan.footer(&names.files[number])?;
            let mut left = VecDeque::new();
            for (group, described) in footer.metadata().row_groups().iter().enumerate() {
                if names.wanted.may_be_in_group(described) {
                    let rows = names.wanted.rows_of_group(footer.metadata(), group);
                    left.extend(ranges_of(&rows).into_iter().map(|rows| (group, rows)));
                }
            }
            let mut read = Vec::new();
            if !names.files[number].is_sorted() {
                while let Some((group, rows)) = left.pop_front() {
                    let end = rows.end.min(rows.start + HELD_ROWS);
                    if end < rows.end {
                        left.push_front((group, end..rows.end));
                    }
                    read.extend(names.rows_at(scan, number, group, rows.start..end)?);
                    if unordered + read.len() > MOST_UNORDERED {
                        return Err(Error::Unordered { most: MOST_UNORDERED });
                    }
                }
                unordered += read.len();
                read.sort_unstable();
            }
            names.runs.push(Run { left, read: read.into_iter() });
            names.advance(scan, number)?;
        }
        Ok(names)
    }

    /// The name that comes next.
    pub(crate) fn peek(&self) -> Option<&str> {
        self.heads.peek().map(|Reverse(row)| &*row.id)
    }

    /// The next name, with its mutations.
    pub(crate) fn next(&mut self, scan: &mut Scan<'_>, until: Ulid) -> Result<Option<Name>, Error> {
        let mut name: Option<Name> = None;
        while let Some(Reverse(head)) = self.heads.peek()
            && name.as_ref().is_none_or(|name| *name.id == *head.id)
        {
            let Some(Reverse(Row { id, ulid, place, has_wanted })) = self.heads.pop() else { break };
            self.advance(scan, place.file)?;
            let latest = Archived { place, has_wanted };
            let then = if ulid <= until { Some(latest) } else { name.as_ref().and_then(|name| name.then) };
            name = Some(Name { id: id.into(), then, latest });
        }
        Ok(name)
    }

    /// Reads mutations, in this order, each place once; nothing if they have more than `max_bytes`.
    pub(crate) fn read(
        &self,
        scan: &mut Scan<'_>,
        mutations: &[Archived],
        max_bytes: usize,
    ) -> Result<Option<Vec<Event>>, Error> {
        let files: Vec<_> = self.files.iter().map(AsRef::as_ref).collect();
        let hits: Vec<_> = (0..).zip(mutations).map(|(rank, mutation)| (rank, mutation.place)).collect();
        let events = scan.fetch_at(&files, &hits, max_bytes)?;
        Ok(events.map(|events| events.into_values().collect()))
    }

    /// Puts the next row of a file among the heads.
    fn advance(&mut self, scan: &mut Scan<'_>, number: usize) -> Result<(), Error> {
        loop {
            if let Some(row) = self.runs[number].read.next() {
                self.heads.push(Reverse(row));
                return Ok(());
            }
            let Some((group, rows)) = self.runs[number].left.pop_front() else { return Ok(()) };
            let end = rows.end.min(rows.start + self.run_rows);
            if end < rows.end {
                self.runs[number].left.push_front((group, end..rows.end));
            }
            self.runs[number].read = self.rows_at(scan, number, group, rows.start..end)?.into_iter();
        }
    }

    fn rows_at(
        &mut self,
        scan: &mut Scan<'_>,
        number: usize,
        group: usize,
        rows: Range<usize>,
    ) -> Result<Vec<Row>, Error> {
        let Self { files, wanted, entity_type, .. } = self;
        let (mut found, mut next) = (Vec::new(), rows.start);
        let selection = RowSelection::from_consecutive_ranges(iter::once(rows.clone()), rows.end);
        scan.read(&files[number], group, Some(&COLUMNS), BATCH_ROWS, selection, |batch| {
            let looked_at = batch.project(&LOOKED_AT)?;
            let texts = |place: usize| batch.column(place).as_string::<i32>();
            let (ulids, mutation_types, ids, types) = (texts(0), texts(3), texts(5), texts(6));
            for row in wanted.rows_in(&looked_at) {
                let Ok(ulid) = parse_ulid("ulid", ulids.value(row)) else { continue };
                let is_deletion = mutation_types.is_valid(row) && mutation_types.value(row) == "deleted";
                let is_type = entity_type.as_deref().is_none_or(|name| types.is_valid(row) && types.value(row) == name);
                let place = Place { file: number, group, row: next + row };
                found.push(Row { id: ids.value(row).into(), ulid, place, has_wanted: is_type && !is_deletion });
            }
            next += batch.num_rows();
            Ok(false)
        })?;
        self.rows += rows.len();
        Ok(found)
    }
}
