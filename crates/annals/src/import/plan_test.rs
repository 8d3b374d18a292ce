//! What rows become.

use clap::Parser as _;
use proto::things::v1::import_row::Row as Put;

use super::*;

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn plan(arguments: &[&str]) -> Plan {
    let command = Command::try_parse_from([&["import", "file.tsv"], arguments].concat()).unwrap();
    Plan::new(&command.args).unwrap()
}

fn row() -> Row {
    let columns = ["Code", "Title", "Note"].map(Box::from);
    Row::of_text(2, &columns, &["15-1252.00", "Software Developers", ""])
}

fn thing(arguments: &[&str]) -> Thing {
    let Some(Put::Thing(thing)) = plan(arguments).apply(&row()).unwrap().unwrap().put.row else { panic!("a thing") };
    thing
}

const THING: [&str; 6] = ["--ns", "onet", "--id", "{Code}", "--type", "Occupation"];
const EDGE: [&str; 8] = ["--ns", "onet", "--type", "uses", "--from", "onet/{Code}", "--to", "onet/tools/{Title}"];

#[test]
fn a_row_becomes_a_thing_with_all_columns_as_data() {
    let thing = thing(&[&THING[..], &["--content", "# {Title}\\n\\n{Note}"]].concat());
    let key = thing.key.unwrap();
    assert_eq!((key.ns.as_str(), key.id.as_str(), key.path.as_str()), ("onet", "15-1252.00", ""));
    assert_eq!(thing.content.unwrap(), "# Software Developers\n\n");
    assert_eq!(thing.data.unwrap(), r#"{"Code":"15-1252.00","Title":"Software Developers","Note":""}"#);
}

#[test]
fn what_comes_out_empty_is_left_away() {
    let thing = thing(&[&THING[..], &["--content", "{Note}", "--code", "{Note}", "--variant", "{Note}"]].concat());
    assert_eq!((thing.content, thing.code, thing.key.unwrap().variant), (None, None, String::new()));
}

#[test]
fn a_row_with_ends_becomes_a_relationship_named_by_its_hash() {
    let Some(Put::Relationship(edge)) = plan(&EDGE).apply(&row()).unwrap().unwrap().put.row else {
        panic!("a relationship")
    };
    assert_eq!(edge.key.unwrap().id, row().hash());
    assert_eq!(edge.from.unwrap().path, "onet/15-1252.00");
    assert_eq!(edge.to.unwrap().path, "onet/tools/Software Developers");
}

#[test]
fn a_row_that_breaks_a_rule_is_refused_with_its_field() {
    let refusal = |arguments: &[&str]| plan(arguments).apply(&row()).err().unwrap().to_string();
    assert!(refusal(&[&["--ns", "{Title}"], &THING[2..]].concat()).starts_with("ns: must match"));
    assert_eq!(refusal(&["--ns", "onet", "--id", "{Note}", "--type", "x"]), "id: is empty in this row");
    let visibility = refusal(&[&THING[..], &["--visibility", "{Code}"]].concat());
    assert_eq!(visibility, "visibility: must be public, private or unlisted");
    let end = refusal(&[&EDGE[..6], &["--to", "{Note}"]].concat());
    assert!(end.starts_with("to.path: "), "{end}");
}

#[test]
fn a_plan_knows_every_column_that_it_needs() {
    let plan = plan(&[&THING[..], &["--content", "{Title}", "--data", "Note"]].concat());
    assert_eq!(plan.columns(), ["Code", "Title", "Note"]);
}

#[test]
fn what_would_be_wrong_in_every_row_is_refused_at_once() {
    let refusal = |arguments: &[&str]| {
        let command = Command::try_parse_from([&["import", "f.tsv", "--type", "x"], arguments].concat()).unwrap();
        format!("{:#}", Plan::new(&command.args).err().unwrap())
    };
    assert!(refusal(&["--ns", "onet"]).starts_with("--id is required"));
    assert!(refusal(&["--ns", "Onet", "--id", "{x}"]).starts_with("--ns: ns: must match"));
    let visibility = refusal(&["--ns", "onet", "--id", "{x}", "--visibility", "secret"]);
    assert_eq!(visibility, "--visibility: visibility: must be public, private or unlisted");
}
