//! Which things are listed, in which order, and from where on.
//!
//! Owns what a condition means for all stores alike: as ranges of columns, or as a look at data. Never reads a row.

use std::ops::Range;

use domain::{Code, Data, FieldFilter, Key, Name, Namespace, Timestamp, TypeName, Visibility, json};
use ulid::Ulid;

/// A page of a list of things.
#[derive(Clone, Debug)]
pub(crate) struct ThingQuery {
    pub(crate) filter: ThingFilter,
    pub(crate) order: Order,
    pub(crate) after: Option<After>,
    pub(crate) limit: usize,
    pub(crate) room: usize,
    /// Rows to look at; at least one.
    pub(crate) scan: usize,
    /// Whether embeddings are read too.
    pub(crate) with_embedding: bool,
}

/// A page of all relationships, by name.
#[derive(Clone, Debug)]
pub(crate) struct RelationshipScan {
    pub(crate) scope: Scope,
    pub(crate) after: Option<Name>,
    pub(crate) limit: usize,
    pub(crate) room: usize,
    /// Rows to look at; at least one.
    pub(crate) scan: usize,
}

/// Which namespaces to list.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceQuery {
    pub(crate) scope: Scope,
    pub(crate) after: Option<Namespace>,
    pub(crate) limit: usize,
    /// Rows to look at; at least one.
    pub(crate) scan: usize,
}

/// What must hold of a thing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ThingFilter {
    pub(crate) scope: Scope,
    pub(crate) thing_type: Option<TypeName>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) code: Option<Code>,
    pub(crate) updated_from: Option<Timestamp>,
    pub(crate) updated_until: Option<Timestamp>,
    /// Of its data, each.
    pub(crate) fields: Vec<FieldFilter>,
}

/// The namespaces whose things are looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    All,
    Exactly(Namespace),
    /// It and those under it.
    Under(Namespace),
}

/// Which thing comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// By namespace, id and variant, as bytes.
    Name,
    /// The one that was changed first; of one namespace.
    Updated(Namespace),
    /// The one that was changed last; of one namespace.
    UpdatedLast(Namespace),
}

/// Where a page ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// In the order of names.
    Named(Key),
    /// In an order of changes: the etag.
    Updated(Ulid),
}

impl After {
    /// Where a page in the order of names ends.
    pub(crate) fn into_key(self) -> Option<Key> {
        match self {
            Self::Named(key) => Some(key),
            Self::Updated(_) => None,
        }
    }
}

impl Scope {
    /// The names of its namespaces, and of no other, as ranges: what goes on behind a namespace begins with `-` at the least, and
    /// what is under it with a slash, which `0` follows.
    pub(crate) fn ranges(&self) -> Vec<Range<String>> {
        let exactly = |ns: &Namespace| ns.as_str().to_owned()..format!("{ns}-");
        match self {
            // No name has a brace, which follows all letters.
            Self::All => vec![String::new().."{".to_owned()],
            Self::Exactly(ns) => vec![exactly(ns)],
            Self::Under(ns) => vec![exactly(ns), format!("{ns}/")..format!("{ns}0")],
        }
    }
}

impl ThingFilter {
    /// All things.
    pub(crate) fn all_of(scope: Scope) -> Self {
        let (thing_type, visibility, code) = (None, None, None);
        Self { scope, thing_type, visibility, code, updated_from: None, updated_until: None, fields: Vec::new() }
    }

    /// The etags of states that were made in its time.
    pub(crate) fn etags(&self) -> Range<Ulid> {
        let from = self.updated_from.map_or(Ulid::nil(), first_of);
        from..self.updated_until.map_or(Ulid(u128::MAX), first_of)
    }

    /// Whether the conditions on data hold.
    pub(crate) fn holds_of(&self, data: Option<&Data>) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let data = data.map(|data| json::parse(data.as_str()).expect("data that is stored is JSON"));
        self.fields.iter().all(|field| field.holds(data.as_ref()))
    }
}

impl ThingQuery {
    /// The key that the page begins behind, in the order of names, of one range of namespaces; `None` if the range was before.
    pub(crate) fn after_in<'a>(&'a self, range: &'a Range<String>) -> Option<(&'a str, &'a str, &'a str)> {
        match &self.after {
            Some(After::Named(key)) if key.ns.as_str() >= range.end.as_str() => None,
            Some(After::Named(key)) if key.ns.as_str() >= range.start.as_str() => {
                Some((key.ns.as_str(), key.id.as_str(), key.variant.as_str()))
            }
            _ => Some((&range.start, "", "")),
        }
    }

    /// The etags that the page may have, in an order of changes; of `is_read`, a namespace that the caller reads, only those
    /// of the filter's time: how many rows lie there, hidden ones too, others are not told.
    pub(crate) fn etags(&self, is_read: bool) -> Range<Ulid> {
        let Range { start, end } = if is_read { self.filter.etags() } else { Ulid::nil()..Ulid(u128::MAX) };
        match (&self.order, &self.after) {
            (Order::Updated(_), Some(After::Updated(after))) => start.max(Ulid(after.0.saturating_add(1)))..end,
            (Order::UpdatedLast(_), Some(After::Updated(after))) => start..end.min(*after),
            _ => start..end,
        }
    }
}

impl RelationshipScan {
    /// The name that the page begins behind, of one range of namespaces; `None` if the range was before.
    pub(crate) fn after_in<'a>(&'a self, range: &'a Range<String>) -> Option<(&'a str, &'a str)> {
        match &self.after {
            Some(after) if after.ns.as_str() >= range.end.as_str() => None,
            Some(after) if after.ns.as_str() >= range.start.as_str() => Some((after.ns.as_str(), after.id.as_str())),
            _ => Some((&range.start, "")),
        }
    }
}

impl NamespaceQuery {
    /// What the page goes through: names from one on, to another, that one not.
    pub(crate) fn ranges(&self) -> Vec<Range<String>> {
        let after = self.after.as_ref().map_or("", Namespace::as_str);
        // Behind a name and a space come all that follow the name: a space is before whatever a name goes on with.
        let from = |start: String| if start.as_str() > after { start } else { format!("{after} ") };
        self.scope.ranges().into_iter().map(|Range { start, end }| from(start)..end).collect()
    }
}

/// The first ULID of a time.
fn first_of(time: Timestamp) -> Ulid {
    const LAST: u64 = (1 << Ulid::TIME_BITS) - 1;
    Ulid::from_parts(u64::try_from(time.millis()).unwrap_or_default().min(LAST), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_its_namespaces_and_no_other() {
        let ns = |text: &str| text.parse::<Namespace>().unwrap();
        let has = |scope: &Scope, name: &str| scope.ranges().iter().any(|range| range.contains(&name.to_owned()));
        for (name, exactly, under) in [
            ("a.b", true, true),
            ("a.b/c", false, true),
            ("a.b/c/d", false, true),
            ("a.b-", false, false),
            ("a.b.c", false, false),
            ("a.b0", false, false),
            ("a.bc", false, false),
            ("a", false, false),
            ("zz", false, false),
        ] {
            assert_eq!(has(&Scope::Exactly(ns("a.b")), name), exactly, "{name}");
            assert_eq!(has(&Scope::Under(ns("a.b")), name), under, "{name}");
            assert!(has(&Scope::All, name), "{name}");
        }
    }
}
