//! Namespaces: registered, described, listed and taken back.
//!
//! Owns when one may be registered and taken back, and who is told of it. Never reads or writes the store.

use domain::{Namespace, Style, Timestamp};
use serve::page::Binding;
use serve::{Caller, Refusal};

use crate::change::{Applied, Change, Plan};
use crate::list::{Listed, PageRequest, SCAN};
use crate::page::Position as _;
use crate::store::{Contents, NamespaceQuery, Scope};
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

    /// How and since when a namespace is registered, and what it has.
    pub(crate) async fn get_namespace(
        &self,
        caller: &Caller,
        ns: &Namespace,
    ) -> Result<(Style, Timestamp, Contents), Refusal> {
        caller.require_read(ns)?;
        let described = self.store.things.describe(caller, ns.clone()).await?;
        described.ok_or_else(|| refuse::namespace_not_found(ns))
    }

    /// A page of the namespaces that the caller may read, by name.
    pub(crate) async fn list_namespaces(
        &self,
        caller: &Caller,
        scope: Scope,
        page: &PageRequest,
    ) -> Result<Listed<(Namespace, Style, Timestamp)>, Refusal> {
        let binding = Binding::new(&caller.tenant, &[b"namespaces", &page.question]);
        let after = self.store.seal.position(binding, &page.token, Namespace::from_bytes)?;
        let query = NamespaceQuery { scope, after, limit: page.size, scan: SCAN };
        let found = self.store.things.namespaces(caller, query).await?;
        Ok(Listed::new(found, |next| self.store.seal.token(binding, &next.to_bytes())))
    }

    /// Takes back the registration of a namespace that never had a name.
    pub(crate) async fn delete_namespace(&self, call: Call, ns: Namespace) -> Result<(), Refusal> {
        self.change(call, Change::DeleteNamespace { ns }).await.map(drop)
    }
}

/// How a namespace is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Registration {
    pub(crate) style: Style,
    pub(crate) created_at: Timestamp,
    /// How many schemas it has.
    pub(crate) schemas: usize,
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
            Ok(Plan::nothing(Applied::Namespace { ns, style, created_at, is_new: false }))
        }
        NamespaceFacts { hides_name_of: Some(outer), .. } => Err(refuse::namespace_shadows(&ns, &outer)),
        NamespaceFacts { present: None, hides_name_of: None } => {
            let register = Some((ns.clone(), style, now));
            Ok(Plan { register, ..Plan::nothing(Applied::Namespace { ns, style, created_at: now, is_new: true }) })
        }
    }
}

/// What taking back `ns` does. `present`: how and since when it is registered; `has_names`: whether it has or had a name.
pub(crate) fn plan_delete(
    caller: &Caller,
    ns: Namespace,
    present: Option<(Style, Timestamp)>,
    has_names: bool,
) -> Result<Plan, Refusal> {
    caller.require_admin(&ns)?;
    let Some((style, created_at)) = present else { return Err(refuse::namespace_not_found(&ns)) };
    if has_names {
        return Err(refuse::namespace_not_empty(&ns));
    }
    let unregister = Some(ns.clone());
    Ok(Plan { unregister, ..Plan::nothing(Applied::Namespace { ns, style, created_at, is_new: false }) })
}

/// What a text follows that begins with `start`, which is empty or ends in a slash: no id has the last character of all.
pub(crate) fn end_of(start: &str) -> String {
    match start.strip_suffix('/') {
        Some(start) => format!("{start}0"),
        None => "\u{10ffff}".to_owned(),
    }
}
