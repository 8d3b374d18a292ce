//! Owns in which order the files and row groups of a table are read: the first rows of those that are wanted, in journal
//! order, from as few of them as can be. Never decides who may see them.

mod group;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    ops::Range,
};

use proto::events::v1::Event;

use self::group::Hit;
pub(super) use self::group::{BATCH_ROWS, Place, ranges_of};
use super::{
    Error,
    reader::{Cost, Footers},
    store::Store,
    wanted::{self, ArchivedFile, Wanted},
};
use crate::index::Order;

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
    /// Bytes of events that were decoded when they were found.
    held: u64,
}

/// The first events that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order asked for, no two with the same offset.
    pub(crate) events: Vec<Event>,
    /// What is still to be read, in offsets; empty when all of it has been.
    pub(crate) rest: Range<u64>,
}

/// What is to be looked at next: a file, whose row groups are not known, or one of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    File(usize),
    Group(usize, usize),
}

impl<'a> Scan<'a> {
    pub(crate) fn new(store: &'a Store, footers: &'a Footers) -> Self {
        Self { store, footers, cost: Cost::default(), held: 0 }
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
        let mut hits: BTreeMap<u64, Hit> = BTreeMap::new();
        self.held = 0;
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
                    for (offset, row, event) in self.find(files[file], group, wanted, order, limit)? {
                        hits.insert(rank_of(offset), Hit { place: Place { file, group, row }, event });
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
        let mut hits: Vec<_> = hits.into_iter().collect();
        let (mut events, mut bytes, mut slice) = (Vec::new(), 0, FIRST_SLICE);
        while events.len() < hits.len() && bytes < MAX_BYTES {
            let end = hits.len().min(events.len() + slice);
            let read = self.fetch(&files, &mut hits[events.len()..end])?;
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
