//! `annals put`: create or replace one thing.

use domain::{Code, TypeName, Variant, Visibility};
use proto::{
    convert,
    things::v1::{PutThingRequest, Thing},
};

use crate::{
    client::{Client, key},
    name::Name,
    render,
    write::{ConditionArgs, Text, outcome},
};

/// Create a thing or replace its whole state: what is not given is removed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals put example.com/hello --type Note --content 'Hello, world'
  annals put example.com/Software_developer --type Page --content @page.md --data '{\"lang\":\"en\"}'
  annals put example.com/hello --type Note --content 'Hola' --variant es
  echo 'from a pipe' | annals put example.com/hello --type Note --content - --update")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// What kind of thing it is: Occupation, Page, Note.
    #[arg(long)]
    r#type: TypeName,

    /// Text for people (Markdown): TEXT, @FILE, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-")]
    content: Option<Text>,

    /// A JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    data: Option<Text>,

    /// A word that another system knows it by.
    #[arg(long)]
    code: Option<Code>,

    /// public, private or unlisted (by exact name only).
    #[arg(long, default_value_t = Shown(Visibility::Public))]
    visibility: Shown,

    /// Another representation of the thing: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    #[command(flatten)]
    condition: ConditionArgs,

    /// Why, for its history.
    #[arg(long, default_value = "")]
    cause: String,
}

/// A visibility that shows itself in the help text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown(Visibility);

impl std::str::FromStr for Shown {
    type Err = domain::Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, r#type, content, data, code, visibility, variant, condition, cause } = args;
    let path = name.with_variant(variant)?;
    let thing = Thing {
        key: Some(key(&path)),
        r#type: r#type.as_str().into(),
        visibility: convert::visibility_to_wire(visibility.0).into(),
        content: content.map(Text::read).transpose()?,
        code: code.map(|code| code.as_str().into()),
        data: data.map(Text::read).transpose()?,
        ..Thing::default()
    };
    let request =
        PutThingRequest { thing: Some(thing), condition: Some(condition.into()), request_id: String::new(), cause };
    let response = client.things().put_thing(request).await?;
    render::written(outcome(response.metadata()), response.get_ref(), is_json);
    Ok(())
}
