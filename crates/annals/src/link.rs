//! `annals link`: create or replace one relationship.

use anyhow::{Context as _, ensure};
use domain::{Path, TypeName, Visibility};
use proto::{
    convert,
    things::v1::{PutRelationshipRequest, Relationship},
};

use crate::{
    client::{Client, key},
    name::Name,
    render,
    write::{ConditionArgs, Text, outcome},
};

/// Say that one thing has a relationship to another.
///
/// Its name is `FROM/TYPE/TO` unless --id gives another, so that the same command changes nothing when run again.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals link onet/15-1252.00 uses onet/commodities/43232408
  annals link /example.com/Ada mentors /example.com/Grace --data '{\"since\":1843}'
  annals link onet/15-1252.00 uses onet/commodities/43232408 --id onet/uses-1")]
pub(crate) struct Args {
    /// The thing that it starts from.
    from: Name,

    /// What it says: uses, cites, mentors.
    #[arg(value_name = "TYPE")]
    r#type: TypeName,

    /// The thing that it leads to.
    to: Name,

    /// Its own name, in the name space of relationships [default: FROM/TYPE/TO].
    #[arg(long, value_name = "NS/ID")]
    id: Option<Name>,

    /// A JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    data: Option<Text>,

    /// public, private or unlisted.
    #[arg(long)]
    visibility: Option<Visibility>,

    #[command(flatten)]
    condition: ConditionArgs,

    /// Why, for its history.
    #[arg(long, default_value = "")]
    cause: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { from: Name(from), r#type, to: Name(to), id, data, visibility, condition, cause } = args;
    let name = match id {
        Some(Name(path)) => path,
        None => default_name(&from, &r#type, &to)?,
    };
    let relationship = Relationship {
        key: Some(key(&name)),
        r#type: r#type.as_str().into(),
        from: Some(key(&from)),
        to: Some(key(&to)),
        visibility: convert::visibility_to_wire(visibility.unwrap_or_default()).into(),
        data: data.map(Text::read).transpose()?,
        ..Relationship::default()
    };
    let request = PutRelationshipRequest {
        relationship: Some(relationship),
        condition: Some(condition.into()),
        request_id: String::new(),
        cause,
    };
    let response = client.things().put_relationship(request).await?;
    render::linked(outcome(response.metadata()), response.get_ref(), is_json);
    Ok(())
}

/// `FROM/TYPE/TO`: below the thing that it starts from, in that thing's namespace.
fn default_name(from: &Path, word: &TypeName, to: &Path) -> anyhow::Result<Path> {
    ensure!(from.variant().is_canonical() && to.variant().is_canonical(), "the ends of a relationship have no variant");
    format!("{from}/{word}/{to}").parse().context("FROM/TYPE/TO is no name; give one with --id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(from: &str, word: &str, to: &str) -> anyhow::Result<String> {
        default_name(&from.parse()?, &word.parse()?, &to.parse()?).map(|path| path.to_string())
    }

    #[test]
    fn the_default_name_is_from_type_to() {
        let expected = "onet/15-1252.00/uses/onet/commodities/43232408";
        assert_eq!(name("onet/15-1252.00", "uses", "onet/commodities/43232408").unwrap(), expected);
    }

    #[test]
    fn ends_with_a_variant_and_names_that_are_too_long_are_refused() {
        assert!(name("onet/a#es", "uses", "onet/b").is_err());
        let long = format!("onet/{}", "x".repeat(2_000));
        assert!(name(&long, "uses", &long).unwrap_err().to_string().contains("--id"));
    }
}
