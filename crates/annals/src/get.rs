//! `annals get`: one state, present or past.

use anyhow::Context as _;
use domain::{AsOf, Variant};
use proto::{
    common::v1::EntityKind,
    convert::as_of_to_wire,
    events::v1::{StateAtRequest, state},
    things::v1::{GetRelationshipRequest, GetThingRequest, ListRelationshipsRequest, ListRelationshipsResponse},
};

use crate::{
    client::{Client, key},
    name::Name,
    render,
};

/// Show a thing or a relationship, as it is or as it was.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals get onet/15-1252.00
  annals get /en.wikipedia.org/Software_developer --variant es
  annals get onet/15-1252.00 --at 2026-01-31T09:30:00Z
  annals get onet/15-1252.00 --at 01ARZ3NDEKTSV4RRFFQ69G5FAV --json
  annals get onet/15-1252.00 --relationships")]
pub(crate) struct Args {
    /// URL path (/onet/15-1252.00) or plain text (onet/15-1252.00).
    name: Name,

    /// As of a time (RFC 3339) or the ULID of a mutation, inclusive.
    #[arg(long, value_name = "TIME|ULID")]
    at: Option<AsOf>,

    /// Another representation: es, mobile, yaml.
    #[arg(long)]
    variant: Option<Variant>,

    /// NAME is a relationship's.
    #[arg(long, conflicts_with = "variant")]
    relationship: bool,

    /// Show the relationships at the thing instead.
    #[arg(long, conflicts_with_all = ["at", "variant", "relationship"])]
    relationships: bool,

    /// Show the embedding too.
    #[arg(long, conflicts_with_all = ["at", "relationship", "relationships"])]
    embedding: bool,
}

/// The most relationships that are shown.
const RELATIONSHIPS: i32 = 1_000;

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { name, at, variant, relationship, relationships, embedding } = args;
    let path = name.with_variant(variant)?;
    if relationships {
        let (mut found, mut others, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page_size = RELATIONSHIPS - found.len() as i32;
            let thing = Some(key(&path));
            let request =
                ListRelationshipsRequest { thing, page_size, page_token, include_others: true, ..Default::default() };
            let page = client.things().list_relationships(request).await?.into_inner();
            found.extend(page.relationships);
            others.extend(page.others);
            page_token = page.next_page_token;
            if page_token.is_empty() || found.len() >= RELATIONSHIPS as usize {
                break;
            }
        }
        let (relationships, next_page_token) = (found, page_token);
        let found = ListRelationshipsResponse { relationships, next_page_token, others };
        render::relationships(&found, is_json);
        return Ok(());
    }
    let kind = if relationship { EntityKind::Relationship } else { EntityKind::Thing };
    if let Some(as_of) = at {
        let name = client.resolve(&path, kind, Some(as_of)).await?;
        let request = StateAtRequest {
            key: name.key,
            kind: kind.into(),
            as_of: Some(as_of_to_wire(as_of)),
            wait_for: name.last_ulid,
        };
        let state = client.events().state_at(request).await?.into_inner().state;
        match state.and_then(|state| state.state).context("the server answered without a state")? {
            state::State::Thing(thing) => render::thing(&thing, &name.url, is_json),
            state::State::Relationship(relationship) => render::relationship(&relationship, &name.url, is_json),
        }
    } else if relationship {
        let request = GetRelationshipRequest { key: Some(key(&path)) };
        let relationship = client.things().get_relationship(request).await?.into_inner();
        render::relationship(&relationship, &relationship.url, is_json);
    } else {
        let request =
            GetThingRequest { key: Some(key(&path)), preferred_variants: Vec::new(), include_embedding: embedding };
        let thing = client.things().get_thing(request).await?.into_inner();
        render::thing(&thing, &thing.url, is_json);
    }
    Ok(())
}
