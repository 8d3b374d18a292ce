//! Namespaces, and names that would hide each other.

use domain::{Condition, Style};
use proto::common::v1::Reason;

use super::bed::{Bed, anonymous, call, edge, foreigner, keyed, name, note, ns, owner, private, reason};
use crate::Call;
use crate::change::{Change, Sequence, Write};
use crate::list::PageRequest;
use crate::store::{Contents, Scope};

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

pub(crate) async fn a_namespace_tells_what_it_has_and_when_that_changed(bed: Bed) {
    bed.clock.advance(1_000);
    let first = bed.put("onet/a", "one").await.state.created_at;
    bed.put("onet/a#es", "uno").await;
    bed.put("onet/b", "one").await;
    bed.put("other/a", "one").await;
    bed.link("onet/a-b", "onet/a", "onet/b").await.unwrap();
    bed.clock.advance(1_000);
    let last = bed.delete("onet/b").await.unwrap().ulid;
    let (style, _, contents) = bed.things.get_namespace(&owner(), &ns("onet")).await.unwrap();
    assert_eq!(style, Style::Wiki);
    assert_eq!(contents, Contents { things: 2, relationships: Some(0), first: Some(first), last: Some(last) });
    bed.register("a/b", Style::Literal).await.unwrap();
    let (style, _, contents) = bed.things.get_namespace(&owner(), &ns("a/b")).await.unwrap();
    assert_eq!((style, contents), (Style::Literal, Contents { relationships: Some(0), ..Contents::default() }));
}

pub(crate) async fn a_namespace_is_told_to_its_readers_only(bed: Bed) {
    bed.put("onet/a", "one").await;
    let get = async |who| reason(bed.things.get_namespace(&who, &ns("onet")).await).map(drop);
    assert_eq!(get(keyed(&["read:onet"])).await, Ok(()));
    assert_eq!(get(keyed(&["read:other"])).await, Err(Reason::PermissionDenied));
    assert_eq!(get(foreigner()).await, Err(Reason::NotFound));
    let listed = async |who| {
        let page = PageRequest { size: 50, token: String::new(), question: Vec::new() };
        let listed = bed.things.list_namespaces(&who, Scope::All, &page).await.unwrap();
        listed.items.iter().map(|(ns, ..)| ns.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(keyed(&["read:onet"])).await, ["onet"]);
    for who in [keyed(&["read:other"]), anonymous(), foreigner()] {
        assert_eq!(listed(who).await, [""; 0]);
    }
}

pub(crate) async fn namespaces_are_listed_by_name_page_by_page(bed: Bed) {
    for named in ["a/b", "a", "a-b", "a/b/c", "b", "a0"] {
        bed.register(named, Style::Wiki).await.unwrap();
    }
    for (scope, expected) in [
        (Scope::All, vec!["a", "a-b", "a/b", "a/b/c", "a0", "b"]),
        (Scope::Under(ns("a")), vec!["a", "a/b", "a/b/c"]),
        (Scope::Under(ns("a/b")), vec!["a/b", "a/b/c"]),
        (Scope::Under(ns("none")), vec![]),
    ] {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = PageRequest { size: 2, token, question: Vec::new() };
            let listed = bed.things.list_namespaces(&owner(), scope.clone(), &page).await.unwrap();
            all.extend(listed.items.iter().map(|(ns, ..)| ns.to_string()));
            token = listed.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(all, expected, "{scope:?}");
    }
}

pub(crate) async fn a_namespace_that_never_had_a_name_can_be_taken_back(bed: Bed) {
    let delete = async |who, named: &str| reason(bed.things.delete_namespace(call(&who), ns(named)).await);
    assert_eq!(delete(owner(), "a/b").await, Err(Reason::NotFound));
    bed.register("a/b", Style::Literal).await.unwrap();
    assert_eq!(delete(keyed(&["write:a/b"]), "a/b").await, Err(Reason::PermissionDenied));
    assert_eq!(delete(foreigner(), "a/b").await, Err(Reason::NotFound));
    assert_eq!(delete(owner(), "a/b").await, Ok(()));
    assert_eq!(delete(owner(), "a/b").await, Err(Reason::NotFound));
    bed.register("a/b", Style::Wiki).await.unwrap();
    bed.put("a/b:c", "one").await;
    assert_eq!(delete(owner(), "a/b").await, Err(Reason::NamespaceNotEmpty));
    bed.delete("a/b:c").await.unwrap();
    assert_eq!(delete(owner(), "a/b").await, Err(Reason::NamespaceNotEmpty), "its history is spelled so");
}

pub(crate) async fn a_namespace_with_a_relationship_cannot_be_taken_back(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.link("links/a", "onet/a", "onet/a").await.unwrap();
    let gone = reason(bed.things.delete_namespace(call(&owner()), ns("links")).await);
    assert_eq!(gone, Err(Reason::NamespaceNotEmpty));
    assert!(bed.relationship(&owner(), "links/a").await.is_ok());
}

pub(crate) async fn a_namespace_does_not_count_relationships_for_who_may_not_see_their_ends(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    bed.clock.advance(1_000);
    bed.link("links/a", "onet/a", "onet/a").await.unwrap();
    let (.., contents) = bed.things.get_namespace(&keyed(&["read:links"]), &ns("links")).await.unwrap();
    assert_eq!(contents, Contents::default());
    let (.., contents) = bed.things.get_namespace(&owner(), &ns("links")).await.unwrap();
    assert_eq!(contents.relationships, Some(1));
}

pub(crate) async fn changes_of_one_write_find_a_namespace_as_those_before_left_it(bed: Bed) {
    bed.register("a/b", Style::Literal).await.unwrap();
    let delete = Change::DeleteThing { reference: name("a/b:none"), condition: Condition::None };
    let take_back = || Change::DeleteNamespace { ns: ns("a/b") };
    let register = Change::RegisterNamespace { ns: ns("a/b"), style: Style::Wiki };
    let put = Change::PutThing { reference: name("a/b:c"), body: note("one"), condition: Condition::None };
    let changes = vec![delete, take_back(), register, put, take_back()];
    let Call { caller, provenance } = call(&owner());
    let write = Write { caller, provenance, changes, sequence: Sequence::default(), part: None };
    let answers = bed.store.things.write(write).await.unwrap();
    let reasons: Vec<_> = answers.into_iter().map(|answer| reason(answer).err()).collect();
    assert_eq!(reasons, [Some(Reason::NotFound), None, None, None, Some(Reason::NamespaceNotEmpty)]);
    assert!(bed.get(&owner(), "a/b:c").await.is_ok());
    let (style, ..) = bed.things.get_namespace(&owner(), &ns("a/b")).await.unwrap();
    assert_eq!(style, Style::Wiki);
}

pub(crate) async fn a_name_that_is_made_on_the_way_registers_a_namespace_that_was_taken_back(bed: Bed) {
    bed.register("a", Style::Literal).await.unwrap();
    let put = Change::PutThing { reference: name("a:b"), body: note("one"), condition: Condition::None };
    let changes = vec![Change::DeleteNamespace { ns: ns("a") }, put];
    let Call { caller, provenance } = call(&owner());
    let write = Write { caller, provenance, changes, sequence: Sequence::default(), part: None };
    let answers = bed.store.things.write(write).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(bed.get(&owner(), "a:b").await.is_ok());
    let (style, _, contents) = bed.things.get_namespace(&owner(), &ns("a")).await.unwrap();
    assert_eq!((style, contents.things), (Style::Wiki, 1));
}

pub(crate) async fn names_may_lie_in_a_namespace_that_a_change_before_them_registers(bed: Bed) {
    let put = |path| Change::PutThing { reference: name(path), body: note("one"), condition: Condition::None };
    let link = Change::PutRelationship { relationship: edge("a/b/linked", "a/b/c", "a/b"), condition: Condition::None };
    let changes = vec![put("d/e/f"), put("a/b/c"), put("a/b"), put("a/b/c"), link];
    let Call { caller, provenance } = call(&owner());
    let write = Write { caller, provenance, changes, sequence: Sequence::default(), part: None };
    let answers = bed.store.things.write(write).await.unwrap();
    let reasons: Vec<_> = answers.into_iter().map(|answer| reason(answer).err()).collect();
    let nowhere = Some(Reason::NamespaceUnregistered);
    assert_eq!(reasons, [nowhere, nowhere, None, None, None]);
    assert!(bed.get(&owner(), "a:b/c").await.is_ok());
    assert!(bed.relationship(&owner(), "a:b/linked").await.is_ok());
}
