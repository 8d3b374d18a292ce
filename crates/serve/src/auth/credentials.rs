//! How the services of Annals call each other: the peer key, and in whose name.

use std::fmt;
use std::str::FromStr;

use domain::TenantId;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::file::KeyText;

/// Metadata with which a peer names the tenant that it acts for.
pub const TENANT_HEADER: HeaderName = HeaderName::from_static("annals-tenant");

/// Metadata with which a peer passes on a caller without a key: `anonymous; tenant=<tenant>`.
pub const CALLER_HEADER: HeaderName = HeaderName::from_static("annals-caller");

/// The secret that the services of one installation share (`ANNALS_PEER_KEY`); minted where they share a process.
/// A key text like any other (`annals key new`), but in no file.
#[derive(Clone)]
pub struct PeerKey(KeyText);

impl PeerKey {
    /// A key that no other process knows.
    pub fn mint() -> Self {
        Self(KeyText::random())
    }

    pub(super) fn text(&self) -> &KeyText {
        &self.0
    }

    /// What calls with this key carry.
    pub fn credentials(&self) -> Credentials {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.0.expose())).expect("a key text is ASCII");
        bearer.set_sensitive(true);
        Credentials { bearer }
    }
}

impl FromStr for PeerKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|rule: domain::Invalid| rule.rule)
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerKey(…)")
    }
}

/// What this process puts on its own calls to other services of Annals.
/// For `http::HeaderMap`s; tonic's metadata is one by `as_mut()`.
#[derive(Clone, Debug)]
pub struct Credentials {
    bearer: HeaderValue,
}

impl Credentials {
    /// Signs a call in this process's own name.
    pub fn sign(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.bearer.clone());
    }

    /// Signs a call in this process's own name, about the data of `tenant`.
    pub fn sign_for(&self, headers: &mut HeaderMap, tenant: &TenantId) {
        self.sign(headers);
        headers.remove(CALLER_HEADER);
        headers.insert(TENANT_HEADER, value(tenant.as_str()));
    }

    /// Passes on a call without a key: it has the anonymous caller's rights on `tenant`, never this process's.
    pub fn sign_anonymous(&self, headers: &mut HeaderMap, tenant: &TenantId) {
        self.sign(headers);
        headers.remove(TENANT_HEADER);
        headers.insert(CALLER_HEADER, value(&format!("anonymous; tenant={tenant}")));
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a tenant id is visible ASCII")
}
