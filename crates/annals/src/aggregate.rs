//! `annals aggregate`: figures of events in groups.

use anyhow::anyhow;
use proto::{
    convert,
    events::v1::{AggregateRequest, Measure, MeasureOrder, TextFilter, TimeBucket},
};
use serve::config::nearest;

use crate::{client::Client, filter::Filter, render};

/// Count, sum and compare events by time and by their columns.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals aggregate --bucket hour --by event_type
  annals aggregate --by script_name --where severity=error --order-by count --limit 10
  annals aggregate --by script_name --measure count,p50_wall_time,p99_wall_time
  annals aggregate --from 2026-01-31T00:00:00Z --where status=500 --where outcome=ok,exception --json

A measure is count, or count, distinct, sum, min, max, avg or a percentile before a column: distinct_ip, p99.9_cpu_time.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,

    /// Leave mutations out.
    #[arg(long)]
    without_mutations: bool,

    /// Only events that have one of these texts in a column of text, or this number in `status`.
    #[arg(long, value_name = "COLUMN=TEXT,…")]
    r#where: Vec<String>,

    /// A group for each minute, hour, day, or 15m, 6h, 7d.
    #[arg(long, value_name = "WIDTH")]
    bucket: Option<String>,

    /// Buckets go by the time that events say, not by that of their intake.
    #[arg(long, requires = "bucket")]
    event_time: bool,

    /// A group for each value of these columns.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    by: Vec<String>,

    /// The figures of each group.
    #[arg(long, value_name = "MEASURE,…", value_delimiter = ',', default_value = "count")]
    measure: Vec<String>,

    /// The rows with the highest of one of the measures first.
    #[arg(long, value_name = "MEASURE")]
    order_by: Option<String>,

    /// The lowest first.
    #[arg(long, requires = "order_by")]
    lowest: bool,

    /// How many rows, 1 to 10,000.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    limit: i32,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let request = request(args)?;
    let response = client.events().aggregate(request.clone()).await?.into_inner();
    render::aggregate(&request, &response, is_json);
    Ok(())
}

fn request(args: Args) -> anyhow::Result<AggregateRequest> {
    let measures: Vec<_> = args.measure.iter().map(|name| measure(name)).collect::<Result<_, _>>()?;
    let order = args.order_by.map(|name| {
        let place = measures.iter().position(|measure| convert::measure_name(measure) == name);
        let place = place.ok_or_else(|| anyhow!("--order-by: {name} is not one of the measures"))?;
        anyhow::Ok(MeasureOrder { measure: place as i32, ascending: args.lowest })
    });
    let bucket = args.bucket.map(|text| {
        let width = convert::bucket_width("--bucket", &text)?;
        let column = if args.event_time { column("event_timestamp")? } else { 0 };
        anyhow::Ok(TimeBucket { width: Some(width), column })
    });
    let (event_types, entity_ns, entity_id) = args.filter.to_wire();
    let mut request = AggregateRequest {
        from: args.filter.from.map(convert::timestamp_to_wire),
        to: args.filter.to.map(convert::timestamp_to_wire),
        event_types,
        entity_ns,
        entity_id,
        without_mutations: args.without_mutations,
        bucket: bucket.transpose()?,
        group_by: args.by.iter().map(|name| column(name)).collect::<Result<_, _>>()?,
        measures,
        order: order.transpose()?,
        limit: args.limit,
        ..AggregateRequest::default()
    };
    for condition in &args.r#where {
        let (name, texts) =
            condition.split_once('=').ok_or_else(|| anyhow!("--where: `{condition}` is not COLUMN=TEXT"))?;
        if name == "status" {
            let status: i32 = texts.parse().map_err(|_| anyhow!("--where: `{texts}` is not a status"))?;
            (request.status_from, request.status_to) = (Some(status), Some(status.saturating_add(1)));
            continue;
        }
        let values = texts.split(',').map(str::to_owned).collect();
        request.filters.push(TextFilter { column: column(name)?, values });
    }
    Ok(request)
}

fn column(name: &str) -> anyhow::Result<i32> {
    convert::column("", name).map(i32::from).map_err(|_| {
        let known: Vec<_> = convert::columns().map(|(known, _)| known).collect();
        match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => anyhow!("there is no column {name}: {near} is the nearest"),
            None => anyhow!("there is no column {name}: there are {}", known.join(", ")),
        }
    })
}

fn measure(name: &str) -> anyhow::Result<Measure> {
    if let Some((_, of)) = name.split_once('_') {
        column(of)?;
    }
    convert::measure("--measure", name).map_err(anyhow::Error::from)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn asked(line: &str) -> anyhow::Result<AggregateRequest> {
        request(Line::try_parse_from(std::iter::once("aggregate").chain(line.split(' ')))?.args)
    }

    #[test]
    fn a_line_is_a_request() {
        let line = "--by script_name --where severity=error,warn --where status=500 --measure count,p99_wall_time \
                    --order-by p99_wall_time --bucket hour --event-time";
        let request = asked(line).unwrap();
        assert_eq!((request.status_from, request.status_to), (Some(500), Some(501)));
        assert_eq!(request.filters[0].values, ["error", "warn"]);
        assert_eq!(request.order.unwrap().measure, 1);
        assert_eq!(request.bucket.unwrap().width.unwrap().seconds, 3_600);
    }

    #[test]
    fn what_does_not_exist_is_told_with_the_nearest() {
        for (line, told) in [
            ("--by script_nam", "script_name is the nearest"),
            ("--measure sum_wal_time", "wall_time is the nearest"),
            ("--measure count --order-by sum_status", "not one of the measures"),
            ("--where severity", "is not COLUMN=TEXT"),
        ] {
            let error = asked(line).unwrap_err().to_string();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
