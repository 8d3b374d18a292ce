//! `annals list`: the things of one namespace.

use std::str::FromStr;

use anyhow::bail;
use domain::TypeName;
use proto::things::v1::{ListThingsRequest, Thing};

use crate::{client::Client, name::NamespaceName, render};

/// The most things that one page may have.
const PAGE: usize = 1_000;

/// List the things of a namespace by id.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals list onet/
  annals list onet/ --type Occupation --limit all
  annals list github.com/repos/ --json")]
pub(crate) struct Args {
    /// The namespace: onet/, /github.com/repos/.
    #[arg(value_name = "NS/")]
    ns: NamespaceName,

    /// Only things of this type.
    #[arg(long)]
    r#type: Option<TypeName>,

    /// How many, or all.
    #[arg(long, default_value = "50")]
    limit: Limit,

    /// The `next_page_token` of a list before, with the same namespace and type.
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
    let Args { ns: NamespaceName(ns), r#type, limit, mut page_token } = args;
    let word = r#type.map(|word| word.to_string()).unwrap_or_default();
    let mut listed: Vec<Thing> = Vec::new();
    loop {
        let page_size = limit.page_size(listed.len());
        let request = ListThingsRequest { ns: ns.to_string(), r#type: word.clone(), page_size, page_token };
        let page = client.things().list_things(request).await?.into_inner();
        listed.extend(page.things);
        page_token = page.next_page_token;
        if page_token.is_empty() || listed.len() >= limit.0 {
            break;
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
