//! `keys.toml`: its form, its rules, and the entry for a new key.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use domain::{Invalid, TenantId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::scope::Scope;
use super::{Caller, hex};

/// Keys that one principal may have at a time: the one in use and the one that takes over.
const KEYS_PER_PRINCIPAL: usize = 2;

/// SHA-256 of a key's secret.
pub(super) type Hash = [u8; 32];

/// What a tenant may use in a second; none is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Calls begun per second.
    pub requests_per_second: Option<NonZeroU64>,
    /// Bytes of requests per second.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Streaming calls open at a time.
    pub concurrent_streams: Option<NonZeroU64>,
}

impl Quotas {
    /// The stricter of each.
    fn and(self, other: Self) -> Self {
        let stricter = |one: Option<NonZeroU64>, two: Option<NonZeroU64>| one.into_iter().chain(two).min();
        Self {
            requests_per_second: stricter(self.requests_per_second, other.requests_per_second),
            bytes_per_second: stricter(self.bytes_per_second, other.bytes_per_second),
            concurrent_streams: stricter(self.concurrent_streams, other.concurrent_streams),
        }
    }
}

/// The keys and hosts of a good `keys.toml`.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_id: HashMap<Box<str>, Key>,
    hosts: HashMap<Box<str>, TenantId>,
    quotas: HashMap<TenantId, Quotas>,
}

#[derive(Debug)]
struct Key {
    sha256: Hash,
    caller: Caller,
}

impl Keys {
    /// The caller whose key has this id and secret.
    pub(super) fn caller(&self, id: &str, sha256: &Hash) -> Option<&Caller> {
        let key = self.by_id.get(id);
        // An unknown id takes as long as a wrong secret.
        let expected = key.map_or(&[0; 32], |key| &key.sha256);
        let equal = bool::from(expected.ct_eq(sha256));
        key.filter(|_| equal).map(|key| &key.caller)
    }

    /// The tenant whose public things a host shows.
    pub(super) fn tenant_of_host(&self, host: &str) -> Option<&TenantId> {
        self.hosts.get(host)
    }

    /// What a tenant may use: the strictest that any of its keys names.
    pub(super) fn quotas(&self, tenant: &TenantId) -> Quotas {
        self.quotas.get(tenant).copied().unwrap_or_default()
    }
}

/// Everything that is wrong with a `keys.toml`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Broken(Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Entry>,
    #[serde(default)]
    hosts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    sha256: String,
    tenant: String,
    principal: Option<String>,
    scopes: Vec<String>,
    #[serde(default)]
    quotas: Quotas,
}

impl FromStr for Keys {
    type Err = Broken;

    fn from_str(text: &str) -> Result<Self, Broken> {
        let File { keys: entries, hosts } =
            toml::from_str(text).map_err(|error| Broken(vec![error.to_string().trim_end().to_owned()]))?;
        let mut keys = Self::default();
        let mut mistakes = Vec::new();
        let mut per_principal = BTreeMap::<_, usize>::new();
        for entry in entries {
            let id = entry.id.clone();
            let quotas = entry.quotas;
            match entry.parse() {
                Ok(key) => {
                    let count = per_principal.entry((key.caller.tenant.clone(), key.caller.principal.clone()));
                    *count.or_default() += 1;
                    let limits = keys.quotas.entry(key.caller.tenant.clone()).or_default();
                    *limits = limits.and(quotas);
                    if keys.by_id.insert(id.as_str().into(), key).is_some() {
                        mistakes.push(format!("key {id}: two keys have this id"));
                    }
                }
                Err(invalid) => mistakes.push(format!("key {id}: {invalid}")),
            }
        }
        for ((tenant, principal), count) in per_principal {
            if count > KEYS_PER_PRINCIPAL {
                mistakes.push(format!(
                    "principal {principal} of tenant {tenant} has {count} keys: {KEYS_PER_PRINCIPAL} at most"
                ));
            }
        }
        for (host, tenant) in hosts {
            match tenant.parse() {
                Ok(tenant) => drop(keys.hosts.insert(host.to_ascii_lowercase().into(), tenant)),
                Err(invalid) => mistakes.push(format!("host {host}: {invalid}")),
            }
        }
        if mistakes.is_empty() { Ok(keys) } else { Err(Broken(mistakes)) }
    }
}

impl Entry {
    fn parse(self) -> Result<Key, Invalid> {
        let Self { id, sha256, tenant, principal, scopes, quotas: _ } = self;
        check_id(&id)?;
        let sha256 = unhex(&sha256)
            .ok_or_else(|| invalid("sha256", "must be 64 hexadecimal digits: the SHA-256 of the key's secret"))?;
        let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
        if scopes.is_empty() {
            return Err(invalid("scopes", "must name at least one scope"));
        }
        let principal = principal.unwrap_or(id);
        if principal.is_empty() || principal.len() > 128 || principal.chars().any(char::is_control) {
            return Err(invalid("principal", "must be 1 to 128 bytes without control characters"));
        }
        Ok(Key { sha256, caller: Caller::keyed(tenant.parse()?, principal, scopes) })
    }
}

/// A key as its holder sends it: `annals_<id>_<secret>`.
#[derive(Clone)]
pub(super) struct KeyText {
    id: Box<str>,
    secret: Box<str>,
}

impl KeyText {
    /// A new key that nobody has.
    pub(super) fn random() -> Self {
        let mut bytes = [0_u8; 36];
        getrandom::fill(&mut bytes).expect("the system gives random bytes");
        let (id, secret) = bytes.split_at(4);
        Self { id: hex(id).into(), secret: hex(secret).into() }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn sha256(&self) -> Hash {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// The whole text, secret included.
    pub(super) fn expose(&self) -> String {
        format!("annals_{}_{}", self.id, self.secret)
    }
}

impl FromStr for KeyText {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let rule = || invalid("key", "must be `annals_<id>_<secret>` as `annals key new` prints it");
        let (id, secret) = text.strip_prefix("annals_").and_then(|rest| rest.split_once('_')).ok_or_else(rule)?;
        check_id(id).map_err(|_| rule())?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(32..=128).contains(&secret.len()) || !secret.bytes().all(legal) {
            return Err(rule());
        }
        Ok(Self { id: id.into(), secret: secret.into() })
    }
}

/// A new key and what makes it count.
pub struct GeneratedKey {
    /// The key text, for its holder only; it is kept nowhere.
    pub text: String,
    /// The entry for `keys.toml`, which holds a hash of the secret.
    pub entry: String,
}

impl GeneratedKey {
    /// A new random key for `principal` of `tenant`.
    pub(super) fn new(tenant: &TenantId, principal: &str, scopes: &[Scope]) -> Self {
        let key = KeyText::random();
        let scopes = scopes.iter().map(|scope| format!("\"{scope}\"")).collect::<Vec<_>>().join(", ");
        let entry = format!(
            "[[keys]]\nid = \"{}\"\nsha256 = \"{}\"\ntenant = \"{tenant}\"\nprincipal = \"{}\"\nscopes = [{scopes}]\n",
            key.id,
            hex(&key.sha256()),
            principal.replace('\\', r"\\").replace('"', "\\\""),
        );
        Self { text: key.expose(), entry }
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedKey").field("entry", &self.entry).finish_non_exhaustive()
    }
}

fn check_id(id: &str) -> Result<(), Invalid> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (1..=32).contains(&id.len()) && id.bytes().all(legal) {
        Ok(())
    } else {
        Err(invalid("id", "must be 1 to 32 bytes of [a-z0-9]"))
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = text.get(2 * at..2 * at + 2).filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

fn invalid(field: &str, rule: &str) -> Invalid {
    Invalid { field: field.to_owned(), rule: rule.to_owned() }
}
