//! Owns the table of events as a plan sees it: the archived files and what is not archived yet, in one moment, of one
//! tenant. Never decides which events are asked for.

mod recent;

use std::{any::Any, fmt, ops::Range, sync::Arc};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{ColumnStatistics, DFSchema, ScalarValue, Statistics, stats::Precision},
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileGroupPartitioner, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    error::{DataFusionError, Result},
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, ident, lit, utils::conjunction},
    physical_expr::PhysicalExpr,
    physical_plan::{ExecutionPlan, empty::EmptyExec, streaming::StreamingTableExec, union::UnionExec},
};
use domain::TenantId;
use proto::events::v1::Event;
use serve::refusal::Refusal;

use self::recent::RecentRows;
use super::{
    Archive, Cost, Error, View,
    columns::{COLUMNS, arrow_schema, place_of},
    reader::Opener,
    store::Reader,
    table::Table,
    wanted::{ArchivedFile, Wanted},
};

/// Reads some of the events at these offsets, oldest first, and says what is left over. It may leave out what is not
/// wanted, and blocks.
pub(crate) type Recent = Arc<dyn Fn(Range<u64>) -> Result<(Vec<Event>, Range<u64>), Refusal> + Send + Sync>;

/// A part of a file is read apart if it has so many bytes: less is not worth another task.
const PART_BYTES: usize = 1 << 20;

/// Every event of a tenant in one moment, as far as it may be wanted.
pub(crate) struct Snapshot {
    /// Held as long as this is: the journal is cut, and files are removed, behind it only.
    _view: Arc<View>,
    tenant: TenantId,
    files: Vec<PartitionedFile>,
    opener: Arc<Opener>,
    recent: Recent,
    /// Of what is not archived.
    offsets: Range<u64>,
}

impl Archive {
    /// What a view and the events after it have of what is wanted. `offsets` are those of the journal that may be wanted,
    /// of which `recent` reads the ones that the view has not.
    pub(crate) fn snapshot(
        &self,
        view: Arc<View>,
        wanted: &Wanted,
        offsets: Range<u64>,
        recent: Recent,
    ) -> Result<Snapshot, Error> {
        let table = view.table(Table::Events);
        let files = table.files.iter().filter(|file| wanted.may_be_in(file)).map(|file| self.part_of(file));
        let files = files.collect::<Result<_, _>>()?;
        let offsets = offsets.start.max(table.position())..offsets.end;
        let (objects, _) = self.store.object(table.loaded.metadata.location(), Reader::Caller)?;
        let opener = Arc::new(Opener::new(objects, Arc::clone(&self.footers)));
        let tenant = wanted.tenant.clone().expect("a snapshot is of one tenant");
        Ok(Snapshot { _view: view, tenant, files, opener, recent, offsets })
    }

    fn part_of(&self, file: &ArchivedFile) -> Result<PartitionedFile, Error> {
        let (_, key) = self.store.object(&file.location, Reader::Caller)?;
        let mut part = PartitionedFile::new("", file.bytes);
        part.object_meta.location = key;
        Ok(part.with_statistics(Arc::new(statistics(file))))
    }
}

impl Snapshot {
    /// What reading files has cost until now, but for rows.
    pub(crate) fn cost(&self) -> Cost {
        self.opener.cost()
    }

    /// Reads the rows that `predicate` holds for from files, in parts of about the same size.
    fn archived(
        &self,
        predicate: Arc<dyn PhysicalExpr>,
        projection: Option<&Vec<usize>>,
        partitions: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = ParquetSource::new(schema())
            .with_parquet_file_reader_factory(Arc::clone(&self.opener) as _)
            .with_predicate(predicate)
            .with_pushdown_filters(true)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        let group = FileGroup::new(self.files.clone());
        let parts = FileGroupPartitioner::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(PART_BYTES)
            .repartition_file_groups(std::slice::from_ref(&group))
            .unwrap_or_else(|| group.split_files(partitions));
        // No store is registered under this name: the opener has its own.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(parts)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for Snapshot {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = schema();
        let of_tenant = ident("tenant").eq(lit(text(self.tenant.as_str())));
        let conditions = std::iter::once(of_tenant).chain(filters.iter().cloned());
        let condition = conjunction(conditions).expect("there is the tenant");
        let predicate = state.create_physical_expr(condition, &DFSchema::try_from(Arc::clone(&schema))?)?;
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.files.is_empty() {
            parts.push(self.archived(Arc::clone(&predicate), projection, state.config().target_partitions())?);
        }
        if !self.offsets.is_empty() {
            let rows = RecentRows::new(&schema, predicate, projection, Arc::clone(&self.recent), self.offsets.clone())?;
            let schema = Arc::clone(rows.projected());
            parts.push(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(rows)], None, [], false, None)?));
        }
        match parts.len() {
            0 => {
                let all: Vec<_> = (0..schema.fields().len()).collect();
                Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(projection.unwrap_or(&all))?))))
            }
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Snapshot");
        shown.field("files", &self.files.len()).field("offsets", &self.offsets).finish_non_exhaustive()
    }
}

/// The columns, with texts as views: these are compared and grouped by without being copied.
fn schema() -> SchemaRef {
    static SCHEMA: std::sync::LazyLock<SchemaRef> = std::sync::LazyLock::new(|| {
        let schema = arrow_schema();
        let fields = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 => Field::new(field.name(), DataType::Utf8View, field.is_nullable()),
            other => Field::new(field.name(), other.clone(), field.is_nullable()),
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// A text as these columns have it.
pub(super) fn text(text: &str) -> ScalarValue {
    ScalarValue::Utf8View(Some(text.to_owned()))
}

/// What is known of a file without opening it. A column that has one value only is not read from it.
fn statistics(file: &ArchivedFile) -> Statistics {
    let mut columns = vec![ColumnStatistics::new_unknown(); COLUMNS.len()];
    for (column, bounds) in file.required_texts() {
        if let Some(value) = bounds {
            columns[place_of(column)] = ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: Precision::Exact(text(value)),
                max_value: Precision::Exact(text(value)),
                ..ColumnStatistics::new_unknown()
            };
        }
    }
    Statistics {
        num_rows: Precision::Exact(file.rows as usize),
        total_byte_size: Precision::Absent,
        column_statistics: columns,
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
