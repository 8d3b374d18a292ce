//! Owns the figures that can be asked of events, and the plan that makes them. Never decides who may ask, and never reads.

use std::{ops::Range, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use datafusion::{
    common::ScalarValue,
    datasource::provider_as_source,
    error::Result as Planned,
    functions_aggregate::expr_fn::{approx_percentile_cont, avg, count, count_distinct, max, min, sum},
    logical_expr::{
        Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, cast, ident, lit, utils::conjunction,
    },
};
use domain::Timestamp;
use proto::{
    convert::timestamp_to_wire,
    events::v1::{AggregateRow, AggregateValue, aggregate_value::Value},
};

use super::{
    Archive, Cost, Error,
    engine::Turn,
    snapshot::{Snapshot, text},
};

/// Which figures, of which events. Columns are named as in the tables.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) group_by: Vec<String>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) order: Option<MeasureOrder>,
    /// The most rows.
    pub(crate) limit: usize,
}

/// What an event has in a column.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// One of these texts.
    OneOf(String, Vec<String>),
    /// Another text than this, in a column that always has one.
    IsNot(String, String),
    /// A whole number of these.
    Within(String, Range<i32>),
    /// A time of these, in milliseconds.
    During(String, Range<i64>),
    /// True or false.
    Is(String, bool),
}

/// Buckets of time.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) column: String,
    pub(crate) millis: i64,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) enum Measure {
    Count,
    CountOf(String),
    Distinct(String),
    Sum(String),
    Min(String),
    Max(String),
    Avg(String),
    Quantile(String, f64),
}

/// By which figure rows are ordered: by its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasureOrder {
    pub(crate) measure: usize,
    pub(crate) ascending: bool,
}

/// Figures, and what they cost.
#[derive(Debug)]
pub(crate) struct Aggregated {
    pub(crate) rows: Vec<AggregateRow>,
    /// Whether there are more rows than were asked for.
    pub(crate) is_truncated: bool,
    pub(crate) cost: Cost,
}

impl Archive {
    /// Waits until one more aggregate may run.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Error> {
        self.engine.turn().await
    }

    /// The figures of a snapshot.
    pub(crate) async fn aggregate(
        &self,
        turn: Turn<'_>,
        snapshot: Snapshot,
        aggregate: &Aggregate,
    ) -> Result<Aggregated, Error> {
        let snapshot = Arc::new(snapshot);
        let (batches, rows_read) = self.engine.run(turn, plan(&snapshot, aggregate)?).await?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                rows.push(row_of(batch, row, aggregate)?);
            }
        }
        let is_truncated = rows.len() > aggregate.limit;
        rows.truncate(aggregate.limit);
        Ok(Aggregated { rows, is_truncated, cost: Cost { rows: rows_read, ..snapshot.cost() } })
    }
}

/// Groups and figures have these names, so that none is another's.
fn group_name(place: usize) -> String {
    format!("group {place}")
}

fn measure_name(place: usize) -> String {
    format!("measure {place}")
}

const BUCKET: &str = "bucket";

fn plan(snapshot: &Arc<Snapshot>, aggregate: &Aggregate) -> Planned<LogicalPlan> {
    let Aggregate { conditions, bucket, group_by, measures, order, limit } = aggregate;
    let table = provider_as_source(Arc::clone(snapshot) as _);
    let mut plan = LogicalPlanBuilder::scan("events", table, None)?;
    if let Some(condition) = conjunction(conditions.iter().flat_map(Condition::exprs)) {
        plan = plan.filter(condition)?;
    }
    let buckets = bucket.iter().map(|bucket| bucket.expr().alias(BUCKET));
    let groups = group_by.iter().enumerate().map(|(place, column)| ident(column).alias(group_name(place)));
    let groups: Vec<_> = buckets.chain(groups).collect();
    let figures = measures.iter().enumerate().map(|(place, measure)| measure.expr().alias(measure_name(place)));
    let mut sorts = Vec::new();
    if let Some(MeasureOrder { measure, ascending }) = order {
        sorts.push(ident(measure_name(*measure)).sort(*ascending, false));
    }
    if bucket.is_some() {
        sorts.push(ident(BUCKET).sort(true, true));
    }
    sorts.extend((0..group_by.len()).map(|place| ident(group_name(place)).sort(true, true)));
    let names = bucket.iter().map(|_| BUCKET.to_owned()).chain((0..group_by.len()).map(group_name));
    let names = names.chain((0..measures.len()).map(measure_name));
    let columns: Vec<_> = names.map(ident).collect();
    plan = plan.aggregate(groups, figures.collect::<Vec<_>>())?;
    // One more, so that it is known whether there are more.
    if !sorts.is_empty() {
        plan = plan.sort_with_limit(sorts, Some(limit + 1))?;
    }
    plan.project(columns)?.build()
}

impl Condition {
    fn exprs(&self) -> Vec<Expr> {
        match self {
            Self::OneOf(column, texts) => {
                let texts = texts.iter().map(|word| lit(text(word))).collect();
                vec![ident(column).in_list(texts, false)]
            }
            Self::IsNot(column, word) => vec![ident(column).not_eq(lit(text(word)))],
            Self::Within(column, Range { start, end }) => {
                vec![ident(column).gt_eq(lit(*start)), ident(column).lt(lit(*end))]
            }
            Self::During(column, Range { start, end }) => {
                let time = |millis: i64| {
                    lit(ScalarValue::TimestampMicrosecond(Some(millis.saturating_mul(1_000)), Some("+00:00".into())))
                };
                let after = (*start > i64::MIN).then(|| ident(column).gt_eq(time(*start)));
                let before = (*end < i64::MAX).then(|| ident(column).lt(time(*end)));
                after.into_iter().chain(before).collect()
            }
            Self::Is(column, true) => vec![ident(column)],
            Self::Is(column, false) => vec![ident(column).is_false()],
        }
    }
}

impl Bucket {
    /// The number of the bucket. Times are not before 1970, so that division rounds down.
    fn expr(&self) -> Expr {
        let micros = cast(ident(&self.column), DataType::Int64);
        binary_expr(micros, Operator::Divide, lit(self.millis * 1_000))
    }
}

impl Measure {
    fn expr(&self) -> Expr {
        match self {
            Self::Count => datafusion::functions_aggregate::count::count_all(),
            Self::CountOf(column) => count(ident(column)),
            Self::Distinct(column) => count_distinct(ident(column)),
            Self::Sum(column) => sum(ident(column)),
            Self::Min(column) => min(ident(column)),
            Self::Max(column) => max(ident(column)),
            Self::Avg(column) => avg(ident(column)),
            Self::Quantile(column, share) => {
                approx_percentile_cont(cast(ident(column), DataType::Float64).sort(true, false), lit(*share), None)
            }
        }
    }
}

fn row_of(batch: &RecordBatch, row: usize, aggregate: &Aggregate) -> Planned<AggregateRow> {
    let mut values = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, row));
    let bucket = match &aggregate.bucket {
        Some(bucket) => match values.next().transpose()? {
            Some(ScalarValue::Int64(Some(number))) => Some(time(number * bucket.millis)),
            _ => None,
        },
        None => None,
    };
    let mut values = values.map(|value| Ok(AggregateValue { value: value_of(value?) }));
    let group = values.by_ref().take(aggregate.group_by.len()).collect::<Planned<_>>()?;
    Ok(AggregateRow { bucket, group, values: values.collect::<Planned<_>>()? })
}

fn value_of(value: ScalarValue) -> Option<Value> {
    match value {
        ScalarValue::Utf8View(text) | ScalarValue::Utf8(text) => text.map(Value::Text),
        ScalarValue::Int64(number) => number.map(Value::Integer),
        ScalarValue::Int32(number) => number.map(i64::from).map(Value::Integer),
        ScalarValue::Float64(number) => number.map(Value::Number),
        ScalarValue::Boolean(flag) => flag.map(Value::Flag),
        ScalarValue::TimestampMicrosecond(micros, _) => micros.map(|micros| Value::Time(time(micros / 1_000))),
        other => unreachable!("no column and no figure has the type {}", other.data_type()),
    }
}

fn time(millis: i64) -> prost_types::Timestamp {
    timestamp_to_wire(Timestamp::MIN.plus_millis(millis))
}
