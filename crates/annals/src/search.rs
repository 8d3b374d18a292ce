//! `annals search` and `annals similar`: things by their words and vectors.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use domain::{FieldFilter, Timestamp, TypeName, Variant};
use proto::{
    common::v1::EntityKind,
    convert::{field_filter_to_wire, similar_request, timestamp_to_wire},
    search::v1::{self as wire, SearchRequest},
};

use crate::{
    client::Client,
    name::{Name, NamespaceName},
    render,
};

/// Find things by their words, the best first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals search software developer
  annals search '\"lighthouse keeper\"' --ns lights.example/
  annals search 'program*' --type Occupation --top-k 3
  annals search lihgthouse keeping --mode hybrid
  annals search crane --json
  annals search --mode semantic --vector query.json
  annals search crane --where /city=Berlin --where '/year>=1900' --facet type --facet /city
  annals search crane --explain

One word that matches is enough; more rank higher. Of a word that nothing has, what is one letter away is found.
What is in quotes is found as it stands, what ends with a star by its beginning. Words of another form match:
`developing` finds `developer`.")]
pub(crate) struct Args {
    /// What to look for: words, \"phrases\", prefixes*.
    #[arg(required_unless_present = "vector")]
    query: Vec<String>,

    /// A file with the vector to look near, in place of one that the server makes of the words: a JSON array of numbers. `-` is
    /// standard input.
    #[arg(long, value_name = "FILE")]
    vector: Option<PathBuf>,

    /// Count the things that match: by ns, by type, or by a field of data (/city); may be given more than once.
    #[arg(long, value_name = "ns|type|PATH")]
    facet: Vec<String>,

    #[command(flatten)]
    which: Which,
}

/// Show the things that are most like one, the best first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals similar onet/15-1252.00
  annals similar onet/15-1252.00 --mode hybrid --type Occupation --top-k 3

By words: those that say most about the thing, which are often in it and in few others.")]
pub(crate) struct Similar {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// Another representation: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    #[command(flatten)]
    which: Which,
}

// Without a doc comment, which would be the help of both commands.
#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// How to look: by words, by vectors, or by both.
    #[arg(long, value_enum, default_value = "lexical")]
    mode: Mode,

    /// Only things of this namespace.
    #[arg(long, value_name = "NS/")]
    ns: Option<NamespaceName>,

    /// Only things of this namespace and of those under it.
    #[arg(long, value_name = "NS/")]
    under: Option<NamespaceName>,

    /// Only things of this type; may be given more than once.
    #[arg(long)]
    r#type: Vec<TypeName>,

    /// Only things that were changed at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_from: Option<Timestamp>,

    /// Only things that were changed before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    updated_until: Option<Timestamp>,

    /// Only things whose data fulfils this: /city=Berlin, '/year>=1900', '/year<2000', /city (there is one), '!/city' (there is
    /// none); may be given more than once. A value is what it is in JSON, else the text itself.
    #[arg(long, value_name = "CONDITION")]
    r#where: Vec<FieldFilter>,

    /// Say how scores are made.
    #[arg(long)]
    explain: bool,

    /// What follows the hits of an answer: the token that it ended with.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,

    /// How many.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    top_k: i32,

    /// A ULID or cursor that a write answered: wait until it is found.
    #[arg(long, value_name = "ULID|CURSOR", default_value = "", hide_default_value = true)]
    wait_for: String,
}

/// How to look.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// By words.
    Lexical,
    /// By vectors: by a model what means alike is near, without one what is spelled alike.
    Semantic,
    /// By both.
    Hybrid,
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { query, vector, facet, which } = args;
    let vector = vector.as_deref().map_or(Ok(Vec::new()), read_vector)?;
    let request = SearchRequest { query: query.join(" "), vector, facets: facet, ..which.request() };
    render::found(&client.search().search(request).await?.into_inner(), is_json);
    Ok(())
}

/// Runs the other command.
pub(crate) async fn run_similar(args: Similar, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Similar { name, variant, which } = args;
    let key = client.resolve(&name.with_variant(variant)?, EntityKind::Thing, None).await?.key;
    let request = similar_request(key, which.request());
    render::found(&client.search().similar(request).await?.into_inner(), is_json);
    Ok(())
}

fn read_vector(file: &Path) -> anyhow::Result<Vec<f32>> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a JSON array of numbers", file.display()))
}

impl Which {
    /// Of any query.
    fn request(self) -> SearchRequest {
        let Self {
            mode,
            ns,
            under,
            r#type,
            updated_from,
            updated_until,
            r#where,
            explain,
            page_token,
            top_k,
            wait_for,
        } = self;
        let mode = match mode {
            Mode::Lexical => wire::Mode::Lexical,
            Mode::Semantic => wire::Mode::Semantic,
            Mode::Hybrid => wire::Mode::Hybrid,
        };
        SearchRequest {
            mode: mode.into(),
            ns: NamespaceName::or_empty(ns),
            ns_prefix: NamespaceName::or_empty(under),
            types: r#type.iter().map(ToString::to_string).collect(),
            updated_from: updated_from.map(timestamp_to_wire),
            updated_until: updated_until.map(timestamp_to_wire),
            fields: r#where.iter().map(field_filter_to_wire).collect(),
            explain,
            page_token,
            top_k,
            wait_for,
            ..SearchRequest::default()
        }
    }
}
