//! Figures of groups, in a table.

use gateway::json as http;
use proto::{
    convert::{column_name, measure_name},
    events::v1::{AggregateRequest, AggregateResponse, AggregateValue, aggregate_value::Value},
};

use super::{count, document, line, table, time};

/// The answer to a request.
pub(crate) fn aggregate(request: &AggregateRequest, response: &AggregateResponse, is_json: bool) {
    if is_json {
        let mut writer = http::Writer::object();
        http::aggregate(&mut writer, request, response);
        return document(&writer.finish());
    }
    print!("{}", table(&lines(request, response)));
    let more = if response.is_truncated { "; there are more: say --limit" } else { "" };
    eprintln!("{}{more}", count(response.rows.len(), "group"));
}

/// A line of names, and one for each row.
fn lines(request: &AggregateRequest, response: &AggregateResponse) -> Vec<Vec<String>> {
    let bucket = request.bucket.map(|_| "bucket".to_owned());
    let names = bucket.into_iter().chain(request.group_by().map(column_name));
    let mut lines: Vec<Vec<String>> = vec![names.chain(request.measures.iter().map(measure_name)).collect()];
    for row in &response.rows {
        let bucket = row.bucket.as_ref().map(|moment| time(Some(moment)));
        lines.push(bucket.into_iter().chain(row.group.iter().chain(&row.values).map(cell)).collect());
    }
    lines
}

fn cell(AggregateValue { value }: &AggregateValue) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::Text(text)) => line(text, 60),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Number(number)) => format!("{number:.3}"),
        Some(Value::Flag(flag)) => flag.to_string(),
        Some(Value::Time(moment)) => time(Some(moment)),
    }
}

#[cfg(test)]
mod tests {
    use proto::{
        convert::{column, measure},
        events::v1::AggregateRow,
    };

    use super::*;

    #[test]
    fn a_table_has_the_names_of_its_columns() {
        let request = AggregateRequest {
            group_by: vec![column("", "script_name").unwrap().into()],
            measures: ["count", "avg_wall_time"].map(|name| measure("", name).unwrap()).to_vec(),
            ..AggregateRequest::default()
        };
        let value = |value| AggregateValue { value };
        let figures = vec![value(Some(Value::Integer(1_200))), value(Some(Value::Number(0.25)))];
        let row = AggregateRow { bucket: None, group: vec![value(None)], values: figures };
        let response = AggregateResponse { rows: vec![row], ..AggregateResponse::default() };
        let expected = [["script_name", "count", "avg_wall_time"], ["-", "1200", "0.250"]];
        assert_eq!(lines(&request, &response), expected);
    }
}
