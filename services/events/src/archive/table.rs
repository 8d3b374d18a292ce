//! Owns what the two tables are: which events each has, their partitions and their order. Never reads or writes one.

use std::collections::HashMap;

use domain::Timestamp;
use iceberg::{
    spec::{
        Datum, FormatVersion, Literal, NullOrder, PrimitiveLiteral, SortDirection, SortField, SortOrder, Struct,
        TableMetadata, TableMetadataBuilder, Transform, UnboundPartitionSpec,
    },
    transform::create_transform_function,
};
use proto::events::v1::Event;

use super::{
    Error,
    columns::{self, id_of},
    commit::POSITION,
};
use crate::journal::Identity;

/// How many buckets the names of the history have.
const BUCKETS: u32 = 16;

/// The table property that names the journal which feeds the table.
pub(crate) const JOURNAL_ID: &str = "annals.journal-id";
/// The table property that names the epoch of the writer.
pub(crate) const JOURNAL_EPOCH: &str = "annals.journal-epoch";

/// Which of a table's orders its rows have: the only one.
pub(crate) const SORT_ORDER: i32 = 1;

/// A table of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Table {
    /// Every event, by day of intake and `keep`, in order of tenant and time.
    Events,
    /// The mutations, by month of their ULID and bucket of the entity's id, in order of entity and ULID.
    History,
}

/// The part of a table that a file belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Partition {
    /// Days or months since 1970.
    pub(crate) period: i32,
    /// The `keep` of events or the bucket of names.
    pub(crate) group: Group,
}

/// How a period is divided.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Group {
    /// By how long events are kept.
    Keep(String),
    /// By the hash of the entity's id.
    Bucket(i32),
}

impl Table {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Events, Self::History];

    /// Its name in the catalog.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::History => "history",
        }
    }

    /// Whether an event is in it.
    pub(crate) fn has(self, event: &Event) -> bool {
        self == Self::Events || event.event_type == "mutation"
    }

    /// Where an event belongs.
    pub(crate) fn partition_of(self, event: &Event) -> Partition {
        match self {
            Self::Events => {
                let intake = event.timestamp.map_or(0, |time| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000);
                Partition { period: period(Transform::Day, intake), group: Group::Keep(event.keep.clone()) }
            }
            Self::History => {
                let made = columns::ulid_millis(event).unwrap_or(0);
                Partition { period: period(Transform::Month, made), group: Group::Bucket(bucket_of(&event.entity_id)) }
            }
        }
    }

    /// The columns that rows of a file are ordered by, ascending and what is null first.
    pub(crate) fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["tenant", "timestamp", "journal_offset"],
            Self::History => &["tenant", "entity_ns", "entity_id", "entity_kind", "ulid"],
        }
    }

    /// The metadata of the table without a snapshot.
    pub(crate) fn create(self, base: &str, identity: Identity) -> Result<TableMetadata, Error> {
        let spec = match self {
            Self::Events => UnboundPartitionSpec::builder()
                .add_partition_field(id_of("timestamp"), "timestamp_day", Transform::Day)?
                .add_partition_field(id_of("keep"), "keep", Transform::Identity)?,
            Self::History => UnboundPartitionSpec::builder()
                .add_partition_field(id_of("ulid_time"), "ulid_time_month", Transform::Month)?
                .add_partition_field(id_of("entity_id"), "entity_id_bucket", Transform::Bucket(BUCKETS))?,
        };
        let mut order = SortOrder::builder();
        order.with_order_id(SORT_ORDER.into());
        for column in self.sort_columns() {
            order.with_sort_field(SortField {
                source_id: id_of(column),
                transform: Transform::Identity,
                direction: SortDirection::Ascending,
                null_order: NullOrder::First,
            });
        }
        let schema = columns::iceberg_schema()?;
        let order = order.build(&schema)?;
        let properties = HashMap::from([
            ("write.format.default".to_owned(), "parquet".to_owned()),
            ("write.parquet.compression-codec".to_owned(), "zstd".to_owned()),
            (JOURNAL_ID.to_owned(), identity.id.to_string()),
            (JOURNAL_EPOCH.to_owned(), identity.epoch.to_string()),
            (POSITION.to_owned(), "0".to_owned()),
        ]);
        let location = format!("{base}/{}", self.name());
        let builder = TableMetadataBuilder::new(schema, spec.build(), order, location, FormatVersion::V2, properties)?;
        Ok(builder.build()?.metadata)
    }
}

impl Partition {
    /// As Iceberg has it.
    pub(crate) fn to_struct(&self) -> Struct {
        let group = match &self.group {
            Group::Keep(keep) => Literal::string(keep),
            Group::Bucket(bucket) => Literal::int(*bucket),
        };
        Struct::from_iter([Some(Literal::int(self.period)), Some(group)])
    }

    /// What [`Self::to_struct`] made; nothing if another writer made it of something else.
    pub(crate) fn from_struct(value: &Struct) -> Option<Self> {
        let [Some(Literal::Primitive(PrimitiveLiteral::Int(period))), Some(Literal::Primitive(group))] = value.fields()
        else {
            return None;
        };
        let group = match group {
            PrimitiveLiteral::String(keep) => Group::Keep(keep.clone()),
            PrimitiveLiteral::Int(bucket) => Group::Bucket(*bucket),
            _ => return None,
        };
        Some(Self { period: *period, group })
    }
}

/// The bucket of an entity's id (with its variant).
pub(crate) fn bucket_of(entity_id: &str) -> i32 {
    int_of(Transform::Bucket(BUCKETS), &Datum::string(entity_id))
}

/// The day or month of a time in milliseconds.
pub(crate) fn period(transform: Transform, millis: i64) -> i32 {
    let millis = millis.clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis());
    int_of(transform, &Datum::timestamptz_micros(millis * 1_000))
}

fn int_of(transform: Transform, value: &Datum) -> i32 {
    let transformed = create_transform_function(&transform).and_then(|function| function.transform_literal(value));
    match transformed.ok().flatten().as_ref().map(Datum::literal) {
        Some(PrimitiveLiteral::Int(number)) => *number,
        _ => unreachable!("{transform} of a time or a text is a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_the_specification() {
        // https://iceberg.apache.org/spec/#appendix-b-32-bit-hash-requirements
        assert_eq!(bucket_of("iceberg"), 1_210_000_089 % 16);
        assert_eq!(period(Transform::Day, 86_400_000 - 1), 0);
        assert_eq!(period(Transform::Month, 31 * 86_400_000), 1);
        let partition = Partition { period: 20_000, group: Group::Keep("1y".into()) };
        assert_eq!(Partition::from_struct(&partition.to_struct()), Some(partition));
    }
}
