//! Relationships.

use domain::{Condition, Data, RelationshipBody, Visibility};
use proto::common::v1::Reason;
use proto::convert::NewRelationship;

use super::bed::{Bed, anonymous, call, edge, keyed, name, note, owner, private, reason};
use crate::change::{Change, Outcome, Sequence, Write};
use crate::list::PageRequest;
use crate::relationships::MAX_OUTGOING;
use crate::store::Direction;

async fn ends(bed: &Bed) {
    for named in ["onet/a", "onet/b", "onet/c"] {
        bed.put(named, "one").await;
    }
}

pub(crate) async fn a_relationship_is_read_back_as_it_was_given(bed: Bed) {
    ends(&bed).await;
    let data = Some(Data::parse(r#"{"weight":0.50}"#).unwrap());
    let new =
        NewRelationship { visibility: Visibility::Unlisted, data: data.clone(), ..edge("r/x", "onet/a", "onet:b") };
    let put = bed.things.put_relationship(call(&owner()), new, Condition::None).await.unwrap();
    let read = bed.relationship(&owner(), "r:x").await.unwrap();
    assert_eq!(read, put.state);
    let RelationshipBody { from, to, visibility, data: kept, .. } = read.body;
    assert_eq!((from.to_string().as_str(), to.to_string().as_str()), ("onet/a", "onet/b"));
    assert_eq!((visibility, kept), (Visibility::Unlisted, data));
}

pub(crate) async fn an_end_must_exist(bed: Bed) {
    ends(&bed).await;
    for (from, to) in [("onet/x", "onet/a"), ("onet/a", "onet:x"), ("none/a", "onet/a"), ("a/b/c", "onet/a")] {
        assert_eq!(bed.link("onet/r", from, to).await.unwrap_err(), Reason::EndMissing, "{from} {to}");
    }
}

pub(crate) async fn a_relationship_may_not_lead_to_what_the_caller_does_not_see(bed: Bed) {
    ends(&bed).await;
    bed.put_as(&owner(), "secret/s", private("one")).await.unwrap();
    let writer = keyed(&["write:onet"]);
    let new = |to| edge("onet/r", "onet/a", to);
    let hidden = bed.things.put_relationship(call(&writer), new("secret/s"), Condition::None).await.unwrap_err();
    let absent = bed.things.put_relationship(call(&writer), new("secret/t"), Condition::None).await.unwrap_err();
    assert_eq!(hidden.reason, Reason::EndMissing);
    assert_eq!(hidden.message.replace("secret/s", "secret/t"), absent.message);
    let reader = keyed(&["write:onet", "read:secret"]);
    bed.link_as(&reader, "onet/r", "onet/a", "secret/s").await.unwrap();
}

pub(crate) async fn an_equal_relationship_writes_nothing(bed: Bed) {
    ends(&bed).await;
    let first = bed.link("onet/r", "onet/a", "onet/b").await.unwrap();
    let second = bed.link("onet/r", "onet:a", "onet/b").await.unwrap();
    assert_eq!((second.outcome, second.state.etag), (Outcome::Unchanged, first.state.etag));
    assert_eq!(bed.mutations().await.len(), 4);
}

pub(crate) async fn a_changed_end_moves_the_relationship(bed: Bed) {
    ends(&bed).await;
    bed.link("onet/r", "onet/a", "onet/b").await.unwrap();
    let moved = bed.link("onet/r", "onet/c", "onet/b").await.unwrap();
    assert_eq!(moved.outcome, Outcome::Replaced);
    assert_eq!(bed.at(&owner(), "onet/a", Direction::Both).await.unwrap(), Vec::<String>::new());
    assert_eq!(bed.at(&owner(), "onet/c", Direction::Outgoing).await.unwrap(), ["onet/r"]);
}

pub(crate) async fn relationships_are_listed_by_direction_and_type(bed: Bed) {
    ends(&bed).await;
    bed.link("z/out", "onet/a", "onet/b").await.unwrap();
    bed.link("y/in", "onet/b", "onet/a").await.unwrap();
    let other = NewRelationship { relationship_type: "knows".parse().unwrap(), ..edge("x/out", "onet/a", "onet/c") };
    bed.things.put_relationship(call(&owner()), other, Condition::None).await.unwrap();
    let at = async |direction| bed.at(&owner(), "onet/a", direction).await.unwrap();
    assert_eq!(at(Direction::Both).await, ["x/out", "y/in", "z/out"]);
    assert_eq!(at(Direction::Outgoing).await, ["x/out", "z/out"]);
    assert_eq!(at(Direction::Incoming).await, ["y/in"]);
    let page = PageRequest { size: 50, token: String::new(), question: Vec::new() };
    let knows = Some("knows".parse().unwrap());
    let who = owner();
    let listed = bed.things.list_relationships(&who, name("onet/a"), Direction::Both, knows, false, &page);
    let (listed, _) = listed.await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

pub(crate) async fn relationships_are_listed_page_by_page(bed: Bed) {
    ends(&bed).await;
    for number in 0..7 {
        bed.link(&format!("onet/{number}"), "onet/a", "onet/b").await.unwrap();
    }
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = PageRequest { size: 3, token, question: Vec::new() };
        let listed = bed
            .things
            .list_relationships(&owner(), name("onet/b"), Direction::Both, None, false, &page)
            .await
            .unwrap()
            .0;
        all.extend(listed.items.into_iter().map(|(found, _)| found.name.id.as_str().to_owned()));
        token = listed.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(all, ["0", "1", "2", "3", "4", "5", "6"]);
}

pub(crate) async fn a_relationship_with_itself_is_listed_once(bed: Bed) {
    ends(&bed).await;
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    assert_eq!(bed.at(&owner(), "onet/a", Direction::Both).await.unwrap(), ["onet/r"]);
}

pub(crate) async fn relationships_at_an_absent_thing_are_not_found(bed: Bed) {
    assert_eq!(bed.at(&owner(), "onet/a", Direction::Both).await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn a_deleted_relationship_is_absent(bed: Bed) {
    ends(&bed).await;
    let put = bed.link("onet/r", "onet/a", "onet/b").await.unwrap();
    let deleted = bed.unlink("onet/r").await.unwrap();
    assert!(deleted.ulid > put.state.etag.0);
    assert_eq!(bed.relationship(&owner(), "onet/r").await.unwrap_err(), Reason::NotFound);
    assert_eq!(bed.unlink("onet/r").await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn things_and_relationships_have_name_spaces_of_their_own(bed: Bed) {
    ends(&bed).await;
    bed.link("onet/a", "onet/a", "onet/b").await.unwrap();
    bed.unlink("onet/a").await.unwrap();
    bed.get(&anonymous(), "onet/a").await.unwrap();
}

pub(crate) async fn the_ten_thousandth_outgoing_relationship_is_the_last(bed: Bed) {
    ends(&bed).await;
    for thousand in 0..MAX_OUTGOING / 1_000 {
        let numbers = thousand * 1_000..(thousand + 1) * 1_000;
        let relationships = numbers.map(|number| edge(&format!("onet/{number}"), "onet/a", "onet/b"));
        let put = |relationship| Change::PutRelationship { relationship, condition: Condition::None };
        let provenance = call(&owner()).provenance;
        let write = Write {
            caller: owner(),
            provenance,
            changes: relationships.map(put).collect(),
            sequence: Sequence::default(),
            part: None,
        };
        let answers = bed.store.things.write(write).await.unwrap();
        assert!(answers.iter().all(|answer| reason(answer.clone()).is_ok()));
    }
    assert_eq!(bed.link("onet/more", "onet/a", "onet/b").await.unwrap_err(), Reason::RelationshipsExhausted);
    bed.link("onet/more", "onet/b", "onet/a").await.unwrap();
    bed.link("onet/7", "onet/a", "onet/c").await.unwrap();
}

pub(crate) async fn a_variant_has_the_relationships_of_nothing(bed: Bed) {
    ends(&bed).await;
    bed.put_as(&owner(), "onet/a#es", note("uno")).await.unwrap();
    bed.link("onet/r", "onet/a", "onet/b").await.unwrap();
    bed.delete("onet/a#es").await.unwrap();
    assert_eq!(bed.at(&owner(), "onet/a", Direction::Both).await.unwrap(), ["onet/r"]);
}
