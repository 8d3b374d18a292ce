//! The keys that count in this process, and who a call's headers say it is from.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::{Invalid, TenantId};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::file::{Broken, GeneratedKey, Hash, KeyText, Keys, Quotas};
use super::{CALLER_HEADER, Caller, Credentials, PeerKey, Scope, TENANT_HEADER};
use crate::refusal::Refusal;

/// How often `keys.toml` is looked at: a key that is taken out counts no longer than this, nor do its open streams.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keys that count in this process. Clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// `None`: no `keys.toml`, on loopback only; whoever reaches the listener is the local user.
    state: watch::Sender<Option<Arc<Loaded>>>,
    peer: PeerKey,
    peer_sha256: Hash,
}

struct Loaded {
    text: String,
    keys: Arc<Keys>,
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is there but cannot be read, or was named and is not there.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file breaks its rules.
    #[error("{} is broken", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Each mistake in it.
        #[source]
        source: Broken,
    },
    /// Without keys everybody is admin, which is for loopback only.
    #[error(
        "refusing to listen on {listen} without keys: anybody who reaches it would be admin. Make a key with \
         `annals key new` and put its entry into {}, or listen on 127.0.0.1", path.display()
    )]
    Exposed {
        /// An address that others reach.
        listen: SocketAddr,
        /// Where keys are looked for.
        path: PathBuf,
    },
}

impl Keyring {
    /// The keys in the file at `path`. A file that is not there means no keys, which `listen` must allow.
    pub fn open(path: PathBuf, peer: PeerKey, listen: SocketAddr) -> Result<Self, OpenError> {
        match Self::open_existing(path, peer.clone()) {
            Err(OpenError::Io { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                if listen.ip().is_loopback() {
                    Ok(Self::without_keys(path, peer))
                } else {
                    Err(OpenError::Exposed { listen, path })
                }
            }
            opened => opened,
        }
    }

    /// The keys in the file at `path`, which must be there.
    pub fn open_existing(path: PathBuf, peer: PeerKey) -> Result<Self, OpenError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        match text.parse() {
            Ok(keys) => Ok(Self::with(path, peer, Some(Arc::new(Loaded { text, keys: Arc::new(keys) })))),
            Err(source) => Err(OpenError::Broken { path, source }),
        }
    }

    /// No keys until the file at `path` is made: whoever calls without one is the local user. For listeners that
    /// nobody else reaches.
    pub fn without_keys(path: PathBuf, peer: PeerKey) -> Self {
        Self::with(path, peer, None)
    }

    fn with(path: PathBuf, peer: PeerKey, loaded: Option<Arc<Loaded>>) -> Self {
        let peer_sha256 = peer.text().sha256();
        Self(Arc::new(Shared { path, state: watch::Sender::new(loaded), peer, peer_sha256 }))
    }

    /// A new key for `principal` of `tenant`, and the entry that makes it count. Changes nothing.
    pub fn generate(tenant: &TenantId, principal: &str, scopes: &[Scope]) -> GeneratedKey {
        GeneratedKey::new(tenant, principal, scopes)
    }

    /// Whether there are no keys, so that whoever calls without one is the local user.
    pub fn is_open(&self) -> bool {
        self.keys().is_none()
    }

    /// What this process's own calls to other services carry.
    pub fn credentials(&self) -> Credentials {
        self.0.peer.credentials()
    }

    /// The tenant whose public things callers without a key see at `host` (a port in it does not count).
    pub fn tenant_of_host(&self, host: &str) -> Option<TenantId> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.keys()?.tenant_of_host(&name.to_ascii_lowercase()).cloned()
    }

    /// What `tenant` may use.
    pub fn quotas(&self, tenant: &TenantId) -> Quotas {
        self.keys().map(|keys| keys.quotas(tenant)).unwrap_or_default()
    }

    /// Who a call with these headers is from. Never says which part of a key is wrong.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            return if self.is_open() {
                in_the_name_of(Caller::local(), headers)
            } else {
                Err(Refusal::unauthenticated())
            };
        };
        let caller = authorization
            .to_str()
            .ok()
            .and_then(bearer)
            .and_then(|key| key.parse::<KeyText>().ok())
            .and_then(|key| self.holder(&key))
            .ok_or_else(Refusal::unauthenticated)?;
        in_the_name_of(caller, headers)
    }

    /// Waits until a call with these headers is no longer from `caller`: the key is gone, or has other scopes.
    pub(crate) async fn revoked(&self, headers: &HeaderMap, caller: &Caller) {
        let mut state = self.0.state.subscribe();
        while self.authenticate(headers).is_ok_and(|now| now == *caller) {
            state.changed().await.expect("the keyring has the sender");
        }
    }

    fn holder(&self, key: &KeyText) -> Option<Caller> {
        let sha256 = key.sha256();
        let is_peer = bool::from(self.0.peer_sha256.ct_eq(&sha256)) && key.id() == self.0.peer.text().id();
        if is_peer {
            return Some(Caller::peer(TenantId::local()));
        }
        self.keys()?.caller(key.id(), &sha256).cloned()
    }

    /// Looks at the file every second until `cancel`: a good new one counts from then on, a broken or missing one
    /// leaves the old keys and is said in the log once.
    pub async fn watch(self, cancel: CancellationToken) {
        let mut told = None;
        while cancel.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            match self.look(tokio::fs::read_to_string(&self.0.path).await) {
                Ok(Looked::Same) => told = None,
                Ok(Looked::Changed) => {
                    told = None;
                    tracing::info!(path = %self.0.path.display(), "keys were read again");
                }
                Err(problem) => {
                    if told.as_ref() != Some(&problem) {
                        tracing::error!(path = %self.0.path.display(), %problem, "the keys stay as they were");
                    }
                    told = Some(problem);
                }
            }
        }
    }

    /// Takes what the file was found to say.
    pub(crate) fn look(&self, read: io::Result<String>) -> Result<Looked, String> {
        let loaded = self.state();
        let text = match read {
            Ok(text) => text,
            // Going back to no keys would open the server to everybody.
            Err(error) if error.kind() == io::ErrorKind::NotFound && loaded.is_none() => return Ok(Looked::Same),
            Err(error) => return Err(error.to_string()),
        };
        if loaded.is_some_and(|loaded| loaded.text == text) {
            return Ok(Looked::Same);
        }
        let keys = Arc::new(text.parse().map_err(|broken: Broken| broken.to_string())?);
        self.0.state.send_replace(Some(Arc::new(Loaded { text, keys })));
        Ok(Looked::Changed)
    }

    fn state(&self) -> Option<Arc<Loaded>> {
        self.0.state.borrow().clone()
    }

    fn keys(&self) -> Option<Arc<Keys>> {
        self.state().map(|loaded| Arc::clone(&loaded.keys))
    }

    /// Where the keys are looked for.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

/// What became of the keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    Same,
    Changed,
}

/// The caller after `annals-tenant` and `annals-caller`, which only a peer may send.
fn in_the_name_of(caller: Caller, headers: &HeaderMap) -> Result<Caller, Refusal> {
    if let Some(text) = text(headers, &CALLER_HEADER)? {
        let tenant = text
            .strip_prefix("anonymous;")
            .and_then(|rest| rest.trim_start().strip_prefix("tenant="))
            .ok_or_else(|| Refusal::invalid_field(CALLER_HEADER.as_str(), "must be `anonymous; tenant=TENANT`"))?;
        caller.require_peer()?;
        return Ok(Caller::anonymous(tenant.parse().map_err(|invalid| at(&CALLER_HEADER, invalid))?));
    }
    if let Some(text) = text(headers, &TENANT_HEADER)? {
        let tenant: TenantId = text.parse().map_err(|invalid| at(&TENANT_HEADER, invalid))?;
        if tenant != caller.tenant {
            caller.require_peer()?;
        }
        return Ok(Caller { tenant, ..caller });
    }
    Ok(caller)
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| Refusal::invalid_field(name.as_str(), "must be visible ASCII"))
}

fn at(name: &http::HeaderName, invalid: Invalid) -> Refusal {
    Refusal::invalid_field(name.as_str(), invalid.rule)
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
#[path = "keyring_test.rs"]
mod tests;
