//! Listing things.

use domain::{Condition, Data, ThingBody, Visibility};
use proto::common::v1::Reason;
use proto::convert::NewRelationship;
use serve::Caller;

use super::bed::{Bed, anonymous, call, edge, name, note, ns, owner, private, reason};
use crate::change::{Change, Sequence, Write};
use crate::list::{PageRequest, SCAN};
use crate::store::{Direction, Order, RelationshipPage, RelationshipQuery, Scope, ThingFilter, ThingQuery};

/// All of one namespace.
fn of(named: &str) -> ThingFilter {
    ThingFilter::all_of(Scope::Exactly(ns(named)))
}

fn typed(named: &str, word: &str) -> ThingFilter {
    ThingFilter { thing_type: Some(word.parse().unwrap()), ..of(named) }
}

pub(crate) async fn things_are_listed_by_id_then_variant_as_bytes(bed: Bed) {
    for named in ["onet/b", "onet/a", "onet/ä", "onet/a#es", "onet/Z", "onet/a b", "onet/a#de", "onet/10", "onet/9"] {
        bed.put(named, "one").await;
    }
    let expected = ["onet/10", "onet/9", "onet/Z", "onet/a", "onet/a#de", "onet/a#es", "onet/a b", "onet/b", "onet/ä"];
    assert_eq!(bed.list(&owner(), "onet").await, expected);
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repetition(bed: Bed) {
    for number in 0..10 {
        bed.put(&format!("onet/{number}"), "one").await;
        bed.put(&format!("onet/{number}#es"), "uno").await;
    }
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (names, next) = bed.page(&owner(), "onet", 3, &token).await;
        all.extend(names);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(all, bed.list(&owner(), "onet").await);
}

pub(crate) async fn a_page_token_is_good_for_its_question_only(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.put(named, "one").await;
    }
    let (_, token) = bed.page(&owner(), "onet", 1, "").await;
    let page = PageRequest { size: 1, token, question: b"another".into() };
    let other = bed.things.list_things(&owner(), of("onet"), Order::Name, &page).await;
    assert_eq!(reason(other).unwrap_err(), Reason::PageTokenInvalid);
}

pub(crate) async fn a_list_can_be_of_one_type(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/b", ThingBody { thing_type: "Task".parse().unwrap(), ..note("two") }).await.unwrap();
    let page = PageRequest { size: 50, token: String::new(), question: Vec::new() };
    let listed = bed.things.list_things(&owner(), typed("onet", "Task"), Order::Name, &page).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].0.key.id.as_str(), "b");
}

pub(crate) async fn an_unregistered_namespace_lists_nothing(bed: Bed) {
    assert_eq!(bed.page(&owner(), "none", 50, "").await, (vec![], String::new()));
}

pub(crate) async fn a_page_ends_before_it_is_too_large(bed: Bed) {
    for number in 0..9 {
        bed.put(&format!("onet/{number}"), &"x".repeat(1 << 20)).await;
    }
    let (names, token) = bed.page(&owner(), "onet", 50, "").await;
    assert_eq!(names.len(), 7);
    let (rest, end) = bed.page(&owner(), "onet", 50, &token).await;
    assert_eq!((rest.len(), end.as_str()), (2, ""));
}

pub(crate) async fn a_namespace_lists_its_own_things_only(bed: Bed) {
    bed.register("onet/more", domain::Style::Wiki).await.unwrap();
    for named in ["onet/a", "onet/more/b", "onet2/c"] {
        bed.put(named, "one").await;
    }
    assert_eq!(bed.list(&owner(), "onet").await, ["onet/a"]);
    assert_eq!(bed.list(&owner(), "onet/more").await, ["onet/more/b"]);
}

pub(crate) async fn the_last_page_has_no_token(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.put(named, "one").await;
    }
    assert_eq!(bed.page(&owner(), "onet", 2, "").await.1, "");
    assert_ne!(bed.page(&owner(), "onet", 1, "").await.1, "");
}

pub(crate) async fn a_page_of_things_ends_where_enough_rows_have_been_looked_at(bed: Bed) {
    for number in 0..10 {
        let body = if number == 5 { note("one") } else { private("one") };
        bed.put_as(&owner(), &format!("onet/{number}"), body).await.unwrap();
    }
    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let query = ThingQuery {
            filter: of("onet"),
            order: Order::Name,
            after,
            limit: 50,
            room: 1 << 20,
            scan: 3,
            with_embedding: false,
        };
        let page = bed.store.things.list(&anonymous(), query).await.unwrap();
        counts.push(page.items.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(counts, [0, 1, 0, 0]);
}

pub(crate) async fn a_page_of_relationships_ends_where_enough_rows_have_been_looked_at(bed: Bed) {
    bed.put("onet/a", "one").await;
    for number in 0..10 {
        let visibility = if number == 5 { Visibility::Public } else { Visibility::Private };
        let new = NewRelationship { visibility, ..edge(&format!("onet/{number}"), "onet/a", "onet/a") };
        bed.things.put_relationship(call(&owner()), new, Condition::None).await.unwrap();
    }
    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let page = relationships(&bed, &anonymous(), at("onet/a", after, 3)).await;
        counts.push(page.items.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(counts, [0, 1, 0, 0]);
}

fn at(thing: &str, after: Option<domain::Name>, scan: usize) -> RelationshipQuery {
    let (thing, direction) = (name(thing), Direction::Both);
    let (relationship_type, with_others) = (None, false);
    RelationshipQuery { thing, direction, relationship_type, after, limit: 50, room: 1 << 20, scan, with_others }
}

async fn relationships(bed: &Bed, who: &Caller, query: RelationshipQuery) -> RelationshipPage {
    bed.store.relationships.relationships(who, query).await.unwrap().unwrap().0
}

pub(crate) async fn a_large_relationship_that_is_not_shown_counts_for_many(bed: Bed) {
    bed.put("onet/a", "one").await;
    let data = Some(Data::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(100 << 10))).unwrap());
    for (id, visibility) in [("1", Visibility::Private), ("2", Visibility::Public)] {
        let new = NewRelationship { visibility, data: data.clone(), ..edge(&format!("onet/{id}"), "onet/a", "onet/a") };
        bed.things.put_relationship(call(&owner()), new, Condition::None).await.unwrap();
    }
    let page = relationships(&bed, &anonymous(), at("onet/a", None, 20)).await;
    assert!(page.items.is_empty() && page.next.is_some());
    let page = relationships(&bed, &owner(), at("onet/a", None, 20)).await;
    assert_eq!((page.items.len(), page.next), (2, None));
}

pub(crate) async fn the_first_page_of_little_among_much_is_short_and_its_token_goes_on(bed: Bed) {
    bed.put("onet/last", "one").await;
    let numbers: Vec<_> = (0..SCAN).collect();
    for numbers in numbers.chunks(1_000) {
        let put = |number: &usize| Change::PutThing {
            reference: name(&format!("onet/{number:05}")),
            body: private("one"),
            condition: Condition::None,
        };
        let changes = numbers.iter().map(put).collect();
        let write = Write {
            caller: owner(),
            provenance: call(&owner()).provenance,
            changes,
            sequence: Sequence::default(),
            part: None,
        };
        bed.store.things.write(write).await.unwrap();
    }
    let (names, token) = bed.page(&anonymous(), "onet", 50, "").await;
    assert_eq!(names, [""; 0]);
    assert_ne!(token, "");
    assert_eq!(bed.page(&anonymous(), "onet", 50, &token).await, (vec!["onet/last".to_owned()], String::new()));
}

pub(crate) async fn a_page_token_is_good_after_a_restart(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.put(named, "one").await;
    }
    let (_, token) = bed.page(&owner(), "onet", 1, "").await;
    let bed = bed.reopened().await;
    assert_eq!(bed.page(&owner(), "onet", 1, &token).await.0, ["onet/b"]);
}
