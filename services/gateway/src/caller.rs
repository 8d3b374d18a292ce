//! In whose name a request is put to the services.
//!
//! Owns what is added to and taken from a request's headers for that. Never checks a key: every service does.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Uri};
use proto::common::v1::Reason;
use serve::auth::{CALLER_HEADER, Credentials, TENANT_HEADER};
use serve::{Context, Keyring, Refusal};

/// Who calls, by headers and host.
#[derive(Clone)]
pub(crate) struct Callers {
    keyring: Keyring,
    credentials: Credentials,
}

impl Callers {
    pub(crate) fn new(context: &Context) -> Self {
        Self { keyring: context.keyring.clone(), credentials: context.credentials() }
    }

    /// Whether the host that was asked is one to answer for. Without keys everybody on this machine is admin, so a page
    /// of a stranger's whose name leads here (DNS rebinding) and a proxy that opens this port to others must not be
    /// taken for somebody on it.
    pub(crate) fn admit(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        if !self.keyring.is_open() || host(headers, uri).is_none_or(is_loopback) {
            return Ok(());
        }
        let message = "without keys only localhost is answered for: make a key with `annals key new`";
        Err(Refusal::new(Reason::PermissionDenied, message))
    }

    /// The headers of a call in the name of whoever sent `request`, and nothing else of it.
    pub(crate) fn headers(&self, request: &Parts) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = request.headers.get(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, key.clone());
        } else {
            self.sign(&mut headers, host(&request.headers, &request.uri));
        }
        headers
    }

    /// Makes `headers` of a request those of a call: what only services of Annals may say is taken out, and who has no
    /// key is somebody anonymous where the host is mapped to a tenant.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap, uri: &Uri) {
        headers.remove(CALLER_HEADER);
        headers.remove(TENANT_HEADER);
        if headers.contains_key(AUTHORIZATION) {
            return;
        }
        let host = host(headers, uri).map(str::to_owned);
        self.sign(headers, host.as_deref());
    }

    fn sign(&self, headers: &mut HeaderMap, host: Option<&str>) {
        if let Some(tenant) = host.and_then(|host| self.keyring.tenant_of_host(host)) {
            self.credentials.sign_anonymous(headers, &tenant);
        }
    }
}

/// The host that was asked: `:authority` of HTTP/2, `Host` of HTTP/1.1.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    uri.authority().map(http::uri::Authority::as_str).or_else(|| headers.get(HOST)?.to_str().ok())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use domain::Clock;
    use serve::Keyring;
    use serve::auth::PeerKey;

    use super::*;

    fn callers(keys: &str) -> Callers {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.toml");
        std::fs::write(&path, keys).unwrap();
        let keyring = Keyring::open(path, PeerKey::mint(), "127.0.0.1:0".parse().unwrap()).unwrap();
        Callers::new(&Context::new(Clock::system(), keyring, directory.path().to_owned()))
    }

    fn passed_on(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers: HeaderMap =
            sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        callers("[hosts]\n\"open.example\" = \"acme\"\n").pass_on(&mut headers, &Uri::from_static("/x/y"));
        headers
    }

    #[test]
    fn only_services_may_say_for_whom_they_call() {
        let sent = [("annals-caller", "anonymous; tenant=other"), ("annals-tenant", "other"), ("host", "else.example")];
        let headers = passed_on(&sent);
        assert!(!headers.contains_key(CALLER_HEADER) && !headers.contains_key(TENANT_HEADER));
        assert!(!headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_request_without_a_key_is_anonymous_where_the_host_is_mapped() {
        let headers = passed_on(&[("host", "open.example:8080"), ("annals-tenant", "other")]);
        assert_eq!(headers[CALLER_HEADER], "anonymous; tenant=acme");
        assert!(headers.contains_key(AUTHORIZATION) && !headers.contains_key(TENANT_HEADER));
    }

    #[test]
    fn a_key_is_passed_on_unchanged() {
        let headers = passed_on(&[("host", "open.example"), ("authorization", "Bearer nonsense")]);
        assert_eq!(headers[AUTHORIZATION], "Bearer nonsense");
        assert!(!headers.contains_key(CALLER_HEADER));
    }

    #[test]
    fn without_keys_only_loopback_is_answered_for() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "a.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "10.0.0.1", "localhost.evil.example", "[fe80::1]", ""] {
            assert!(!is_loopback(host), "{host}");
        }
        let open = Callers::new(&Context::local(Clock::system(), std::path::PathBuf::from(".")));
        let asked = |host: &'static str| [(HOST, host.parse().unwrap())].into_iter().collect::<HeaderMap>();
        let uri = Uri::from_static("/x/y");
        assert!(open.admit(&asked("evil.example"), &uri).is_err());
        assert!(open.admit(&asked("127.0.0.1:1"), &uri).is_ok() && open.admit(&HeaderMap::new(), &uri).is_ok());
        assert!(callers("").admit(&asked("a.example"), &uri).is_ok());
    }
}
