//! Who calls, and what they may do.
//!
//! Owns keys, scopes and the [`Caller`] that every verb is given. Never decides what a thing's visibility is, only who
//! may see which.

mod credentials;
mod file;
mod keyring;
mod scope;

use std::sync::Arc;

use domain::{Namespace, TenantId};
use http::Extensions;

pub use credentials::{CALLER_HEADER, Credentials, PeerKey, TENANT_HEADER};
pub use file::{GeneratedKey, Quotas};
#[cfg(test)]
pub(crate) use keyring::Looked;
pub use keyring::{Keyring, OpenError};
pub use scope::{Pattern, Right, Scope};

use crate::refusal::Refusal;

/// Who calls: put into the request's extensions by the inner ring, found there by every verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose data the call is about.
    pub tenant: TenantId,
    /// Who, within the tenant: the key's principal, `local`, `peer` or `anonymous`. The `actor` of mutations.
    pub principal: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The only user of a server on loopback without keys.
    Local,
    /// Somebody with a key.
    Keyed(Arc<[Scope]>),
    /// Another service of Annals: reads everything, moves events, writes no thing.
    Peer,
    /// Somebody without a key, at a host that is mapped to a tenant.
    Anonymous,
}

impl Caller {
    /// The only user of a server on loopback without keys: admin of tenant `default`.
    pub fn local() -> Self {
        Self { tenant: TenantId::local(), principal: "local".into(), kind: Kind::Local }
    }

    /// Somebody with a key that has `scopes`.
    pub fn keyed(tenant: TenantId, principal: impl Into<Arc<str>>, scopes: impl Into<Arc<[Scope]>>) -> Self {
        let scopes = scopes.into();
        let kind = if scopes.contains(&Scope::Peer) { Kind::Peer } else { Kind::Keyed(scopes) };
        Self { tenant, principal: principal.into(), kind }
    }

    /// Another service of Annals, acting for `tenant`.
    pub fn peer(tenant: TenantId) -> Self {
        Self { tenant, principal: "peer".into(), kind: Kind::Peer }
    }

    /// Somebody without a key, reading what is public of `tenant`.
    pub fn anonymous(tenant: TenantId) -> Self {
        Self { tenant, principal: "anonymous".into(), kind: Kind::Anonymous }
    }

    /// The caller of the request that these extensions belong to. Refuses a request that came past the inner ring.
    pub fn of(extensions: &Extensions) -> Result<&Self, Refusal> {
        extensions.get().ok_or_else(|| Refusal::internal("a call reached a verb without passing the inner ring"))
    }

    /// Whether things of every visibility in `ns` are visible, with actor, request id and cause; without it a caller
    /// has the anonymous one's view: public things, and unlisted ones by exact name.
    pub fn may_read(&self, ns: &Namespace) -> bool {
        self.may(Right::Read, ns)
    }

    /// Whether the caller sees everything of its tenant: it reads every namespace.
    pub fn may_read_all(&self) -> bool {
        match &self.kind {
            Kind::Local | Kind::Peer => true,
            Kind::Keyed(scopes) => scopes.iter().any(|scope| matches!(scope, Scope::Things(_, Pattern::All))),
            Kind::Anonymous => false,
        }
    }

    /// Whether things in `ns` may be written.
    pub fn may_write(&self, ns: &Namespace) -> bool {
        self.may(Right::Write, ns)
    }

    /// Whether `ns` may be registered, and what is in it erased.
    pub fn may_admin(&self, ns: &Namespace) -> bool {
        self.may(Right::Admin, ns)
    }

    /// Whether events may be queried and followed.
    pub fn may_read_events(&self) -> bool {
        match &self.kind {
            Kind::Local | Kind::Peer => true,
            Kind::Keyed(scopes) => scopes.contains(&Scope::ReadEvents),
            Kind::Anonymous => false,
        }
    }

    /// Whether events other than mutations may be appended.
    pub fn may_write_events(&self) -> bool {
        match &self.kind {
            Kind::Local | Kind::Peer => true,
            Kind::Keyed(scopes) => scopes.contains(&Scope::WriteEvents),
            Kind::Anonymous => false,
        }
    }

    /// Whether this is another service of Annals, in its own name: only it may append mutations.
    pub fn is_peer(&self) -> bool {
        matches!(self.kind, Kind::Peer)
    }

    /// Whether this is somebody without a key.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.kind, Kind::Anonymous)
    }

    /// Refuses a caller who may not read all of `ns`.
    pub fn require_read(&self, ns: &Namespace) -> Result<(), Refusal> {
        self.require(self.may_read(ns), || format!("read:{ns}"))
    }

    /// Refuses a caller who may not write in `ns`.
    pub fn require_write(&self, ns: &Namespace) -> Result<(), Refusal> {
        self.require(self.may_write(ns), || format!("write:{ns}"))
    }

    /// Refuses a caller who is not admin of `ns`.
    pub fn require_admin(&self, ns: &Namespace) -> Result<(), Refusal> {
        self.require(self.may_admin(ns), || format!("admin:{ns}"))
    }

    /// Refuses a caller who may not query and follow events.
    pub fn require_read_events(&self) -> Result<(), Refusal> {
        self.require(self.may_read_events(), || Scope::ReadEvents.to_string())
    }

    /// Refuses a caller who may not append events.
    pub fn require_write_events(&self) -> Result<(), Refusal> {
        self.require(self.may_write_events(), || Scope::WriteEvents.to_string())
    }

    /// Refuses a caller that is not another service of Annals.
    pub fn require_peer(&self) -> Result<(), Refusal> {
        self.require(self.is_peer(), || Scope::Peer.to_string())
    }

    /// Refuses a caller that may not operate what is of all tenants: a peer may, and anybody where there are no keys.
    pub fn require_operator(&self) -> Result<(), Refusal> {
        self.require(self.is_peer() || matches!(self.kind, Kind::Local), || Scope::Peer.to_string())
    }

    fn may(&self, right: Right, ns: &Namespace) -> bool {
        match &self.kind {
            Kind::Local => true,
            Kind::Keyed(scopes) => scopes.iter().any(|scope| scope.grants(right, ns)),
            Kind::Peer => right == Right::Read,
            Kind::Anonymous => false,
        }
    }

    fn require(&self, holds: bool, scope: impl FnOnce() -> String) -> Result<(), Refusal> {
        match (holds, &self.kind) {
            (true, _) => Ok(()),
            (false, Kind::Anonymous) => Err(Refusal::unauthenticated()),
            (false, _) => Err(Refusal::permission_denied(format_args!("the scope {}", scope()))),
        }
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
#[path = "auth_test.rs"]
mod tests;
