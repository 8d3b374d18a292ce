//! Namespaces, and names that would hide each other.

use domain::{Condition, Style};
use proto::common::v1::Reason;

use super::bed::{Bed, call, foreigner, keyed, name, note, ns, owner};

pub(crate) async fn a_registration_can_be_repeated(bed: Bed) {
    let first = bed.things.register_namespace(call(&owner()), ns("a/b"), Style::Literal).await.unwrap();
    bed.clock.advance(1_000);
    let second = bed.things.register_namespace(call(&owner()), ns("a/b"), Style::Literal).await.unwrap();
    assert_eq!(first, second);
}

pub(crate) async fn a_registered_style_is_fixed(bed: Bed) {
    bed.register("a/b", Style::Literal).await.unwrap();
    assert_eq!(bed.register("a/b", Style::Wiki).await.unwrap_err(), Reason::NamespaceStyleFixed);
    bed.put("onet/a", "one").await;
    assert_eq!(bed.register("onet", Style::Literal).await.unwrap_err(), Reason::NamespaceStyleFixed);
}

pub(crate) async fn a_path_of_two_segments_registers_its_namespace(bed: Bed) {
    bed.put("onet/a_b", "one").await;
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/a b"]);
    bed.register("onet", Style::Wiki).await.unwrap();
}

pub(crate) async fn a_key_in_a_namespace_of_one_segment_registers_it(bed: Bed) {
    bed.put("onet:a/b/c", "one").await;
    assert_eq!(bed.get(&owner(), "onet/a/b/c").await.unwrap().key.ns.as_str(), "onet");
}

pub(crate) async fn a_longer_path_in_no_namespace_is_refused_and_told_how_to_register(bed: Bed) {
    let put = bed.things.put_thing(call(&owner()), name("a/b/c"), note("one"), Condition::None);
    let refusal = put.await.unwrap_err();
    assert_eq!(refusal.reason, Reason::NamespaceUnregistered);
    assert!(refusal.message.contains("PUT /_/namespaces/"), "{}", refusal.message);
}

pub(crate) async fn a_key_in_an_unregistered_namespace_of_two_segments_is_refused(bed: Bed) {
    let put = bed.things.put_thing(call(&owner()), name("a/b:c"), note("one"), Condition::None);
    let refusal = put.await.unwrap_err();
    assert_eq!(refusal.reason, Reason::NamespaceUnregistered);
    assert!(refusal.message.contains("PUT /_/namespaces/a/b"), "{}", refusal.message);
}

pub(crate) async fn the_longest_namespace_wins(bed: Bed) {
    for named in ["a", "a/b", "a/b/c"] {
        bed.register(named, Style::Wiki).await.unwrap();
    }
    for (path, expected) in [("a/b/c/d/e", "a/b/c"), ("a/b/c", "a/b"), ("a/b/x/y", "a/b"), ("a/x", "a")] {
        assert_eq!(bed.put(path, "one").await.state.key.ns.as_str(), expected, "{path}");
    }
}

pub(crate) async fn a_namespace_over_a_name_is_refused(bed: Bed) {
    bed.put("a:b/c", "one").await;
    assert_eq!(bed.register("a/b", Style::Wiki).await.unwrap_err(), Reason::NameShadowed);
    bed.register("a/b/c", Style::Wiki).await.unwrap();
}

pub(crate) async fn a_namespace_over_a_deleted_name_is_refused(bed: Bed) {
    bed.put("a:b/c/d", "one").await;
    bed.delete("a:b/c/d").await.unwrap();
    assert_eq!(bed.register("a/b/c", Style::Literal).await.unwrap_err(), Reason::NameShadowed);
    assert_eq!(bed.register("a/b", Style::Literal).await.unwrap_err(), Reason::NameShadowed);
}

pub(crate) async fn a_namespace_over_a_relationship_is_refused(bed: Bed) {
    bed.put("x/y", "one").await;
    bed.link("a:b/c", "x/y", "x/y").await.unwrap();
    assert_eq!(bed.register("a/b", Style::Wiki).await.unwrap_err(), Reason::NameShadowed);
}

pub(crate) async fn a_name_under_a_longer_namespace_is_refused(bed: Bed) {
    bed.register("a/b", Style::Wiki).await.unwrap();
    assert_eq!(bed.put_as(&owner(), "a:b/c", note("one")).await.unwrap_err(), Reason::NameShadowed);
    bed.put("a:b", "one").await;
    bed.put("a:bc/d", "one").await;
}

pub(crate) async fn a_namespace_beside_a_name_is_registered(bed: Bed) {
    for named in ["a:b", "a:b-c/d", "a:b.c/d", "a:b0/d", "a:B/d"] {
        bed.put(named, "one").await;
    }
    bed.register("a/b", Style::Wiki).await.unwrap();
}

pub(crate) async fn of_a_racing_name_and_namespace_one_wins(bed: Bed) {
    for round in 0..30 {
        let (named, namespace) = (format!("a:{round}/c"), format!("a/{round}"));
        let owner = owner();
        let put = bed.put_as(&owner, &named, note("one"));
        let register = bed.register(&namespace, Style::Wiki);
        let won = if round % 2 == 0 {
            futures::join!(put, register)
        } else {
            let (register, put) = futures::join!(register, put);
            (put, register)
        };
        match won {
            (Ok(_), Err(Reason::NameShadowed)) | (Err(Reason::NameShadowed), Ok(())) => {}
            other => panic!("one of the two wins, not {other:?}"),
        }
    }
}

pub(crate) async fn a_refused_put_registers_nothing(bed: Bed) {
    let refused = bed.put_if("new/a", "one", Condition::UpdateOnly).await;
    assert_eq!(refused.unwrap_err().reason, Reason::NotFound);
    bed.register("new", Style::Literal).await.unwrap();
}

pub(crate) async fn tenants_register_for_themselves(bed: Bed) {
    bed.register("a/b", Style::Literal).await.unwrap();
    assert_eq!(bed.put_as(&foreigner(), "a/b/c", note("one")).await.unwrap_err(), Reason::NamespaceUnregistered);
    bed.register_as(&foreigner(), "a/b", Style::Wiki).await.unwrap();
    let somebody = keyed(&["admin:a/b"]);
    bed.register_as(&somebody, "a/b", Style::Literal).await.unwrap();
}
