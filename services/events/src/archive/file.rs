//! Owns how a data file is written: Parquet settings, and what the table's metadata says of the file.
//! Never decides which rows belong together.

use std::{collections::HashMap, sync::LazyLock};

use arrow_array::{Array as _, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, cast::AsArray as _, types};
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{
        metadata::{ParquetMetaData, SortingColumn},
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};

use super::{
    Error, STEP_ROWS,
    columns::{self, COLUMNS, Column, Value, arrow_schema, id_of},
    store::{Store, Upload},
    table::{Partition, SORT_ORDER, Table},
};

/// Lines of logs get no smaller with higher levels below 6, JSON of things by a fiftieth (decision 46).
const ZSTD_LEVEL: i32 = 1;
/// A row group is closed at so many rows or encoded bytes: what a reader holds of a file, and what it can skip.
const GROUP_ROWS: usize = 65_536;
pub(crate) const GROUP_BYTES: usize = 8 << 20;
/// A page is closed at so many rows: what a point read decodes.
const PAGE_ROWS: usize = 2_048;
/// Characters that a bound of a text keeps, as in Iceberg's own writers' default.
const BOUND_CHARS: usize = 16;
/// Columns that point reads look for by value, beside the order of rows.
const BLOOM_COLUMNS: [&str; 2] = ["ulid", "entity_id"];

/// A data file that is being written.
pub(crate) struct FileWriter {
    partition: Partition,
    location: String,
    writer: ArrowWriter<Upload>,
    bounds: Vec<Bounds>,
    nulls: Vec<u64>,
    rows: u64,
}

impl FileWriter {
    /// Begins a file; its rows must come in the table's order.
    pub(crate) fn create(store: &Store, table: Table, partition: Partition, location: String) -> Result<Self, Error> {
        let writer = ArrowWriter::try_new(store.create(&location)?, arrow_schema(), Some(properties(table)))?;
        let bounds = COLUMNS.iter().filter(|column| column.bounded).map(Bounds::new).collect();
        Ok(Self { partition, location, writer, bounds, nulls: vec![0; COLUMNS.len()], rows: 0 })
    }

    /// Adds rows, which have every column.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        for (nulls, array) in self.nulls.iter_mut().zip(rows.columns()) {
            *nulls += array.null_count() as u64;
        }
        for bounds in &mut self.bounds {
            bounds.widen(rows.column(columns::place_of(bounds.column.name)));
        }
        self.writer.write(rows)?;
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Bytes that the file has until now, about.
    pub(crate) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Completes the file; what it answers goes into a commit.
    pub(crate) fn finish(mut self) -> Result<DataFile, Error> {
        let parquet = self.writer.finish()?;
        let bytes = self.writer.bytes_written() as u64;
        let mut file = self.described(&parquet);
        file.file_size_in_bytes(bytes);
        self.writer.inner_mut().finish()?;
        Ok(file.build().expect("every field that has no default is set"))
    }

    fn described(&self, parquet: &ParquetMetaData) -> DataFileBuilder {
        let ids = || (1..).zip(&COLUMNS);
        let mut sizes = HashMap::new();
        for group in parquet.row_groups() {
            for ((id, _), chunk) in ids().zip(group.columns()) {
                *sizes.entry(id).or_insert(0) += chunk.compressed_size() as u64;
            }
        }
        let splits = parquet.row_groups().iter().map(|group| group.column(0).byte_range().0 as i64);
        let bounds = |side: fn(&Bounds) -> Option<Datum>| {
            self.bounds.iter().filter_map(|bounds| Some((id_of(bounds.column.name), side(bounds)?))).collect()
        };
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::Data)
            .file_path(self.location.clone())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition.to_struct())
            .record_count(self.rows)
            .column_sizes(sizes)
            .value_counts(ids().map(|(id, _)| (id, self.rows)).collect())
            .null_value_counts((1..).zip(self.nulls.iter().copied()).collect())
            .lower_bounds(bounds(Bounds::lower))
            .upper_bounds(bounds(Bounds::upper))
            .split_offsets(Some(splits.collect()))
            .sort_order_id(SORT_ORDER)
            .partition_spec_id(0);
        file
    }
}

fn properties(table: Table) -> WriterProperties {
    static BY_TABLE: LazyLock<[WriterProperties; 2]> = LazyLock::new(|| Table::ALL.map(make_properties));
    BY_TABLE[table as usize].clone()
}

fn make_properties(table: Table) -> WriterProperties {
    let sorting = table.sort_columns().iter().map(|name| SortingColumn {
        column_idx: columns::place_of(name) as i32,
        descending: false,
        nulls_first: true,
    });
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).expect("a level of zstd");
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("annals {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(STEP_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorting.collect()));
    for column in COLUMNS.iter().filter(|column| column.bounded) {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(column.name), EnabledStatistics::Page);
    }
    for column in BLOOM_COLUMNS {
        let path = ColumnPath::from(column);
        properties = properties.set_column_bloom_filter_enabled(path, true);
    }
    for unique in ["ulid", "data", "journal_offset", "metadata", "logs", "exceptions"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(unique), false);
    }
    properties.build()
}

/// The lowest and the highest value of a column.
struct Bounds {
    column: &'static Column,
    numbers: Option<(i64, i64)>,
    texts: Option<(String, String)>,
}

impl Bounds {
    fn new(column: &'static Column) -> Self {
        Self { column, numbers: None, texts: None }
    }

    fn widen(&mut self, values: &ArrayRef) {
        match self.column.value {
            Value::Text(..) => {
                let texts = || values.as_string::<i32>().iter().flatten();
                let (Some(low), Some(high)) = (texts().min(), texts().max()) else { return };
                let (lowest, highest) = self.texts.get_or_insert_with(|| (low.to_owned(), high.to_owned()));
                if low < lowest.as_str() {
                    low.clone_into(lowest);
                }
                if high > highest.as_str() {
                    high.clone_into(highest);
                }
            }
            Value::Time(..) => self.widen_by(values.as_primitive::<types::TimestampMicrosecondType>()),
            Value::Long(..) => self.widen_by(values.as_primitive::<types::Int64Type>()),
            Value::Int(..) | Value::Double(..) | Value::Bool(..) => unreachable!("no such column is bounded"),
        }
    }

    fn widen_by<T: ArrowPrimitiveType<Native = i64>>(&mut self, numbers: &PrimitiveArray<T>) {
        for number in numbers.iter().flatten() {
            let (lowest, highest) = self.numbers.get_or_insert((number, number));
            *lowest = number.min(*lowest);
            *highest = number.max(*highest);
        }
    }

    fn lower(&self) -> Option<Datum> {
        match (&self.texts, self.numbers) {
            (Some((lowest, _)), _) => Some(Datum::string(lowest.chars().take(BOUND_CHARS).collect::<String>())),
            (None, Some((lowest, _))) => Some(self.number(lowest)),
            (None, None) => None,
        }
    }

    fn upper(&self) -> Option<Datum> {
        match (&self.texts, self.numbers) {
            (Some((_, highest)), _) => above(highest).map(Datum::string),
            (None, Some((_, highest))) => Some(self.number(highest)),
            (None, None) => None,
        }
    }

    fn number(&self, number: i64) -> Datum {
        match self.column.value {
            Value::Time(..) => Datum::timestamptz_micros(number),
            _ => Datum::long(number),
        }
    }
}

/// A short text that is not below `text`; nothing if there is none.
fn above(text: &str) -> Option<String> {
    if text.chars().nth(BOUND_CHARS).is_none() {
        return Some(text.to_owned());
    }
    let mut bound: Vec<char> = text.chars().take(BOUND_CHARS).collect();
    while let Some(last) = bound.pop() {
        // Surrogates are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            bound.push(next);
            return Some(bound.into_iter().collect());
        }
    }
    None
}

/// The bounds of a column that a file's metadata has.
pub(crate) fn bounds_of(file: &DataFile, column: &str) -> (Option<Datum>, Option<Datum>) {
    let id = id_of(column);
    (file.lower_bounds().get(&id).cloned(), file.upper_bounds().get(&id).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_bound_is_short_and_not_below() {
        for text in ["", "short", "exactly 16 chars", "more than sixteen characters", &"\u{10ffff}z".repeat(12)] {
            let bound = above(text).unwrap();
            assert!(bound.as_str() >= text && bound.chars().count() <= BOUND_CHARS, "{bound:?} for {text:?}");
        }
        assert_eq!(above(&"\u{10ffff}".repeat(20)), None);
        assert_eq!(above("0123456789abcde\u{d7ff}x").as_deref(), Some("0123456789abcde\u{e000}"));
    }
}
