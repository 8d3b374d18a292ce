//! What a key is for: the words in the `scopes` of `keys.toml`.

use std::fmt;
use std::str::FromStr;

use domain::{Invalid, Namespace};

/// One thing that a key may do. As text: `read:onet`, `write:github.com/*`, `admin:*`, `events:read`, `events:write`,
/// `peer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A right on the namespaces of a pattern.
    Things(Right, Pattern),
    /// Query and follow events.
    ReadEvents,
    /// Append events that are not mutations.
    WriteEvents,
    /// Be another service of Annals.
    Peer,
}

/// What may be done in a namespace; each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// See things of every visibility.
    Read,
    /// Change things.
    Write,
    /// Register the namespace, erase.
    Admin,
}

/// Which namespaces a right is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`: all.
    All,
    /// `onet`: this one only.
    One(Namespace),
    /// `github.com/*`: all that are below this one, not itself.
    Below(Namespace),
}

impl Scope {
    /// Whether this scope gives `right` on `ns`.
    pub fn grants(&self, right: Right, ns: &Namespace) -> bool {
        match self {
            Self::Things(granted, pattern) => *granted >= right && pattern.matches(ns),
            Self::ReadEvents | Self::WriteEvents | Self::Peer => false,
        }
    }
}

impl Pattern {
    /// Whether `ns` is one of these.
    pub fn matches(&self, ns: &Namespace) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == ns,
            Self::Below(root) => ns.as_str().strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/')),
        }
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let right = match text.split_once(':') {
            Some(("read", pattern)) => (Right::Read, pattern),
            Some(("write", pattern)) => (Right::Write, pattern),
            Some(("admin", pattern)) => (Right::Admin, pattern),
            Some(("events", "read")) => return Ok(Self::ReadEvents),
            Some(("events", "write")) => return Ok(Self::WriteEvents),
            None if text == "peer" => return Ok(Self::Peer),
            _ => {
                return Err(Invalid {
                    field: "scope".to_owned(),
                    rule: format!(
                        "`{text}` is none of read:NS, write:NS, admin:NS (NS may end in /* or be *), events:read, \
                         events:write, peer"
                    ),
                });
            }
        };
        let (right, pattern) = right;
        let pattern = if pattern == "*" {
            Pattern::All
        } else if let Some(root) = pattern.strip_suffix("/*") {
            Pattern::Below(root.parse()?)
        } else {
            Pattern::One(pattern.parse()?)
        };
        Ok(Self::Things(right, pattern))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Things(right, pattern) => write!(f, "{right}:{pattern}"),
            Self::ReadEvents => f.write_str("events:read"),
            Self::WriteEvents => f.write_str("events:write"),
            Self::Peer => f.write_str("peer"),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(ns) => write!(f, "{ns}"),
            Self::Below(ns) => write!(f, "{ns}/*"),
        }
    }
}
