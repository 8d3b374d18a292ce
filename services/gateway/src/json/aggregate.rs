//! Figures of groups as JSON: a row is an object with its bucket, columns and figures by their names.

use proto::convert::{column_name, measure_name};
use proto::events::v1::aggregate_value::Value;
use proto::events::v1::{AggregateRequest, AggregateResponse, AggregateValue};

use super::Writer;
use super::event::float;

/// Writes the answer to a request; what is absent is null.
pub fn aggregate(json: &mut Writer, request: &AggregateRequest, response: &AggregateResponse) {
    let groups: Vec<_> = request.group_by().map(column_name).collect();
    let measures: Vec<_> = request.measures.iter().map(measure_name).collect();
    json.array("items", &response.rows, |json, row| {
        json.time("bucket", row.bucket.as_ref());
        let names = groups.iter().chain(&measures);
        for (name, value) in names.zip(row.group.iter().chain(&row.values)) {
            write(json, name, value);
        }
    });
    json.number("is_truncated", response.is_truncated);
}

fn write(json: &mut Writer, name: &str, AggregateValue { value }: &AggregateValue) {
    match value {
        None => json.null(name),
        Some(Value::Text(text)) => json.text(name, text),
        Some(Value::Integer(number)) => json.number(name, number),
        Some(Value::Number(number)) => json.number(name, float(*number)),
        Some(Value::Flag(flag)) => json.number(name, flag),
        Some(Value::Time(time)) => json.time(name, Some(time)),
    }
}

#[cfg(test)]
mod tests {
    use proto::convert::{column, measure};
    use proto::events::v1::AggregateRow;

    use super::*;

    #[test]
    fn a_row_has_its_columns_and_figures_by_name() {
        let request = AggregateRequest {
            group_by: ["script_name", "has_exception"].map(|name| column("", name).unwrap().into()).to_vec(),
            measures: ["count", "p99_wall_time", "max_timestamp"].map(|name| measure("", name).unwrap()).to_vec(),
            ..AggregateRequest::default()
        };
        let time = prost_types::Timestamp { seconds: 3_600, nanos: 0 };
        let value = |value| AggregateValue { value };
        let row = AggregateRow {
            bucket: Some(time),
            group: vec![value(None), value(Some(Value::Flag(true)))],
            values: vec![
                value(Some(Value::Integer(3))),
                value(Some(Value::Number(1.5))),
                value(Some(Value::Time(time))),
            ],
        };
        let response = AggregateResponse { rows: vec![row], is_truncated: true, cost: None };
        let mut json = Writer::object();
        aggregate(&mut json, &request, &response);
        assert_eq!(
            json.finish(),
            concat!(
                r#"{"items":[{"bucket":"1970-01-01T01:00:00.000Z","script_name":null,"has_exception":true,"#,
                r#""count":3,"p99_wall_time":1.5,"max_timestamp":"1970-01-01T01:00:00.000Z"}],"is_truncated":true}"#
            )
        );
    }
}
