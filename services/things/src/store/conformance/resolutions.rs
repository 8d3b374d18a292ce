//! Resolving names.

use domain::{EntityKind, Style, Visibility};
use proto::common::v1::Reason;

use super::bed::{Bed, anonymous, keyed, name, owner, private, reason};

const THING: EntityKind = EntityKind::Thing;
const RELATIONSHIP: EntityKind = EntityKind::Relationship;

pub(crate) async fn a_name_resolves_to_its_key_style_and_last_ulid(bed: Bed) {
    let put = bed.put("onet/Software developer", "one").await;
    let resolved = bed.resolve(&anonymous(), "onet/Software_developer", THING).await.unwrap();
    assert_eq!((&resolved.key, resolved.last), (&put.state.key, put.state.etag.0));
    assert_eq!((resolved.style, resolved.exists), (Style::Wiki, true));
}

pub(crate) async fn a_deleted_name_resolves(bed: Bed) {
    bed.put("onet/a", "one").await;
    let deleted = bed.delete("onet/a").await.unwrap();
    let resolved = bed.resolve(&anonymous(), "onet/a", THING).await.unwrap();
    assert_eq!((resolved.exists, resolved.last), (false, deleted.ulid));
    assert_eq!(resolved.visibility, Visibility::Public);
}

pub(crate) async fn a_name_that_never_was_is_not_found(bed: Bed) {
    bed.put("onet/a", "one").await;
    for named in ["onet/b", "onet/a#es", "none/a", "a/b/c"] {
        assert_eq!(bed.resolve(&owner(), named, THING).await.unwrap_err(), Reason::NotFound, "{named}");
    }
    assert_eq!(bed.resolve(&owner(), "onet/a", RELATIONSHIP).await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn a_private_name_is_not_found(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/a", private("two")).await.unwrap();
    assert_eq!(bed.resolve(&anonymous(), "onet/a", THING).await.unwrap_err(), Reason::NotFound);
    bed.delete("onet/a").await.unwrap();
    assert_eq!(bed.resolve(&anonymous(), "onet/a", THING).await.unwrap_err(), Reason::NotFound);
    assert_eq!(bed.resolve(&keyed(&["read:onet"]), "onet/a", THING).await.unwrap().visibility, Visibility::Private);
}

pub(crate) async fn a_variant_of_a_private_thing_is_not_found(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    bed.put("onet/a#es", "uno").await;
    assert_eq!(bed.resolve(&anonymous(), "onet/a#es", THING).await.unwrap_err(), Reason::NotFound);
    bed.delete("onet/a").await.unwrap();
    assert_eq!(bed.resolve(&anonymous(), "onet/a#es", THING).await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn a_deleted_relationship_with_a_private_end_is_not_found(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/s", private("two")).await.unwrap();
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    bed.link("onet/t", "onet/a", "onet/s").await.unwrap();
    assert_eq!(bed.resolve(&anonymous(), "onet/t", RELATIONSHIP).await.unwrap_err(), Reason::NotFound);
    bed.delete("onet/a").await.unwrap();
    assert_eq!(bed.resolve(&anonymous(), "onet/t", RELATIONSHIP).await.unwrap_err(), Reason::NotFound);
    assert!(!bed.resolve(&anonymous(), "onet/r", RELATIONSHIP).await.unwrap().exists);
    assert!(!bed.resolve(&owner(), "onet/t", RELATIONSHIP).await.unwrap().exists);
}

pub(crate) async fn the_future_is_refused(bed: Bed) {
    let future = bed.clock.now().plus_millis(1);
    let refused = bed.things.resolve_name(&owner(), name("onet/a"), THING, Some(future)).await;
    assert_eq!(reason(refused).unwrap_err(), Reason::AsOfInFuture);
}

pub(crate) async fn no_later_mutation_is_at_or_before_the_moment_that_was_asked_for(bed: Bed) {
    bed.put("onet/a", "one").await;
    let now = bed.clock.now();
    let owner = owner();
    let asked = bed.things.resolve_name(&owner, name("onet/a"), THING, Some(now));
    let (resolved, ()) = futures::join!(asked, async { bed.clock.advance(1) });
    resolved.unwrap();
    bed.clock.advance(-60_000);
    assert!(bed.put("onet/a", "two").await.state.updated_at() > now);
}

pub(crate) async fn a_resolution_sees_every_write_that_was_asked_for_before(bed: Bed) {
    let owner = owner();
    for round in 0..50 {
        let text = round.to_string();
        let (put, resolved) = futures::join!(bed.put("onet/a", &text), bed.resolve(&owner, "onet/a", THING));
        assert_eq!(resolved.unwrap().last, put.state.etag.0);
    }
}
