//! Owns the rows of events that are not archived yet, as one part of a plan. Never reads more than a step of them ahead.

use std::{fmt, ops::Range, sync::Arc};

use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, StringViewArray, cast::AsArray as _};
use arrow_schema::{DataType, SchemaRef};
use datafusion::{
    arrow::compute::filter_record_batch,
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{
        PhysicalExpr,
        expressions::Column,
        utils::{collect_columns, reassign_expr_columns},
    },
    physical_plan::{stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use futures::stream;
use proto::events::v1::Event;

use super::{Recent, external};
use crate::archive::columns;

/// The rows of these offsets that a predicate holds for.
#[derive(Clone)]
pub(super) struct RecentRows {
    recent: Recent,
    offsets: Range<u64>,
    /// The columns that are made of each event, by their place in the table: those of `predicate`, and those that are
    /// projected.
    places: Vec<usize>,
    needed: SchemaRef,
    predicate: Arc<dyn PhysicalExpr>,
    /// Places among those that are needed.
    projection: Vec<usize>,
    projected: SchemaRef,
}

impl RecentRows {
    /// `schema`: of the table, which `predicate` and `projection` are of.
    pub(super) fn new(
        schema: &SchemaRef,
        predicate: Arc<dyn PhysicalExpr>,
        projection: Option<&Vec<usize>>,
        recent: Recent,
        offsets: Range<u64>,
    ) -> Result<Self> {
        let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let mut places: Vec<_> = collect_columns(&predicate).iter().map(Column::index).collect();
        places.extend(&projection);
        places.sort_unstable();
        places.dedup();
        let needed = Arc::new(schema.project(&places)?);
        let predicate = reassign_expr_columns(predicate, &needed)?;
        let projected = Arc::new(schema.project(&projection)?);
        let place = |of: usize| places.binary_search(&of).expect("what is projected is needed");
        let projection = projection.into_iter().map(place).collect();
        Ok(Self { recent, offsets, places, needed, predicate, projection, projected })
    }

    /// The columns of the rows.
    pub(super) fn projected(&self) -> &SchemaRef {
        &self.projected
    }

    fn rows_of(&self, events: &[Event]) -> Result<RecordBatch> {
        let arrays = self.places.iter().map(|place| viewed(columns::array_of(&columns::COLUMNS[*place], events)));
        let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.needed), arrays.collect(), &options)?;
        let holds = self.predicate.evaluate(&rows)?.into_array(rows.num_rows())?;
        let rows = filter_record_batch(&rows, holds.as_boolean())?;
        Ok(rows.project(&self.projection)?)
    }
}

impl PartitionStream for RecentRows {
    fn schema(&self) -> &SchemaRef {
        &self.projected
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (rows, schema) = (self.clone(), Arc::clone(&self.projected));
        let steps = stream::try_unfold(self.offsets.clone(), move |offsets| {
            let step = || {
                if offsets.is_empty() {
                    return Ok(None);
                }
                // It blocks, on a thread that is there for it.
                let (events, rest) = (rows.recent)(offsets).map_err(external)?;
                Ok(Some((rows.rows_of(&events)?, rest)))
            };
            std::future::ready(step())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, steps))
    }
}

impl fmt::Debug for RecentRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentRows").field("offsets", &self.offsets).finish_non_exhaustive()
    }
}

/// Texts as views.
fn viewed(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => Arc::new(StringViewArray::from(array.as_string::<i32>())),
        _ => array,
    }
}
