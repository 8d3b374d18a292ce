//! Who sees what.

use domain::{Condition, Visibility};
use proto::common::v1::Reason;
use proto::convert::NewRelationship;
use serve::Caller;

use super::bed::{Bed, anonymous, call, edge, foreigner, keyed, name, note, owner, private, unlisted};
use crate::store::{Direction, Read, Wanted};

async fn furnished(bed: &Bed) {
    bed.put_as(&owner(), "onet/public", note("one")).await.unwrap();
    bed.put_as(&owner(), "onet/private", private("two")).await.unwrap();
    bed.put_as(&owner(), "onet/unlisted", unlisted("three")).await.unwrap();
}

/// The first letters of what a caller gets by name.
async fn got(bed: &Bed, who: &Caller) -> String {
    let mut got = String::new();
    for named in ["public", "private", "unlisted"] {
        if bed.get(who, &format!("onet/{named}")).await.is_ok() {
            got.push_str(&named[..2]);
        }
    }
    got
}

pub(crate) async fn a_private_thing_is_not_found_like_an_absent_one(bed: Bed) {
    furnished(&bed).await;
    let refusal = async |named| bed.things.get_thing(&anonymous(), name(named), vec![], false).await.unwrap_err();
    let (hidden, mut absent) = (refusal("onet/private").await, refusal("onet/praying").await);
    absent.message = absent.message.replace("praying", "private");
    assert_eq!(hidden, absent);
}

pub(crate) async fn an_unlisted_thing_is_found_by_exact_name_only(bed: Bed) {
    furnished(&bed).await;
    assert_eq!(got(&bed, &anonymous()).await, "puun");
    assert_eq!(bed.list(&anonymous(), "onet").await, ["onet/public"]);
}

pub(crate) async fn a_reader_sees_everything_in_the_namespace(bed: Bed) {
    furnished(&bed).await;
    for scope in ["read:onet", "write:onet", "admin:*", "peer"] {
        let reader = keyed(&[scope]);
        assert_eq!(got(&bed, &reader).await, "puprun", "{scope}");
        assert_eq!(bed.list(&reader, "onet").await, ["onet/private", "onet/public", "onet/unlisted"], "{scope}");
    }
}

pub(crate) async fn a_reader_of_another_namespace_sees_what_is_public(bed: Bed) {
    furnished(&bed).await;
    for scope in ["read:other", "read:onet/*", "events:read"] {
        assert_eq!(got(&bed, &keyed(&[scope])).await, "puun", "{scope}");
    }
}

pub(crate) async fn a_list_shows_what_is_public_to_those_who_may_not_read(bed: Bed) {
    furnished(&bed).await;
    assert_eq!(bed.list(&keyed(&["read:other"]), "onet").await, ["onet/public"]);
    assert_eq!(bed.list(&foreigner(), "onet").await, Vec::<String>::new());
}

pub(crate) async fn a_page_token_does_not_tell_of_hidden_things(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/b", private("two")).await.unwrap();
    assert_eq!(bed.page(&anonymous(), "onet", 1, "").await, (vec!["onet/a".to_owned()], String::new()));
    bed.put("onet/c", "three").await;
    let (_, token) = bed.page(&anonymous(), "onet", 1, "").await;
    assert_eq!(bed.page(&anonymous(), "onet", 1, &token).await, (vec!["onet/c".to_owned()], String::new()));
}

pub(crate) async fn variants_of_a_hidden_thing_are_not_listed(bed: Bed) {
    furnished(&bed).await;
    for named in ["onet/public#es", "onet/private#es", "onet/unlisted#es"] {
        bed.put(named, "uno").await;
    }
    assert_eq!(bed.list(&anonymous(), "onet").await, ["onet/public", "onet/public#es"]);
}

pub(crate) async fn a_relationship_is_hidden_with_an_end(bed: Bed) {
    furnished(&bed).await;
    bed.link("r/out", "onet/private", "onet/public").await.unwrap();
    bed.link("r/in", "onet/public", "onet/private").await.unwrap();
    bed.link("r/unlisted", "onet/public", "onet/unlisted").await.unwrap();
    for who in [anonymous(), keyed(&["read:r"]), foreigner()] {
        assert_eq!(bed.relationship(&who, "r/out").await.unwrap_err(), Reason::NotFound);
        assert_eq!(bed.relationship(&who, "r/in").await.unwrap_err(), Reason::NotFound);
        // Who names the relationship does not name its end.
        assert_eq!(bed.relationship(&who, "r/unlisted").await.unwrap_err(), Reason::NotFound);
    }
    bed.relationship(&keyed(&["read:onet"]), "r/out").await.unwrap();
}

pub(crate) async fn listed_relationships_have_both_ends_listed(bed: Bed) {
    furnished(&bed).await;
    bed.put("onet/other", "four").await;
    for to in ["private", "unlisted", "other"] {
        bed.link(&format!("r/{to}"), "onet/public", &format!("onet/{to}")).await.unwrap();
    }
    let hidden = NewRelationship { visibility: Visibility::Unlisted, ..edge("r/x", "onet/public", "onet/other") };
    bed.things.put_relationship(call(&owner()), hidden, Condition::None).await.unwrap();
    let at = async |who| bed.at(&who, "onet/public", Direction::Both).await.unwrap();
    assert_eq!(at(anonymous()).await, ["r/other"]);
    assert_eq!(at(keyed(&["read:onet"])).await, ["r/other", "r/private", "r/unlisted"]);
    assert_eq!(at(keyed(&["read:r"])).await, ["r/other", "r/x"]);
}

pub(crate) async fn relationships_at_a_hidden_thing_are_not_found(bed: Bed) {
    furnished(&bed).await;
    let at = async |thing| bed.at(&anonymous(), thing, Direction::Both).await;
    assert_eq!(at("onet/private").await.unwrap_err(), Reason::NotFound);
    assert_eq!(at("onet/unlisted").await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_foreign_thing_is_not_found(bed: Bed) {
    furnished(&bed).await;
    assert_eq!(got(&bed, &foreigner()).await, "");
    assert_eq!(bed.at(&foreigner(), "onet/public", Direction::Both).await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn hidden_things_take_no_room_in_a_batch(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private(&"x".repeat(1 << 20))).await.unwrap();
    bed.put("onet/b", "one").await;
    let names = ["onet/a", "onet/b"].map(|named| (name(named), "keys".to_owned())).to_vec();
    let wanted = Wanted { names, with_embedding: false, room: 10_000 };
    let reads = bed.store.things.read(&anonymous(), &wanted).await.unwrap();
    assert!(matches!(reads[..], [Read::Missing, Read::Found(..)]), "{reads:?}");
}
