//! What reaches the sender of a file.

use clap::Parser as _;

use super::*;
use crate::import::{
    Args,
    read::{Format, Source},
};

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn parse(text: &'static str) -> Vec<Item> {
    let arguments = ["import", "f.tsv", "--ns", "{ns}", "--id", "{id}", "--type", "T"];
    let plan = Plan::new(&Command::try_parse_from(arguments).unwrap().args).unwrap();
    let rows = Rows::open(Source::embedded(text), Format::Tsv).unwrap();
    let (items, mut parsed) = mpsc::channel(100_000);
    Parser::new(plan, items).run(rows);
    std::iter::from_fn(|| parsed.blocking_recv()).collect()
}

fn batches(items: &[Item]) -> Vec<&Batch> {
    items.iter().filter_map(|item| if let Item::Batch(batch) = item { Some(batch) } else { None }).collect()
}

fn bad(items: &[Item]) -> Vec<(u64, &str)> {
    let bad =
        |item| if let &Item::Bad(BadRow { line, ref reason }) = item { Some((line, reason.as_str())) } else { None };
    items.iter().filter_map(bad).collect()
}

#[test]
fn equal_rows_are_counted_and_contradictions_left_out() {
    let items = parse("ns\tid\tx\nonet\ta\t1\nonet\ta\t1\nonet\ta\t2\nonet\tb\t1\n");
    assert_eq!(items.iter().filter(|item| matches!(item, Item::Equal)).count(), 1);
    assert_eq!(bad(&items), [(4, "it has the name of the row on line 2, but says something else")]);
    assert_eq!(batches(&items)[0].lines, [2, 5]);
}

#[test]
fn a_namespace_is_told_once_with_the_batch_that_first_needs_it() {
    let items = parse("ns\tid\na.example\t1\nb.example\t1\na.example\t2\n");
    let namespaces: Vec<_> = batches(&items)[0].namespaces.iter().map(ToString::to_string).collect();
    assert_eq!(namespaces, ["a.example", "b.example"]);
}

#[test]
fn a_batch_ends_at_a_thousand_rows_and_at_four_mebibytes() {
    let rows = (0..1_001).map(|id| format!("onet\t{id}\t\n")).collect::<Vec<_>>().concat();
    let items = parse(format!("ns\tid\tx\n{rows}").leak());
    assert_eq!(batches(&items).iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [1_000, 1]);

    let large = "x".repeat(900 << 10);
    let rows = (0..5).map(|id| format!("onet\t{id}\t{large}\n")).collect::<Vec<_>>().concat();
    let items = parse(format!("ns\tid\tx\n{rows}").leak());
    assert_eq!(batches(&items).iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [4, 1]);
}

#[test]
fn a_row_larger_than_a_message_is_left_out() {
    let items = parse(format!("ns\tid\tx\nonet\ta\t{}\n", "x".repeat(5 << 20)).leak());
    assert_eq!(bad(&items), [(2, "the row is larger than a message may be, 4 MiB")]);
}
