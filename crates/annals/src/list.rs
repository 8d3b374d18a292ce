//! `annals list`: the things of one namespace, or of many.

use std::str::FromStr;

use anyhow::bail;
use domain::{AsOf, url};
use proto::{
    convert::{as_of_to_wire, canonical_key},
    events::v1::{ListStatesAtRequest, state::State},
    things::v1::{ListThingsRequest, Thing},
};

use crate::{client::Client, conditions::Conditions, render};

/// The most things that one page may have.
const PAGE: usize = 1_000;

/// List things, as they are or as they were.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals list onet/
  annals list onet/ --type Occupation --limit all
  annals list --under github.com/ --where /language=Rust --json
  annals list onet/ --order-by 'updated_at desc' --limit 10
  annals list onet/ --at 2026-01-31T09:30:00Z")]
pub(crate) struct Args {
    #[command(flatten)]
    conditions: Conditions,

    /// The order: `id`, or within a namespace `updated_at` or `updated_at desc`, which is the last change first.
    #[arg(long, value_name = "ORDER", default_value = "id")]
    order_by: String,

    /// As of a time (RFC 3339) or the ULID of a mutation, inclusive; of one namespace, by id, all or of one type.
    #[arg(long, value_name = "TIME|ULID", requires = "ns")]
    at: Option<AsOf>,

    /// How many, or all.
    #[arg(long, default_value = "50")]
    limit: Limit,

    /// The `next_page_token` of a list before, with the same namespace, conditions, order and time.
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,
}

/// How many to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit(pub(crate) usize);

impl FromStr for Limit {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self(usize::MAX)),
            (_, Ok(count @ 1..)) => Ok(Self(count)),
            _ => bail!("must be a number from 1, or all"),
        }
    }
}

impl Limit {
    /// The size of the next page, when there are `shown` already.
    pub(crate) fn page_size(self, shown: usize) -> i32 {
        (self.0 - shown).min(PAGE) as i32
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, client: Client, is_json: bool) -> anyhow::Result<()> {
    let Args { conditions, order_by, at, limit, mut page_token } = args;
    let list = ListThingsRequest { order_by, ..conditions.request() };
    let of_type = ListThingsRequest { ns: list.ns.clone(), r#type: list.r#type.clone(), ..Default::default() };
    if at.is_some() && list != (ListThingsRequest { order_by: "id".into(), ..of_type }) {
        bail!("--at goes with --type only: the past is listed by id");
    }
    let mut listed: Vec<Thing> = Vec::new();
    loop {
        let page_size = limit.page_size(listed.len());
        let (things, next_page_token) = match at {
            None => {
                let request = ListThingsRequest { page_size, page_token, ..list.clone() };
                let page = client.things().list_things(request).await?.into_inner();
                (page.things, page.next_page_token)
            }
            Some(as_of) => {
                let request = ListStatesAtRequest {
                    ns: list.ns.clone(),
                    r#type: list.r#type.clone(),
                    as_of: Some(as_of_to_wire(as_of)),
                    page_size,
                    page_token,
                    wait_for: client.settle(as_of).await?,
                    ..Default::default()
                };
                let page = client.events().list_states_at(request).await?.into_inner();
                let states = page.states.into_iter().filter_map(|state| state.state);
                let things = states.filter_map(|state| match state {
                    State::Thing(thing) => Some(thing),
                    State::Relationship(_) => None,
                });
                (things.collect(), page.next_page_token)
            }
        };
        listed.extend(things);
        page_token = next_page_token;
        if page_token.is_empty() || listed.len() >= limit.0 {
            break;
        }
    }
    // States of the past come without URL: only things knows the style of a namespace.
    if at.is_some()
        && let Some(first) = listed.first()
    {
        let style = client.style_of(first).await?;
        for thing in &mut listed {
            thing.url = url::encode(&canonical_key("key", thing.key.clone())?, style);
        }
    }
    render::things(&listed, &page_token, is_json);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_all() {
        assert_eq!("50".parse::<Limit>().unwrap().page_size(20), 30);
        assert_eq!("all".parse::<Limit>().unwrap().page_size(5_000), 1_000);
        assert!("0".parse::<Limit>().is_err());
        assert!("many".parse::<Limit>().is_err());
    }
}
