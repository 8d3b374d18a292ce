//! `/_/events/aggregate`.
//!
//! Owns how figures of events are asked for in a URL. Never decides which column takes part in what.

use axum::response::Response;
use domain::Invalid;
use http::StatusCode;
use proto::common::v1::Reason;
use proto::convert::{self, timestamp_to_wire};
use proto::events::v1::{AggregateRequest, Measure, MeasureOrder, TextFilter, TimeBucket};
use serve::Refusal;

use crate::call::Call;
use crate::events::{event_types, kind, words};
use crate::json::{self, Writer};
use crate::negotiate::{self, Representation};
use crate::problem::Problem;
use crate::query::Query;
use crate::{Gateway, reply};

/// Parameters that are columns of text: which words an event may have there, by comma.
const TEXTS: [&str; 15] = [
    "mutation_type",
    "entity_type",
    "script_name",
    "dispatch_namespace",
    "worker_name",
    "url",
    "method",
    "user_agent",
    "ip",
    "outcome",
    "rpc_method",
    "severity",
    "category",
    "error_type",
    "error_message",
];

/// All others.
const OTHERS: [&str; 17] = [
    "from",
    "to",
    "event_type",
    "ns",
    "id",
    "kind",
    "without_mutations",
    "status_from",
    "status_to",
    "has_exception",
    "bucket",
    "bucket_by",
    "group_by",
    "measures",
    "order_by",
    "order",
    "limit",
];

/// GET and HEAD.
pub(crate) async fn read(gateway: &Gateway, call: &Call) -> Result<Response, Problem> {
    let query = call.query(&[&TEXTS[..], &OTHERS, &["wait_for"]].concat())?;
    let kind = kind(&query)?;
    let filters = TEXTS.iter().filter_map(|name| Some((*name, words(query.text(name)?))));
    let filters = filters.map(|(name, values)| {
        Ok(TextFilter { column: convert::column(name, name)?.into(), values: values.map(str::to_owned).collect() })
    });
    let has_exception = query.text("has_exception").map(|_| query.flag("has_exception")).transpose()?;
    let measures = measures(query.text("measures").unwrap_or("count"))?;
    negotiate::choose(call.headers(), &Representation::JSON)?;
    let request = AggregateRequest {
        from: query.time("from")?.map(timestamp_to_wire),
        to: query.time("to")?.map(timestamp_to_wire),
        event_types: event_types(&query),
        entity_ns: query.text_or_empty("ns"),
        entity_id: query.text_or_empty("id"),
        entity_kind: kind,
        without_mutations: query.flag("without_mutations")?,
        filters: filters.collect::<Result<_, Invalid>>()?,
        status_from: query.whole_number("status_from")?,
        status_to: query.whole_number("status_to")?,
        has_exception,
        bucket: bucket(&query)?,
        group_by: columns("group_by", query.text("group_by").unwrap_or_default())?,
        order: order(&query, &measures)?,
        measures,
        limit: match query.whole_number("limit")? {
            Some(0) => return Err(Invalid::new("limit", "must be 1 to 10,000").into()),
            limit => limit.unwrap_or_default(),
        },
        wait_for: query.text_or_empty("wait_for"),
    };
    let response = gateway.events().aggregate(call.request(request.clone())).await?.into_inner();
    let mut json = Writer::with_capacity(16 << 10);
    json::aggregate(&mut json, &request, &response);
    Ok(reply::json(StatusCode::OK, json.finish()))
}

/// A column by its name; an unknown one is refused with the nearest.
fn column(field: &str, name: &str) -> Result<i32, Problem> {
    convert::column(field, name).map(i32::from).map_err(|_| {
        let known: Vec<_> = convert::columns().map(|(name, _)| name).collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let refusal = Refusal::invalid_field(field, json::unknown(name, &known));
        Refusal { reason: Reason::FieldUnknown, ..refusal }.into()
    })
}

fn columns(field: &str, text: &str) -> Result<Vec<i32>, Problem> {
    words(text).map(|name| column(field, name)).collect()
}

fn measures(text: &str) -> Result<Vec<Measure>, Problem> {
    let read = |name: &str| {
        // Of a column that does not exist the nearest is told.
        if let Some((_, of)) = name.split_once('_') {
            column("measures", of)?;
        }
        Ok(convert::measure("measures", name)?)
    };
    words(text).map(read).collect()
}

fn bucket(query: &Query) -> Result<Option<TimeBucket>, Problem> {
    let by = query.text("bucket_by").map(|name| column("bucket_by", name)).transpose()?;
    match (query.text("bucket"), by) {
        (Some(text), by) => {
            let width = Some(convert::bucket_width("bucket", text)?);
            Ok(Some(TimeBucket { width, column: by.unwrap_or_default() }))
        }
        (None, Some(_)) => Err(Invalid::new("bucket", "is required beside bucket_by").into()),
        (None, None) => Ok(None),
    }
}

fn order(query: &Query, measures: &[Measure]) -> Result<Option<MeasureOrder>, Invalid> {
    let ascending = match query.text("order") {
        None | Some("highest_first") => false,
        Some("lowest_first") => true,
        Some(_) => return Err(Invalid::new("order", "must be highest_first or lowest_first")),
    };
    match query.text("order_by") {
        Some(name) => {
            let place = measures.iter().position(|measure| convert::measure_name(measure) == name);
            let place = place.ok_or_else(|| Invalid::new("order_by", "must be one of the measures"))?;
            Ok(Some(MeasureOrder { measure: place as i32, ascending }))
        }
        None if query.text("order").is_some() => Err(Invalid::new("order_by", "is required beside order")),
        None => Ok(None),
    }
}
