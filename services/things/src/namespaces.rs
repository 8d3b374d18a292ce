//! Registering namespaces.
//!
//! Owns when one may be registered. Never reads or writes the store.

use domain::{Namespace, Style, Timestamp};
use serve::{Caller, Refusal};

use crate::change::{Applied, Change, Plan};
use crate::{Call, Things, refuse};

impl Things {
    /// Registers a namespace and says since when it is registered.
    pub(crate) async fn register_namespace(
        &self,
        call: Call,
        ns: Namespace,
        style: Style,
    ) -> Result<Timestamp, Refusal> {
        match self.change(call, Change::RegisterNamespace { ns, style }).await? {
            Applied::Namespace { created_at, .. } => Ok(created_at),
            other => unreachable!("a registration answers with a namespace, not {other:?}"),
        }
    }
}

/// What the store knows about a namespace that is registered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NamespaceFacts {
    /// How and since when it is registered already.
    pub(crate) present: Option<(Style, Timestamp)>,
    /// A shorter namespace with a name, even a deleted one, below this one.
    pub(crate) hides_name_of: Option<Namespace>,
}

/// The shorter namespaces in which a name could lie below `ns`, each with what the name's id would begin with.
pub(crate) fn outer(ns: &Namespace) -> Vec<(Namespace, String)> {
    let text = ns.as_str();
    let slashes = text.match_indices('/').map(|(slash, _)| slash);
    slashes
        .map(|slash| {
            let outer = text[..slash].parse().expect("a namespace's leading segments are a namespace");
            (outer, format!("{}/", &text[slash + 1..]))
        })
        .collect()
}

/// What registering `ns` does.
pub(crate) fn plan(
    caller: &Caller,
    now: Timestamp,
    ns: Namespace,
    style: Style,
    facts: NamespaceFacts,
) -> Result<Plan, Refusal> {
    caller.require_admin(&ns)?;
    match facts {
        NamespaceFacts { present: Some((present, _)), .. } if present != style => {
            Err(refuse::style_fixed(&ns, present))
        }
        NamespaceFacts { present: Some((_, created_at)), .. } => {
            Ok(Plan::nothing(Applied::Namespace { ns, style, created_at }))
        }
        NamespaceFacts { hides_name_of: Some(outer), .. } => Err(refuse::namespace_shadows(&ns, &outer)),
        NamespaceFacts { present: None, hides_name_of: None } => Ok(Plan {
            register: Some((ns.clone(), style, now)),
            mutations: Vec::new(),
            applied: Applied::Namespace { ns, style, created_at: now },
        }),
    }
}
