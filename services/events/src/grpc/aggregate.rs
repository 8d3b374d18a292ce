//! Aggregates on the wire: which columns take part in what, and the limits of a request.

use std::{collections::HashSet, time::Duration};

use domain::Invalid;
use proto::{
    convert::{column_name, measure_name},
    events::v1::{AggregateRequest, AggregateResponse, Column, Cost, Function, Measure as WireMeasure, TimeBucket},
};

use super::ask::{filter, times};
use crate::{
    archive::{Aggregate, Aggregated, Bucket, Condition, Measure, MeasureOrder},
    filter::Filter,
};

/// Texts that are filtered by: columns, texts of each, and bytes of each of these.
const MAX_FILTERS: usize = 16;
const MAX_TEXTS: usize = 100;
const MAX_TEXT_BYTES: usize = 8_192;
/// The longest bucket.
const MAX_BUCKET: Duration = Duration::from_hours(366 * 24);
/// Columns to group by, and figures of each group.
const MAX_GROUPS: usize = 8;
const MAX_MEASURES: usize = 16;
/// Rows, and how many where it is not said.
const MAX_ROWS: i32 = 10_000;
const DEFAULT_ROWS: i32 = 1_000;

/// What a column is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Number,
    Flag,
    Time,
}

/// What is asked: which events, whether without mutations, and which figures of them.
pub(super) fn aggregate(request: AggregateRequest) -> Result<(Filter, bool, Aggregate), Invalid> {
    let AggregateRequest {
        from,
        to,
        event_types,
        entity_ns,
        entity_id,
        entity_kind,
        without_mutations,
        filters,
        status_from,
        status_to,
        has_exception,
        bucket,
        group_by,
        measures,
        order,
        limit,
        wait_for: _,
    } = request;
    let filter = Filter { times: times(from, to)?, ..filter(&event_types, &entity_ns, &entity_id, entity_kind)? };
    let mut conditions = Vec::new();
    if filters.len() > MAX_FILTERS {
        return Err(Invalid::new("filters", "must be at most 16"));
    }
    for (place, text) in filters.into_iter().enumerate() {
        let field = |name: &str| format!("filters[{place}].{name}");
        let (column, kind) = column_of(&field("column"), text.column)?;
        if kind != Kind::Text {
            return Err(Invalid::new(field("column"), "must be a column of text"));
        }
        if text.values.is_empty() || text.values.len() > MAX_TEXTS {
            return Err(Invalid::new(field("values"), "must be 1 to 100"));
        }
        if text.values.iter().any(|value| value.is_empty() || value.len() > MAX_TEXT_BYTES) {
            return Err(Invalid::new(field("values"), "must have 1 to 8,192 bytes each"));
        }
        conditions.push(Condition::OneOf(column_name(column), text.values));
    }
    if status_from.is_some() || status_to.is_some() {
        let status = status_from.unwrap_or(i32::MIN)..status_to.unwrap_or(i32::MAX);
        conditions.push(Condition::Within("status".into(), status));
    }
    conditions.extend(has_exception.map(|has| Condition::Is("has_exception".into(), has)));
    let bucket = bucket.map(bucket_of).transpose()?;
    let group_by = groups(&group_by)?;
    let order = order.map(|order| {
        let measure = usize::try_from(order.measure).ok().filter(|place| *place < measures.len());
        let measure = measure.ok_or_else(|| Invalid::new("order.measure", "must be the place of a measure, from 0"))?;
        Ok(MeasureOrder { measure, ascending: order.ascending })
    });
    let aggregate = Aggregate {
        conditions,
        bucket,
        group_by,
        order: order.transpose()?,
        measures: measures_of(&measures)?,
        limit: match limit {
            0 => DEFAULT_ROWS,
            1..=MAX_ROWS => limit,
            _ => return Err(Invalid::new("limit", "must be 1 to 10,000")),
        } as usize,
    };
    Ok((filter, without_mutations, aggregate))
}

/// The answer, which ends at so many bytes.
pub(super) fn aggregated(aggregated: Aggregated, cost: Cost, max_bytes: usize) -> AggregateResponse {
    let Aggregated { mut rows, mut is_truncated, cost: _ } = aggregated;
    let mut bytes = 0;
    let fit = rows.iter().take_while(|row| {
        bytes += prost::Message::encoded_len(*row);
        bytes <= max_bytes
    });
    let fit = fit.count();
    is_truncated |= fit < rows.len();
    rows.truncate(fit);
    AggregateResponse { rows, is_truncated, cost: Some(cost) }
}

fn column_of(field: &str, number: i32) -> Result<(Column, Kind), Invalid> {
    let column = Column::try_from(number).map_err(|_| Invalid::new(field, "must be a column that aggregates know"))?;
    let kind = match column {
        Column::Unspecified => return Err(Invalid::new(field, "is required")),
        Column::EventType
        | Column::MutationType
        | Column::EntityNs
        | Column::EntityId
        | Column::EntityKind
        | Column::EntityType
        | Column::ScriptName
        | Column::DispatchNamespace
        | Column::WorkerName
        | Column::Url
        | Column::Method
        | Column::UserAgent
        | Column::Ip
        | Column::Outcome
        | Column::RpcMethod
        | Column::Severity
        | Column::Category
        | Column::ErrorType
        | Column::ErrorMessage => Kind::Text,
        Column::Status | Column::LogCount | Column::ExceptionCount | Column::RetryCount => Kind::Whole,
        Column::HasException => Kind::Flag,
        Column::CpuTime | Column::WallTime => Kind::Number,
        Column::Timestamp | Column::EventTimestamp => Kind::Time,
    };
    Ok((column, kind))
}

fn bucket_of(bucket: TimeBucket) -> Result<Bucket, Invalid> {
    let width = bucket.width.ok_or_else(|| Invalid::new("bucket.width", "is required"))?;
    let seconds = u64::try_from(width.seconds).unwrap_or(0);
    if width.nanos != 0 || !(1..=MAX_BUCKET.as_secs()).contains(&seconds) {
        return Err(Invalid::new("bucket.width", "must be 1 to 31,622,400 whole seconds"));
    }
    let column = match Column::try_from(bucket.column) {
        Ok(Column::Unspecified | Column::Timestamp) => Column::Timestamp,
        Ok(Column::EventTimestamp) => Column::EventTimestamp,
        _ => return Err(Invalid::new("bucket.column", "must be timestamp or event_timestamp")),
    };
    Ok(Bucket { column: column_name(column), millis: seconds as i64 * 1_000 })
}

fn groups(columns: &[i32]) -> Result<Vec<String>, Invalid> {
    let is_doubled = columns.iter().collect::<HashSet<_>>().len() < columns.len();
    if columns.len() > MAX_GROUPS || is_doubled {
        return Err(Invalid::new("group_by", "must be at most 8 different columns"));
    }
    let mut groups = Vec::new();
    for number in columns {
        let (column, kind) = column_of("group_by", *number)?;
        match kind {
            Kind::Text | Kind::Whole | Kind::Flag => groups.push(column_name(column)),
            Kind::Number | Kind::Time => {
                let rule = "must be columns of text, whole numbers and has_exception: times go into buckets";
                return Err(Invalid::new("group_by", rule));
            }
        }
    }
    Ok(groups)
}

fn measures_of(wire: &[WireMeasure]) -> Result<Vec<Measure>, Invalid> {
    let is_doubled = wire.iter().map(measure_name).collect::<HashSet<_>>().len() < wire.len();
    if wire.is_empty() || wire.len() > MAX_MEASURES || is_doubled {
        return Err(Invalid::new("measures", "must be 1 to 16 different ones"));
    }
    let measure_at = |(place, measure)| measure_of(place, measure);
    wire.iter().enumerate().map(measure_at).collect()
}

fn measure_of(place: usize, measure: &WireMeasure) -> Result<Measure, Invalid> {
    let field = |name: &str| format!("measures[{place}].{name}");
    let invalid = |name: &str, rule: &str| Invalid::new(field(name), rule);
    let function = Function::try_from(measure.function).unwrap_or_default();
    match function {
        Function::Unspecified => return Err(invalid("function", "must be one of the functions")),
        Function::Quantile if measure.quantile > 0.0 && measure.quantile < 1.0 => {}
        Function::Quantile => return Err(invalid("quantile", "must be above 0 and below 1")),
        _ if measure.quantile == 0.0 => {}
        _ => return Err(invalid("quantile", "must be given with a quantile only")),
    }
    if function == Function::Count && measure.column == 0 {
        return Ok(Measure::Count);
    }
    let (column, kind) = column_of(&field("column"), measure.column)?;
    let name = column_name(column);
    let is_numeric = matches!(kind, Kind::Whole | Kind::Number);
    Ok(match function {
        Function::Unspecified => unreachable!("it was refused above"),
        Function::Count => Measure::CountOf(name),
        Function::CountDistinct if matches!(kind, Kind::Text | Kind::Whole | Kind::Flag) => Measure::Distinct(name),
        Function::CountDistinct => {
            return Err(invalid("column", "must be a column of text, whole numbers or has_exception"));
        }
        Function::Min if is_numeric || kind == Kind::Time => Measure::Min(name),
        Function::Max if is_numeric || kind == Kind::Time => Measure::Max(name),
        Function::Min | Function::Max => return Err(invalid("column", "must be a column of numbers or times")),
        Function::Sum if is_numeric => Measure::Sum(name),
        Function::Avg if is_numeric => Measure::Avg(name),
        Function::Quantile if is_numeric => Measure::Quantile(name, measure.quantile),
        Function::Sum | Function::Avg | Function::Quantile => {
            return Err(invalid("column", "must be a column of numbers"));
        }
    })
}
