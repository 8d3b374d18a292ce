//! `annals patch`: change some fields of one thing.

use clap::ValueEnum;
use domain::{Code, Etag, TypeName, Variant, Visibility};
use proto::{convert, things::v1::PatchThingRequest};

use crate::{
    client::{Client, key},
    name::Name,
    render,
    write::{Text, outcome, present},
};

/// Change the given fields of an existing thing; the others stay.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals patch onet/15-1252.00 --data '{\"wage\":{\"median\":132270},\"draft\":null}'
  annals patch onet/15-1252.00 --visibility private --clear code
  annals patch onet/15-1252.00 --content @page.md --if-match 01ARZ3NDEKTSV4RRFFQ69G5FAV")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// New type.
    #[arg(long)]
    r#type: Option<TypeName>,

    /// New content: TEXT, @FILE, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-")]
    content: Option<Text>,

    /// A JSON merge patch of data (RFC 7396; null removes a member), or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    data: Option<Text>,

    /// New code.
    #[arg(long)]
    code: Option<Code>,

    /// New visibility: public, private or unlisted.
    #[arg(long)]
    visibility: Option<Visibility>,

    /// Remove these fields.
    #[arg(long, value_enum, value_delimiter = ',')]
    clear: Vec<Clearable>,

    /// Another representation of the thing: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    /// Only if the present etag is this one.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<Etag>,

    /// Why, for its history.
    #[arg(long, default_value = "")]
    cause: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clearable {
    Content,
    Code,
    Data,
    Embedding,
}

impl Clearable {
    fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Code => "code",
            Self::Data => "data",
            Self::Embedding => "embedding",
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, r#type, content, data, code, visibility, clear, variant, if_match, cause } = args;
    let path = name.with_variant(variant)?;
    let request = PatchThingRequest {
        key: Some(key(&path)),
        r#type: r#type.map(|word| word.as_str().into()),
        visibility: visibility.map(|word| convert::visibility_to_wire(word).into()).unwrap_or_default(),
        content: content.map(Text::read).transpose()?,
        code: code.map(|code| code.as_str().into()),
        data_patch: data.map(Text::read).transpose()?,
        embedding: Vec::new(),
        clear: clear.into_iter().map(|field| field.as_str().into()).collect(),
        condition: Some(present(if_match)),
        request_id: String::new(),
        cause,
        update_mask: None,
    };
    let response = client.things().patch_thing(request).await?;
    render::written(outcome(response.metadata()), response.get_ref(), is_json);
    Ok(())
}
