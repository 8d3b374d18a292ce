//! Conditions of writes.

use domain::{Condition, Etag};
use proto::common::v1::Reason;
use proto::convert::ThingPatch;
use ulid::Ulid;

use super::bed::{Bed, call, edge, name, owner, reason};
use crate::change::Outcome;

const NO_ETAG: Etag = Etag(Ulid(7));

pub(crate) async fn create_only_is_refused_on_a_present_name(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let refusal = bed.put_if("onet/a", "two", Condition::CreateOnly).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::AlreadyExists);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap(), first.state);
}

pub(crate) async fn create_only_creates_an_absent_name(bed: Bed) {
    let put = bed.put_if("onet/a", "one", Condition::CreateOnly).await.unwrap();
    assert_eq!(put.outcome, Outcome::Created);
}

pub(crate) async fn update_only_is_refused_on_an_absent_name(bed: Bed) {
    let refusal = bed.put_if("onet/a", "one", Condition::UpdateOnly).await.unwrap_err();
    assert_eq!((refusal.reason, refusal.message.as_str()), (Reason::NotFound, "thing onet/a does not exist"));
}

pub(crate) async fn update_only_replaces_a_present_name(bed: Bed) {
    bed.put("onet/a", "one").await;
    let put = bed.put_if("onet/a", "two", Condition::UpdateOnly).await.unwrap();
    assert_eq!(put.outcome, Outcome::Replaced);
}

pub(crate) async fn the_present_etag_lets_a_put_through(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let put = bed.put_if("onet/a", "two", Condition::Etags(vec![first.state.etag])).await.unwrap();
    assert_eq!(put.outcome, Outcome::Replaced);
}

pub(crate) async fn one_of_several_etags_is_enough(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let put = bed.put_if("onet/a", "two", Condition::Etags(vec![NO_ETAG, first.state.etag])).await.unwrap();
    assert_eq!(put.outcome, Outcome::Replaced);
}

pub(crate) async fn a_stale_etag_is_refused_and_told_the_present_one(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let second = bed.put("onet/a", "two").await;
    let refusal = bed.put_if("onet/a", "three", Condition::Etags(vec![first.state.etag])).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::EtagStale);
    assert_eq!(refusal.metadata["etag"], second.state.etag.to_string());
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap(), second.state);
}

pub(crate) async fn an_etag_of_an_absent_name_is_stale(bed: Bed) {
    let refusal = bed.put_if("onet/a", "one", Condition::Etags(vec![NO_ETAG])).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::EtagStale);
}

pub(crate) async fn a_stale_etag_is_refused_even_where_nothing_would_change(bed: Bed) {
    bed.put("onet/a", "one").await;
    let refusal = bed.put_if("onet/a", "one", Condition::Etags(vec![NO_ETAG])).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::EtagStale);
}

pub(crate) async fn a_stale_etag_refuses_a_patch(bed: Bed) {
    bed.put("onet/a", "one").await;
    let stale = Condition::Etags(vec![NO_ETAG]);
    let patch = bed.things.patch_thing(call(&owner()), name("onet/a"), ThingPatch::default(), stale);
    assert_eq!(reason(patch.await).unwrap_err(), Reason::EtagStale);
}

pub(crate) async fn a_stale_etag_refuses_a_deletion(bed: Bed) {
    let put = bed.put("onet/a", "one").await;
    let stale = Condition::Etags(vec![NO_ETAG]);
    let refused = bed.things.delete_thing(call(&owner()), name("onet/a"), stale).await;
    assert_eq!(reason(refused).unwrap_err(), Reason::EtagStale);
    let fresh = Condition::Etags(vec![put.state.etag]);
    bed.things.delete_thing(call(&owner()), name("onet/a"), fresh).await.unwrap();
}

pub(crate) async fn of_racing_creations_one_wins(bed: Bed) {
    let puts = (0..20).map(|_| bed.put_if("onet/a", "one", Condition::CreateOnly));
    let outcomes: Vec<_> = futures::future::join_all(puts).await.into_iter().map(reason).collect();
    let lost = outcomes.iter().filter(|outcome| **outcome == Err(Reason::AlreadyExists)).count();
    assert_eq!(lost, 19);
}

pub(crate) async fn of_racing_puts_with_one_etag_one_wins(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let texts: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    let etag = || Condition::Etags(vec![first.state.etag]);
    let puts = texts.iter().map(|text| bed.put_if("onet/a", text, etag()));
    let outcomes: Vec<_> = futures::future::join_all(puts).await.into_iter().map(reason).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Reason::EtagStale)).count(), 19);
}

pub(crate) async fn a_relationship_has_conditions_too(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    let put = |condition| bed.things.put_relationship(call(&owner()), edge("onet/r", "onet/a", "onet/a"), condition);
    assert_eq!(reason(put(Condition::CreateOnly).await).unwrap_err(), Reason::AlreadyExists);
    assert_eq!(reason(put(Condition::Etags(vec![NO_ETAG])).await).unwrap_err(), Reason::EtagStale);
    let stale = Condition::Etags(vec![NO_ETAG]);
    let deletion = bed.things.delete_relationship(call(&owner()), name("onet/r"), stale);
    assert_eq!(reason(deletion.await).unwrap_err(), Reason::EtagStale);
}
