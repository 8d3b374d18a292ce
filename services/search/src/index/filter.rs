//! Owns what is asked of a thing besides what it says: conditions, and that the caller may see it. Never looks for anything.

use domain::{Namespace, TypeName};

use crate::{
    document::Document,
    facts::{Facts, Wanted},
};

/// What may be seen: everything, or what everybody may come upon in a list, and what is of namespaces that may be read.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a>(pub(crate) Option<&'a (dyn Fn(&Namespace) -> bool + Sync)>);

/// Conditions, each of which must hold that is given.
#[derive(Clone, Default, Debug)]
pub(crate) struct Filter {
    pub(crate) ns: Option<Namespace>,
    /// This one and those under it.
    pub(crate) ns_prefix: Option<Namespace>,
    /// One of these; empty is any.
    pub(crate) types: Vec<TypeName>,
    /// Made at or after this, in milliseconds.
    pub(crate) updated_from: Option<i64>,
    /// Made before this, in milliseconds.
    pub(crate) updated_until: Option<i64>,
    /// Of fields of data.
    pub(crate) fields: Vec<Wanted>,
}

impl Sight<'_> {
    /// Whether everything of a namespace may be seen.
    pub(super) fn reads(self, ns: &Namespace) -> bool {
        self.0.is_none_or(|may_read| may_read(ns))
    }

    pub(super) fn sees(self, document: &Document) -> bool {
        document.is_listed() || self.reads(&document.key.ns)
    }
}

impl Filter {
    pub(super) fn has(&self, ns: &Namespace, thing_type: &TypeName, updated_at: i64) -> bool {
        self.has_namespace(ns)
            && (self.types.is_empty() || self.types.contains(thing_type))
            && self.has_time(updated_at)
    }

    pub(super) fn has_namespace(&self, ns: &Namespace) -> bool {
        let is_under = |prefix: &str| {
            ns.as_str().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.ns.as_ref().is_none_or(|wanted| wanted == ns)
            && self.ns_prefix.as_ref().is_none_or(|prefix| is_under(prefix.as_str()))
    }

    pub(super) fn has_fields(&self, facts: &Facts) -> bool {
        facts.fulfil(&self.fields)
    }

    pub(super) fn has_time(&self, updated_at: i64) -> bool {
        self.updated_from.is_none_or(|from| from <= updated_at)
            && self.updated_until.is_none_or(|until| updated_at < until)
    }
}
