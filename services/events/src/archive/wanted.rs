//! Owns which rows of a table a reader wants, and what can be skipped unread: files by what the table's metadata says
//! of them, row groups by their statistics. It lets too much through where bounds are short, never too little.

use std::{
    borrow::Borrow,
    ops::{Range, RangeInclusive},
};

use arrow_array::{Array as _, RecordBatch, cast::AsArray as _, types};
use domain::{TenantId, parse_ulid};
use iceberg::spec::{DataFile, PrimitiveLiteral};
use parquet::{
    arrow::arrow_reader::RowSelection,
    file::{
        metadata::{ParquetMetaData, RowGroupMetaData},
        page_index::column_index::ColumnIndexMetaData,
        statistics::Statistics,
    },
};
use ulid::Ulid;

use super::{
    columns,
    file::bounds_of,
    table::{Group, Partition, SORT_ORDER, bucket_of},
};

/// The columns that [`Wanted::has`] looks at, in their order.
pub(crate) const COLUMNS: [&str; 8] =
    ["ulid", "timestamp", "event_type", "entity_ns", "entity_id", "tenant", "entity_kind", "journal_offset"];

/// Which rows; each condition that is given must hold.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// None is every tenant.
    pub(crate) tenant: Option<TenantId>,
    /// One of these; empty is any.
    pub(crate) event_types: Vec<String>,
    pub(crate) entity_ns: Option<String>,
    /// With the variant.
    pub(crate) entity_id: Option<String>,
    /// From the first to the last of these, as bytes.
    pub(crate) entity_ids: Option<RangeInclusive<String>>,
    /// `thing` or `relationship`.
    pub(crate) entity_kind: Option<&'static str>,
    /// Taken in within, in milliseconds.
    pub(crate) times: Range<i64>,
    pub(crate) offsets: Range<u64>,
    pub(crate) ulids: RangeInclusive<Ulid>,
}

/// A file of a table, and what is known of it without opening it.
#[derive(Debug)]
pub(crate) struct ArchivedFile {
    pub(crate) location: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) partition: Partition,
    /// Lowest and highest journal offset.
    pub(crate) offsets: RangeInclusive<u64>,
    /// Lowest and highest time of intake, in milliseconds.
    pub(crate) times: RangeInclusive<i64>,
    is_sorted: bool,
    tenants: Texts,
    event_types: Texts,
    entity_namespaces: Texts,
    entity_ids: Texts,
    ulids: Texts,
}

/// Texts that are not below and not above; `None` is unknown.
type Texts = (Option<String>, Option<String>);

impl Wanted {
    /// Everything of a tenant.
    pub(crate) fn of(tenant: TenantId) -> Self {
        Self {
            tenant: Some(tenant),
            event_types: Vec::new(),
            entity_ns: None,
            entity_id: None,
            entity_ids: None,
            entity_kind: None,
            times: i64::MIN..i64::MAX,
            offsets: 0..u64::MAX,
            ulids: Ulid(0)..=Ulid(u128::MAX),
        }
    }

    /// Whether a file may have such rows.
    pub(crate) fn may_be_in(&self, file: &ArchivedFile) -> bool {
        let in_bucket = match (&file.partition.group, &self.entity_id) {
            (Group::Bucket(bucket), Some(id)) => *bucket == bucket_of(id),
            _ => true,
        };
        in_bucket
            && self.times.start <= *file.times.end()
            && *file.times.start() < self.times.end
            && self.offsets.start <= *file.offsets.end()
            && *file.offsets.start() < self.offsets.end
            && self.fits(|column| match column {
                "tenant" => Some(&file.tenants),
                "event_type" => Some(&file.event_types),
                "entity_ns" => Some(&file.entity_namespaces),
                "entity_id" => Some(&file.entity_ids),
                "ulid" => Some(&file.ulids),
                _ => None,
            })
    }

    /// Whether a row group may have such rows.
    pub(crate) fn may_be_in_group(&self, group: &RowGroupMetaData) -> bool {
        let [from, to] = [self.times.start, self.times.end].map(|millis| millis.saturating_mul(1_000));
        let numbers = |column: &str, from: i64, to: i64| match statistics_of(group, column) {
            Some(Statistics::Int64(bounds)) => {
                bounds.max_opt().is_none_or(|max| from <= *max) && bounds.min_opt().is_none_or(|min| *min < to)
            }
            _ => true,
        };
        let offset = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        numbers("timestamp", from, to)
            && numbers("journal_offset", offset(self.offsets.start), offset(self.offsets.end))
            && self.fits(|column| texts_of(group, column))
    }

    /// The rows of a group that may be wanted, by the bounds of pages: all of them where a file has no page index.
    pub(crate) fn rows_of_group(&self, footer: &ParquetMetaData, group: usize) -> RowSelection {
        let rows = footer.row_group(group).num_rows() as usize;
        let all = RowSelection::from_consecutive_ranges(std::iter::once(0..rows), rows);
        let pages_of = |column: &str, may_be_in: &dyn Fn(&ColumnIndexMetaData, usize) -> bool| {
            let place = columns::place_of(column);
            let bounds = footer.column_index()?.get(group)?.get(place)?;
            let pages = footer.offset_index()?.get(group)?.get(place)?.page_locations();
            let first = |page: usize| pages.get(page).map_or(rows, |page| page.first_row_index as usize);
            let kept = (0..pages.len()).filter(|page| may_be_in(bounds, *page));
            let ranges: Vec<_> = kept.map(|page| first(page)..first(page + 1)).collect();
            Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), rows))
        };
        let by_offset = pages_of("journal_offset", &|bounds, page| match bounds {
            ColumnIndexMetaData::INT64(bounds) => {
                let low = bounds.min_value(page).is_none_or(|low| (*low as u64) < self.offsets.end);
                low && bounds.max_value(page).is_none_or(|high| self.offsets.start <= *high as u64)
            }
            _ => true,
        });
        let by_text = |column: &str, low: &str, high: &str| {
            pages_of(column, &|bounds, page| match bounds {
                ColumnIndexMetaData::BYTE_ARRAY(bounds) => {
                    bounds.min_value(page).is_none_or(|lowest| lowest <= high.as_bytes())
                        && bounds.max_value(page).is_none_or(|highest| low.as_bytes() <= highest)
                }
                _ => true,
            })
        };
        let by_id = self.entity_id.as_deref().and_then(|id| by_text("entity_id", id, id));
        let by_ids = self.entity_ids.as_ref().and_then(|ids| by_text("entity_id", ids.start(), ids.end()));
        let by_ns = self.entity_ns.as_deref().and_then(|ns| by_text("entity_ns", ns, ns));
        let pages = [by_offset, by_id, by_ids, by_ns].into_iter().flatten();
        pages.fold(all, |rows, pages| rows.intersection(&pages))
    }

    /// Which of these rows, which have [`COLUMNS`], are wanted.
    pub(crate) fn rows_in<'a>(&'a self, rows: &'a RecordBatch) -> impl Iterator<Item = usize> + 'a {
        let texts = |place: usize| rows.column(place).as_string::<i32>();
        let (ulids, types_, namespaces) = (texts(0), texts(2), texts(3));
        let (ids, tenants, kinds) = (texts(4), texts(5), texts(6));
        let times = rows.column(1).as_primitive::<types::TimestampMicrosecondType>();
        let offsets = rows.column(7).as_primitive::<types::Int64Type>();
        let [first, last] = [self.ulids.start(), self.ulids.end()].map(Ulid::to_string);
        let times_in = self.times.start.saturating_mul(1_000)..self.times.end.saturating_mul(1_000);
        let is = |wanted: Option<&str>, texts: &arrow_array::StringArray, row: usize| {
            wanted.is_none_or(|wanted| texts.is_valid(row) && texts.value(row) == wanted)
        };
        (0..rows.num_rows()).filter(move |row| {
            let row = *row;
            self.tenant.as_ref().is_none_or(|tenant| tenants.value(row) == tenant.as_str())
                && times_in.contains(&times.value(row))
                && self.offsets.contains(&(offsets.value(row) as u64))
                && is(self.entity_id.as_deref(), ids, row)
                && self.entity_ids.as_ref().is_none_or(|range| ids.is_valid(row) && range_has(range, ids.value(row)))
                && is(self.entity_ns.as_deref(), namespaces, row)
                && is(self.entity_kind, kinds, row)
                && (self.event_types.is_empty() || self.event_types.iter().any(|word| word == types_.value(row)))
                && (first.as_str()..=last.as_str()).contains(&ulids.value(row))
        })
    }

    /// Whether the texts that are wanted lie within the bounds of their columns.
    fn fits<T: Borrow<Texts>>(&self, bounds: impl Fn(&'static str) -> Option<T>) -> bool {
        let meets = |column: &'static str, low: &str, high: &str| {
            bounds(column).is_none_or(|bounds| {
                let (lowest, highest) = bounds.borrow();
                lowest.as_deref().is_none_or(|lowest| lowest <= high)
                    && highest.as_deref().is_none_or(|highest| low <= highest)
            })
        };
        let is = |column, text: &Option<String>| text.as_ref().is_none_or(|text| meets(column, text, text));
        self.tenant.as_ref().is_none_or(|tenant| meets("tenant", tenant.as_str(), tenant.as_str()))
            && is("entity_ns", &self.entity_ns)
            && is("entity_id", &self.entity_id)
            && self.entity_ids.as_ref().is_none_or(|ids| meets("entity_id", ids.start(), ids.end()))
            && (self.event_types.is_empty() || self.event_types.iter().any(|word| meets("event_type", word, word)))
            && meets("ulid", &self.ulids.start().to_string(), &self.ulids.end().to_string())
    }
}

fn one((lowest, highest): &Texts) -> Option<&str> {
    lowest.as_deref().filter(|lowest| highest.as_deref() == Some(lowest))
}

impl ArchivedFile {
    /// When the newest rows of one of ours came into the archive: its name is a ULID. Nothing of another engine's.
    pub(crate) fn made(&self) -> Option<Ulid> {
        let (_, name) = self.location.rsplit_once('/')?;
        parse_ulid("name", name.strip_suffix(".parquet")?).ok()
    }

    /// Whether its rows are in the order of the table. Of another engine's files, which it may have merged from ours, that
    /// is not believed.
    pub(crate) fn is_sorted(&self) -> bool {
        self.is_sorted && self.made().is_some()
    }

    /// Whether it may have a ULID that is not below this one.
    pub(crate) fn may_have_ulids_from(&self, ulid: Ulid) -> bool {
        self.ulids.1.as_deref().is_none_or(|highest| ulid.to_string().as_str() <= highest)
    }

    /// The tenant of all its rows, if that is one and the table's metadata says so.
    pub(crate) fn tenant(&self) -> Option<&str> {
        one(&self.tenants)
    }

    /// Columns of text that every row has a value of, with the value if it is one and the same.
    pub(crate) fn required_texts(&self) -> [(&'static str, Option<&str>); 2] {
        [("tenant", self.tenant()), ("event_type", one(&self.event_types))]
    }

    /// What a table's metadata says of a file; nothing if another engine wrote it so that it cannot be told.
    pub(crate) fn of(file: &DataFile) -> Option<Self> {
        let numbers = |column: &str| {
            let (lower, upper) = bounds_of(file, column);
            let number = |bound: Option<iceberg::spec::Datum>, unknown| match bound
                .as_ref()
                .map(iceberg::spec::Datum::literal)
            {
                Some(PrimitiveLiteral::Long(number)) => *number,
                _ => unknown,
            };
            (number(lower, 0), number(upper, i64::MAX))
        };
        let texts = |column: &str| {
            let (lower, upper) = bounds_of(file, column);
            let text = |bound: Option<iceberg::spec::Datum>| match bound?.literal() {
                PrimitiveLiteral::String(text) => Some(text.clone()),
                _ => None,
            };
            (text(lower), text(upper))
        };
        let (first, last) = numbers("journal_offset");
        let (from, to) = numbers("timestamp");
        Some(Self {
            location: file.file_path().to_owned(),
            bytes: file.file_size_in_bytes(),
            rows: file.record_count(),
            partition: Partition::from_struct(file.partition())?,
            offsets: first as u64..=last as u64,
            times: from / 1_000..=to / 1_000,
            is_sorted: file.sort_order_id() == Some(SORT_ORDER),
            tenants: texts("tenant"),
            event_types: texts("event_type"),
            entity_namespaces: texts("entity_ns"),
            entity_ids: texts("entity_id"),
            ulids: texts("ulid"),
        })
    }
}

fn range_has(range: &RangeInclusive<String>, text: &str) -> bool {
    range.start().as_str() <= text && text <= range.end().as_str()
}

fn statistics_of<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a Statistics> {
    group.column(columns::place_of(column)).statistics()
}

fn texts_of(group: &RowGroupMetaData, column: &str) -> Option<Texts> {
    let statistics = statistics_of(group, column)?;
    let text = |bytes: Option<&[u8]>| std::str::from_utf8(bytes?).ok().map(str::to_owned);
    Some((text(statistics.min_bytes_opt()), text(statistics.max_bytes_opt())))
}

/// The lowest and highest journal offset of a row group.
pub(crate) fn offsets_of(group: &RowGroupMetaData) -> RangeInclusive<u64> {
    match statistics_of(group, "journal_offset") {
        Some(Statistics::Int64(bounds)) => {
            let bound = |bound: Option<&i64>, unknown| bound.map_or(unknown, |bound| *bound as u64);
            bound(bounds.min_opt(), 0)..=bound(bounds.max_opt(), u64::MAX)
        }
        _ => 0..=u64::MAX,
    }
}
