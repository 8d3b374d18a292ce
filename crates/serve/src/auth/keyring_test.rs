//! Keys in files and headers: which count, and what they say about their caller.

use std::net::{Ipv4Addr, SocketAddr};

use futures::FutureExt as _;

use super::*;
use crate::auth::hex;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const PUBLIC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

fn tenant(text: &str) -> TenantId {
    text.parse().expect("a tenant")
}

fn generate(principal: &str, scopes: &[&str]) -> GeneratedKey {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
    Keyring::generate(&tenant("acme"), principal, &scopes)
}

fn ring(text: &str) -> Keyring {
    let keys = Arc::new(text.parse().expect("good keys"));
    Keyring::with("keys.toml".into(), PeerKey::mint(), Some(Arc::new(Loaded { text: text.to_owned(), keys })))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, text)| (http::HeaderName::from_static(name), text.parse().expect("ASCII"))).collect()
}

fn bearer_of(text: &str) -> String {
    format!("Bearer {text}")
}

#[test]
fn a_generated_key_counts_once_its_entry_is_in_the_file() {
    let key = generate("importer \"one\"", &["write:onet", "events:read"]);
    let caller = ring(&key.entry).authenticate(&headers(&[("authorization", &bearer_of(&key.text))])).expect("good");
    assert_eq!((caller.tenant.as_str(), &*caller.principal), ("acme", "importer \"one\""));
    assert!(caller.may_read_events() && caller.may_write(&"onet".parse().expect("a namespace")));
    assert!(!key.entry.contains(key.text.rsplit('_').next().expect("a secret")));
}

#[test]
fn no_refusal_tells_which_part_of_a_key_was_wrong() {
    let key = generate("importer", &["read:*"]);
    let ring = ring(&key.entry);
    let (id, secret) = key.text["annals_".len()..].split_once('_').expect("id and secret");
    let refused = |authorization: &str| ring.authenticate(&headers(&[("authorization", authorization)]));
    for wrong in [
        bearer_of(&format!("annals_{id}_{}", secret.replace(|_: char| true, "0"))),
        bearer_of(&format!("annals_unknown_{secret}")),
        bearer_of("annals_"),
        bearer_of(""),
        format!("Basic {}", key.text),
        key.text.clone(),
    ] {
        assert_eq!(refused(&wrong).expect_err(&wrong), Refusal::unauthenticated(), "{wrong}");
    }
    assert_eq!(ring.authenticate(&HeaderMap::new()).expect_err("no key"), Refusal::unauthenticated());
    refused(&bearer_of(&key.text)).expect("the right one counts");
}

#[test]
fn every_mistake_in_the_file_is_told() {
    let sha256 = hex(&[7; 32]);
    let text = format!(
        "[[keys]]\nid = 'a'\nsha256 = 'short'\ntenant = 'acme'\nscopes = ['read:*']\n\
         [[keys]]\nid = 'b'\nsha256 = '{sha256}'\ntenant = 'ACME'\nscopes = ['read:*']\n\
         [[keys]]\nid = 'c'\nsha256 = '{sha256}'\ntenant = 'acme'\nscopes = ['own:*']\n\
         [[keys]]\nid = 'd'\nsha256 = '{sha256}'\ntenant = 'acme'\nscopes = []\n\
         [hosts]\n'acme.example' = 'A!'\n"
    );
    let told = text.parse::<Keys>().expect_err("five mistakes").to_string();
    for part in ["key a: sha256", "key b: tenant", "key c: scope", "key d: scopes", "host acme.example"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn a_principal_has_two_keys_at_most() {
    let entries = |count: usize| (0..count).map(|_| generate("importer", &["read:*"]).entry).collect::<String>();
    entries(2).parse::<Keys>().expect("two are for changing one for the other");
    let told = entries(3).parse::<Keys>().expect_err("three").to_string();
    assert_eq!(told, "principal importer of tenant acme has 3 keys: 2 at most");
}

#[test]
fn an_unknown_word_in_the_file_is_refused() {
    let told = "[[keys]]\nid = 'a'\nscope = ['read:*']".parse::<Keys>().expect_err("a misspelling").to_string();
    assert!(told.contains("unknown field `scope`"), "{told}");
}

#[test]
fn a_tenant_has_the_strictest_quota_that_a_key_of_it_names() {
    let with = |quotas: &str| generate("importer", &["read:*"]).entry + quotas;
    let text = with("quotas = { requests_per_second = 10 }\n")
        + &with("quotas = { requests_per_second = 5, concurrent_streams = 2 }\n");
    let quotas = ring(&text).quotas(&tenant("acme"));
    assert_eq!(quotas.requests_per_second.map(u64::from), Some(5));
    assert_eq!(quotas.concurrent_streams.map(u64::from), Some(2));
    assert_eq!(quotas.bytes_per_second, None);
    assert_eq!(ring(&text).quotas(&tenant("other")), Quotas::default());
}

#[test]
fn without_keys_loopback_is_open_and_every_other_address_refuses_to_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.toml");
    let open = Keyring::open(path.clone(), PeerKey::mint(), LOOPBACK).expect("loopback needs no keys");
    assert!(open.is_open());
    let caller = open.authenticate(&HeaderMap::new()).expect("the local user");
    assert_eq!((caller.tenant.as_str(), &*caller.principal), ("default", "local"));

    let told = Keyring::open(path.clone(), PeerKey::mint(), PUBLIC).err().expect("exposed").to_string();
    assert!(told.contains("0.0.0.0:8080") && told.contains("annals key new"), "{told}");
    std::fs::write(&path, generate("importer", &["read:*"]).entry).expect("writable");
    let keyed = Keyring::open(path, PeerKey::mint(), PUBLIC).expect("there is a key");
    assert!(!keyed.is_open());
}

#[test]
fn a_key_that_does_not_exist_is_refused_even_where_none_is_needed() {
    let open = Keyring::without_keys("keys.toml".into(), PeerKey::mint());
    let key = generate("importer", &["read:*"]);
    open.authenticate(&headers(&[("authorization", &bearer_of(&key.text))])).expect_err("it never counted");
}

#[test]
fn a_named_file_that_is_not_there_is_a_mistake() {
    let told = Keyring::open_existing("nowhere/keys.toml".into(), PeerKey::mint()).err().expect("absent").to_string();
    assert_eq!(told, "nowhere/keys.toml cannot be read");
}

#[test]
fn only_a_peer_may_name_another_tenant() {
    let key = generate("importer", &["admin:*"]);
    let ring = ring(&key.entry);
    let named = |authorization: &str, tenant: &str| {
        ring.authenticate(&headers(&[("authorization", authorization), ("annals-tenant", tenant)]))
    };
    let own = bearer_of(&key.text);
    assert_eq!(named(&own, "acme").expect("its own").tenant.as_str(), "acme");
    assert_eq!(named(&own, "other").expect_err("not its own").reason_name(), "PERMISSION_DENIED");

    let mut signed = HeaderMap::new();
    ring.credentials().sign_for(&mut signed, &tenant("other"));
    let peer = ring.authenticate(&signed).expect("the peer key");
    assert!(peer.is_peer());
    assert_eq!(peer.tenant.as_str(), "other");
}

#[test]
fn a_call_without_a_key_that_a_peer_passes_on_has_the_anonymous_rights() {
    let ring = ring(&generate("importer", &["read:*"]).entry);
    let mut signed = headers(&[("annals-tenant", "victim")]);
    ring.credentials().sign_anonymous(&mut signed, &tenant("acme"));
    let caller = ring.authenticate(&signed).expect("the peer key");
    assert!(caller.is_anonymous() && !caller.is_peer());
    assert_eq!(caller.tenant.as_str(), "acme");
}

#[test]
fn nobody_but_a_peer_may_pass_on_an_anonymous_call() {
    let key = generate("importer", &["admin:*"]);
    let claim = ("annals-caller", "anonymous; tenant=acme");
    let keyed = ring(&key.entry).authenticate(&headers(&[("authorization", &bearer_of(&key.text)), claim]));
    assert_eq!(keyed.expect_err("not a peer").reason_name(), "PERMISSION_DENIED");
    let open = Keyring::without_keys("keys.toml".into(), PeerKey::mint());
    assert_eq!(open.authenticate(&headers(&[claim])).expect_err("not a peer").reason_name(), "PERMISSION_DENIED");
}

#[test]
fn a_malformed_claim_of_a_peer_is_refused_by_name() {
    let ring = ring(&generate("importer", &["read:*"]).entry);
    for text in ["root; tenant=acme", "anonymous", "anonymous; tenant=", "anonymous; tenant=A!"] {
        let mut signed = headers(&[("annals-caller", text)]);
        ring.credentials().sign(&mut signed);
        let refusal = ring.authenticate(&signed).expect_err(text);
        assert_eq!(refusal.violations[0].field, "annals-caller", "{text}");
    }
}

#[test]
fn a_scope_in_the_file_makes_a_peer_too() {
    let key = generate("search", &["peer"]);
    let caller = ring(&key.entry).authenticate(&headers(&[("authorization", &bearer_of(&key.text))])).expect("good");
    assert!(caller.is_peer());
}

#[test]
fn a_host_shows_its_tenant_whatever_its_port_and_letter_case() {
    let ring = ring("[hosts]\n\"Acme.example\" = \"acme\"\n");
    let of = |host: &str| ring.tenant_of_host(host).map(|tenant| tenant.to_string());
    assert_eq!(of("acme.EXAMPLE:8080"), Some("acme".to_owned()));
    assert_eq!(of("acme.example"), Some("acme".to_owned()));
    assert_eq!(of("evil.example"), None);
}

#[test]
fn a_changed_file_counts_and_a_broken_or_missing_one_leaves_the_old_keys() {
    let (old, new) = (generate("old", &["read:*"]), generate("new", &["read:*"]));
    let ring = ring(&old.entry);
    let counts = |key: &GeneratedKey| ring.authenticate(&headers(&[("authorization", &bearer_of(&key.text))])).is_ok();

    assert_eq!(ring.look(Ok(old.entry.clone())), Ok(Looked::Same));
    ring.look(Ok("nonsense".to_owned())).expect_err("broken");
    ring.look(Err(io::ErrorKind::NotFound.into())).expect_err("missing");
    assert!(counts(&old) && !ring.is_open());

    assert_eq!(ring.look(Ok(new.entry.clone())), Ok(Looked::Changed));
    assert!(counts(&new) && !counts(&old));
}

#[test]
fn keys_that_appear_close_an_open_server() {
    let ring = Keyring::without_keys("keys.toml".into(), PeerKey::mint());
    assert_eq!(ring.look(Err(io::ErrorKind::NotFound.into())), Ok(Looked::Same));
    assert_eq!(ring.look(Ok(generate("first", &["read:*"]).entry)), Ok(Looked::Changed));
    ring.authenticate(&HeaderMap::new()).expect_err("a key is needed now");
}

#[tokio::test(start_paused = true)]
async fn the_watch_reads_a_file_that_appears_and_ends_when_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.toml");
    let ring = Keyring::open(path.clone(), PeerKey::mint(), LOOPBACK).expect("loopback");
    let cancel = CancellationToken::new();
    let mut watch = ring.clone().watch(cancel.clone()).boxed();
    assert!(futures::poll!(&mut watch).is_pending());
    std::fs::write(&path, generate("first", &["read:*"]).entry).expect("writable");
    let closed = async {
        while ring.is_open() {
            tokio::task::yield_now().await;
            tokio::time::advance(LOOK_EVERY).await;
        }
        cancel.cancel();
    };
    tokio::join!(watch, closed);
    assert!(!ring.is_open());
}
