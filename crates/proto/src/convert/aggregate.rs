//! The words of aggregates, as URLs and people say them: `script_name`, `count`, `p99_wall_time`.

use domain::Invalid;

use crate::events::v1::{Column, Function, Measure};

/// Every column, by its name.
pub fn columns() -> impl Iterator<Item = (String, Column)> {
    (1..).map_while(|number| Column::try_from(number).ok()).map(|column| (column_name(column), column))
}

/// The name of a column, as events have it; empty for none.
pub fn column_name(column: Column) -> String {
    match column {
        Column::Unspecified => String::new(),
        column => column.as_str_name()["COLUMN_".len()..].to_ascii_lowercase(),
    }
}

/// The column of a name. `field` is named in the refusal.
pub fn column(field: &str, name: &str) -> Result<Column, Invalid> {
    let known = columns().find(|(known, _)| known == name);
    known.map(|(_, column)| column).ok_or_else(|| Invalid::new(field, "must be a column that aggregates know"))
}

/// What a measure is called: its function and column.
pub fn measure_name(measure: &Measure) -> String {
    let column = column_name(measure.column());
    let function = match measure.function() {
        Function::Unspecified => return column,
        Function::Count if column.is_empty() => return "count".to_owned(),
        Function::Count => "count".to_owned(),
        Function::CountDistinct => "distinct".to_owned(),
        Function::Sum => "sum".to_owned(),
        Function::Min => "min".to_owned(),
        Function::Max => "max".to_owned(),
        Function::Avg => "avg".to_owned(),
        // As it was said: a percentage has no more digits than these.
        Function::Quantile => format!("p{}", (measure.quantile * 1e8).round() / 1e6),
    };
    format!("{function}_{column}")
}

/// The measure of a name. `field` is named in the refusal.
pub fn measure(field: &str, name: &str) -> Result<Measure, Invalid> {
    let invalid = || {
        let rule = "must be count, or count, distinct, sum, min, max, avg or a percentile such as p99 before a column: \
                    p99_wall_time";
        Invalid::new(field, rule)
    };
    if name == "count" {
        return Ok(Measure { function: Function::Count.into(), ..Measure::default() });
    }
    let (word, of) = name.split_once('_').ok_or_else(invalid)?;
    let (function, quantile) = match word {
        "count" => (Function::Count, 0.0),
        "distinct" => (Function::CountDistinct, 0.0),
        "sum" => (Function::Sum, 0.0),
        "min" => (Function::Min, 0.0),
        "max" => (Function::Max, 0.0),
        "avg" => (Function::Avg, 0.0),
        word => (Function::Quantile, percent(word).ok_or_else(invalid)?),
    };
    Ok(Measure { function: function.into(), column: column(field, of)?.into(), quantile })
}

/// How long a bucket is: `minute`, `hour`, `day`, or a number of `s`, `m`, `h` or `d`: `15m`. `field` is named in the refusal.
pub fn bucket_width(field: &str, text: &str) -> Result<prost_types::Duration, Invalid> {
    let seconds = match text {
        "minute" => Some(60),
        "hour" => Some(3_600),
        "day" => Some(86_400),
        text => (text.len() <= 12).then(|| seconds(text)).flatten(),
    };
    let rule = "must be minute, hour, day, or a whole number of s, m, h or d: 15m";
    let seconds = seconds.ok_or_else(|| Invalid::new(field, rule))?;
    Ok(prost_types::Duration { seconds, nanos: 0 })
}

fn seconds(text: &str) -> Option<i64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let is_number = digits.chars().all(|c| c.is_ascii_digit());
    digits.parse::<i64>().ok().filter(|_| is_number)?.checked_mul(seconds)
}

/// The share that `p99.9` says.
fn percent(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('p')?;
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.len() <= 8
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    // By the exponent, so that it is the nearest number: 99.9 / 100 is another one.
    let share: f64 = format!("{digits}e-2").parse().ok().filter(|_| is_number)?;
    (0.0 < share && share < 1.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_has_the_name_that_it_was_asked_by() {
        for name in
            ["count", "count_status", "distinct_script_name", "sum_cpu_time", "min_timestamp", "p99.9_wall_time"]
        {
            assert_eq!(measure_name(&measure("measures", name).unwrap()), name);
        }
        assert_eq!(measure("measures", "p99.9_wall_time").unwrap().quantile.to_bits(), 0.999_f64.to_bits());
    }

    #[test]
    fn what_is_no_measure_is_refused() {
        for name in
            ["", "p0_wall_time", "p100_wall_time", "p_wall_time", "p1e1_status", "median_status", "sum", "sum_x"]
        {
            assert_eq!(measure("measures", name).unwrap_err().field, "measures", "{name}");
        }
    }

    #[test]
    fn a_bucket_is_a_word_or_a_number_of_units() {
        let seconds = |text| bucket_width("bucket", text).map(|width| width.seconds);
        assert_eq!(["hour", "15m", "1s", "7d"].map(seconds), [Ok(3_600), Ok(900), Ok(1), Ok(604_800)]);
        for text in ["", "s", "-1s", "+1s", "1", "1.5h", "week", "ü", "99999999999999d"] {
            assert_eq!(seconds(text).unwrap_err().field, "bucket", "{text}");
        }
    }

    #[test]
    fn every_column_is_found_by_its_name() {
        assert_eq!(columns().count(), 28);
        for (name, known) in columns() {
            assert_eq!(column("group_by", &name), Ok(known));
        }
    }
}
