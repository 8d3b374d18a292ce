//! Owns how a name is written on the command line. Never guesses where its namespace ends.

use std::{fmt, str::FromStr};

use domain::{Invalid, Namespace, Path, Variant};

/// A URL path (`/en.wikipedia.org/Software_developer%23es`) or plain text (`en.wikipedia.org/Software developer#es`).
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) Path);

impl Name {
    /// The path, of this variant if there is one.
    pub(crate) fn with_variant(self, variant: Option<Variant>) -> Result<Path, Invalid> {
        match variant {
            Some(variant) => self.0.with_variant(variant),
            None => Ok(self.0),
        }
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // As the URL of a relationship is shown; what a name names is said beside it.
        let text = text.strip_prefix("/_/relationships").unwrap_or(text);
        if text.starts_with('/') { Path::decode_url(text).map(Self) } else { text.parse().map(Self) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A namespace, with or without slashes around it: `/onet/`.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceName(pub(crate) Namespace);

impl NamespaceName {
    /// As a request has it.
    pub(crate) fn or_empty(given: Option<Self>) -> String {
        given.map(|Self(ns)| ns.to_string()).unwrap_or_default()
    }
}

impl FromStr for NamespaceName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.strip_prefix('/').unwrap_or(text);
        text.strip_suffix('/').unwrap_or(text).parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_slash_makes_it_a_url_path() {
        let name = |text: &str| text.parse::<Name>().unwrap().to_string();
        assert_eq!(name("/en.wikipedia.org/C%2B%2B%23es"), "en.wikipedia.org/C++#es");
        assert_eq!(name("en.wikipedia.org/100%25 proof"), "en.wikipedia.org/100%25 proof");
        assert_eq!(name("/en.wikipedia.org/Software_developer"), "en.wikipedia.org/Software_developer");
    }

    #[test]
    fn the_url_of_a_relationship_is_its_name() {
        let name: Name = "/_/relationships/onet/a/is_related_to/b".parse().unwrap();
        assert_eq!(name.to_string(), "onet/a/is_related_to/b");
    }

    #[test]
    fn a_namespace_may_have_slashes_around_it() {
        for text in ["github.com/repos", "/github.com/repos", "github.com/repos/", "/github.com/repos/"] {
            assert_eq!(text.parse::<NamespaceName>().unwrap().0.as_str(), "github.com/repos");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert!("onet".parse::<Name>().is_err());
        assert!("/onet/%FF".parse::<Name>().is_err());
        assert!("ONET/".parse::<NamespaceName>().is_err());
    }
}
