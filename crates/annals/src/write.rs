//! Owns the arguments that every write has: conditions, why, and where a text comes from. Never writes.

use std::{
    io::{self, Read as _},
    str::FromStr,
};

use anyhow::Context as _;
use domain::Etag;
use proto::things::v1::Condition;

/// What must hold for a write to happen; at most one of them.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct ConditionArgs {
    /// Only if the name has no state yet.
    #[arg(long)]
    create: bool,

    /// Only if the name has a state.
    #[arg(long)]
    update: bool,

    /// Only if the present etag is this one.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<Etag>,
}

impl From<ConditionArgs> for Condition {
    fn from(ConditionArgs { create, update, if_match }: ConditionArgs) -> Self {
        Self { create_only: create, update_only: update, ..present(if_match) }
    }
}

/// That the present etag is this one, if it is given.
pub(crate) fn present(etag: Option<Etag>) -> Condition {
    Condition { etags: etag.iter().map(ToString::to_string).collect(), ..Condition::default() }
}

/// A text as it is, `@file` or `-` for standard input. `@@` is a text that begins with @.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Text {
    Given(String),
    File(String),
    Input,
}

impl FromStr for Text {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix('@') {
            _ if text == "-" => Self::Input,
            Some(rest) if rest.starts_with('@') => Self::Given(rest.into()),
            Some(file) => Self::File(file.into()),
            None => Self::Given(text.into()),
        })
    }
}

impl Text {
    /// The text itself.
    pub(crate) fn read(self) -> anyhow::Result<String> {
        match self {
            Self::Given(text) => Ok(text),
            Self::File(path) => std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read")),
            Self::Input => {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
                Ok(text)
            }
        }
    }
}

/// What a write did, as its response says: `created`, `replaced`, `unchanged`.
pub(crate) fn outcome(metadata: &tonic::metadata::MetadataMap) -> &str {
    metadata.get("annals-outcome").and_then(|outcome| outcome.to_str().ok()).unwrap_or("done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_given_a_file_or_standard_input() {
        let text = |text: &str| text.parse::<Text>().unwrap();
        assert_eq!(text("hello"), Text::Given("hello".into()));
        assert_eq!(text("@notes.md"), Text::File("notes.md".into()));
        assert_eq!(text("@@handle"), Text::Given("@handle".into()));
        assert_eq!(text("-"), Text::Input);
        assert_eq!(text("- a list"), Text::Given("- a list".into()));
    }
}
