//! Owns which name a reference stands for, given the namespaces that are registered. Never looks them up.
//!
//! The namespace of a path is the longest registered one that it lies under. That is never a guess: creating a name
//! under a longer namespace and registering a namespace over a name (even a deleted one) are both refused, so no
//! other namespace can have a name of that path.

use domain::{Id, Invalid, Key, Namespace, Reference, Style};
use serve::{Caller, Refusal};

use crate::refuse;

/// The namespaces whose registration decides what `reference` stands for, the longest first.
pub(crate) fn candidates(reference: &Reference) -> Vec<Namespace> {
    match reference {
        Reference::Path(path) => path.splits().into_iter().map(|(ns, _)| ns).collect(),
        Reference::Parts { ns, id, .. } => {
            let mut candidates = vec![ns.clone()];
            for (slash, _) in id.match_indices('/') {
                // A namespace that goes on to the right is illegal from here on.
                let Ok(longer) = format!("{ns}/{}", &id[..slash]).parse() else { break };
                let rest = &id[slash + 1..];
                if !rest.is_empty() && !rest.starts_with('/') {
                    candidates.push(longer);
                }
            }
            candidates.reverse();
            candidates
        }
    }
}

/// Where a reference stands among the registered namespaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In a registered namespace.
    In(Target),
    /// In one that is not registered, but would be on the way.
    OnTheWay(Target),
    /// In none.
    Nowhere,
    /// A longer namespace than the named one is registered.
    Hidden(Namespace),
}

/// The one name that a reference stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Canonical.
    pub(crate) key: Key,
    /// Of its namespace.
    pub(crate) style: Style,
    /// Whether its namespace is registered yet.
    pub(crate) is_registered: bool,
    /// Whether its namespace has schemas.
    pub(crate) has_schemas: bool,
}

/// Where `reference` stands, if `longest` is the longest of its candidates that is registered.
/// `field` is named in the refusal of an id that its namespace does not take.
pub(crate) fn place(reference: &Reference, longest: Option<(Namespace, Style)>, field: &str) -> Result<Place, Invalid> {
    if let Reference::Parts { id, .. } = reference {
        // What no namespace takes is refused the same whether this one is registered or not.
        Id::from_canonical(id).map_err(|error| error.within(field))?;
    }
    match (reference, longest) {
        (Reference::Parts { ns, .. }, Some((longest, _))) if *ns != longest => Ok(Place::Hidden(longest)),
        (_, Some((ns, style))) => target(reference, ns, style, true, field).map(Place::In),
        (Reference::Parts { ns, .. }, None) if ns.is_single_segment() => {
            target(reference, ns.clone(), Style::Wiki, false, field).map(Place::OnTheWay)
        }
        (Reference::Path(path), None) if path.as_is().matches('/').count() == 1 => {
            let ns = path.first_segment().parse().map_err(|error: Invalid| error.within(field))?;
            target(reference, ns, Style::Wiki, false, field).map(Place::OnTheWay)
        }
        (_, None) => Ok(Place::Nowhere),
    }
}

/// Where a path that lies nowhere would lie, if its first segment were registered on the way of another name.
pub(crate) fn below_first_segment(reference: &Reference) -> Option<Target> {
    let Reference::Path(path) = reference else { return None };
    let ns = path.first_segment().parse().ok()?;
    target(reference, ns, Style::Wiki, true, "").ok()
}

impl Place {
    /// The name to create or replace; refused where it cannot be created, and where `caller` may not write it.
    pub(crate) fn for_put(self, reference: &Reference, caller: &Caller) -> Result<Target, Refusal> {
        may_write_named(reference, caller)?;
        match self {
            Self::In(target) | Self::OnTheWay(target) => {
                caller.require_write(&target.key.ns)?;
                Ok(target)
            }
            Self::Nowhere => Err(refuse::namespace_unregistered(reference)),
            Self::Hidden(by) => Err(refuse::name_shadowed(reference, &by)),
        }
    }

    /// The name to change or delete; `None` if no state can have it. Refused where `caller` may not write it.
    pub(crate) fn for_change(self, reference: &Reference, caller: &Caller) -> Result<Option<Target>, Refusal> {
        may_write_named(reference, caller)?;
        match self {
            Self::In(target) | Self::OnTheWay(target) => {
                caller.require_write(&target.key.ns)?;
                Ok(target.is_registered.then_some(target))
            }
            Self::Nowhere | Self::Hidden(_) => Ok(None),
        }
    }

    /// The name to look at; `None` if no state can have it.
    pub(crate) fn for_read(self) -> Option<Target> {
        match self {
            Self::In(target) => Some(target),
            Self::OnTheWay(_) | Self::Nowhere | Self::Hidden(_) => None,
        }
    }
}

/// Refuses a caller before anything is said about the namespace that they name. Who may write none of those that a path
/// could lie in does not learn which are registered.
fn may_write_named(reference: &Reference, caller: &Caller) -> Result<(), Refusal> {
    let candidates = match reference {
        Reference::Parts { ns, .. } => return caller.require_write(ns),
        Reference::Path(_) if caller.is_anonymous() => return Err(Refusal::unauthenticated()),
        Reference::Path(_) => candidates(reference),
    };
    match candidates.last() {
        Some(shortest) if !candidates.iter().any(|ns| caller.may_write(ns)) => caller.require_write(shortest),
        _ => Ok(()),
    }
}

fn target(
    reference: &Reference,
    ns: Namespace,
    style: Style,
    is_registered: bool,
    field: &str,
) -> Result<Target, Invalid> {
    let (id, part) = match reference {
        Reference::Parts { id, .. } => (&**id, "id"),
        Reference::Path(path) => (&path.as_is()[ns.as_str().len() + 1..], "path"),
    };
    let id = Id::parse(id, style).map_err(|Invalid { rule, .. }| Invalid::new(part, rule).within(field))?;
    let key = Key { ns, id, variant: reference.variant().clone() };
    Ok(Target { key, style, is_registered, has_schemas: false })
}
