//! What each kind of caller may do.

use super::*;

fn ns(text: &str) -> Namespace {
    text.parse().expect("a namespace")
}

fn tenant() -> TenantId {
    "acme".parse().expect("a tenant")
}

fn keyed(scopes: &[&str]) -> Caller {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
    Caller::keyed(tenant(), "importer", scopes)
}

#[test]
fn a_right_includes_the_lesser_ones_and_no_other() {
    let rights = |scope: &str| {
        let caller = keyed(&[scope]);
        [caller.may_read(&ns("onet")), caller.may_write(&ns("onet")), caller.may_admin(&ns("onet"))]
    };
    assert_eq!(rights("read:onet"), [true, false, false]);
    assert_eq!(rights("write:onet"), [true, true, false]);
    assert_eq!(rights("admin:onet"), [true, true, true]);
    assert_eq!(rights("events:read"), [false, false, false]);
}

#[test]
fn a_pattern_is_one_namespace_or_those_below_it_or_all() {
    let reads = |scope: &str, name: &str| keyed(&[scope]).may_read(&ns(name));
    assert!(reads("read:github.com", "github.com"));
    assert!(!reads("read:github.com", "github.com/repos"));
    assert!(reads("read:github.com/*", "github.com/repos"));
    assert!(reads("read:github.com/*", "github.com/repos/more"));
    assert!(!reads("read:github.com/*", "github.com"));
    assert!(!reads("read:github.com/*", "github.community/repos"));
    assert!(reads("read:*", "anything"));
}

#[test]
fn scopes_are_read_as_they_are_written() {
    for text in ["read:onet", "write:github.com/*", "admin:*", "events:read", "events:write", "peer"] {
        assert_eq!(text.parse::<Scope>().expect(text).to_string(), text);
    }
    for text in ["", "read", "read:", "own:onet", "events:admin", "events:*", "peer:*", "read:NS", "read:*/x"] {
        text.parse::<Scope>().expect_err(text);
    }
}

#[test]
fn events_are_for_their_own_scopes() {
    let reader = keyed(&["events:read", "admin:*"]);
    assert!(reader.may_read_events() && !reader.may_write_events());
    let refusal = reader.require_write_events().expect_err("only reads");
    assert_eq!(refusal.message, "the key lacks the scope events:write");
}

#[test]
fn a_peer_reads_all_and_moves_events_but_writes_no_thing() {
    let peer = Caller::peer(tenant());
    assert!(peer.is_peer() && peer.may_read(&ns("onet")) && peer.may_read_events() && peer.may_write_events());
    assert!(!peer.may_write(&ns("onet")) && !peer.may_admin(&ns("onet")));
}

#[test]
fn an_anonymous_caller_has_no_right_and_is_asked_for_a_key() {
    let anonymous = Caller::anonymous(tenant());
    assert!(!anonymous.may_read(&ns("onet")) && !anonymous.may_read_events() && !anonymous.is_peer());
    assert_eq!(anonymous.require_write(&ns("onet")), Err(Refusal::unauthenticated()));
}

#[test]
fn the_local_user_is_admin_of_the_default_tenant_but_no_peer() {
    let local = Caller::local();
    assert_eq!(local.tenant.as_str(), "default");
    assert!(local.may_admin(&ns("onet")) && local.may_write_events() && !local.is_peer());
}

#[test]
fn a_request_that_came_past_the_ring_is_our_defect() {
    let refusal = Caller::of(&Extensions::new()).expect_err("no caller");
    assert_eq!(refusal.reason_name(), "INTERNAL");
}
