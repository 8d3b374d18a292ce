//! Deleting things.

use domain::{EntityKind, MutationType};
use proto::common::v1::Reason;

use super::bed::{Bed, owner};
use crate::change::Outcome;

pub(crate) async fn a_deleted_thing_is_absent(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.delete("onet/a").await.unwrap();
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap_err(), Reason::NotFound);
    assert_eq!(bed.list(&owner(), "onet").await, Vec::<String>::new());
}

pub(crate) async fn a_deletion_of_an_absent_thing_is_not_found(bed: Bed) {
    bed.put("onet/a", "one").await;
    for named in ["onet/b", "onet/a#es", "none/a", "a/b/c", "a/b:c"] {
        assert_eq!(bed.delete(named).await.unwrap_err(), Reason::NotFound, "{named}");
    }
}

pub(crate) async fn a_deletion_takes_variants_and_relationships_each_with_its_own_mutation(bed: Bed) {
    for named in ["onet/a", "onet/a#es", "onet/a#mobile", "onet/b"] {
        bed.put(named, "one").await;
    }
    bed.link("onet/r", "onet/a", "onet/b").await.unwrap();
    bed.mutations().await;
    let deleted = bed.delete("onet/a").await.unwrap();
    assert_eq!((deleted.variants, deleted.relationships), (2, 1));
    let mutations = bed.mutations().await;
    assert!(mutations.iter().all(|mutation| mutation.mutation_type() == MutationType::Deleted));
    let names: Vec<_> = mutations.iter().map(|mutation| mutation.entity.key.to_string()).collect();
    assert_eq!(names, ["onet/r", "onet/a#es", "onet/a#mobile", "onet/a"]);
    assert_eq!(mutations[3].ulid, deleted.ulid);
}

pub(crate) async fn a_deletion_takes_the_relationships_of_both_directions(bed: Bed) {
    for named in ["onet/a", "onet/b"] {
        bed.put(named, "one").await;
    }
    bed.link("onet/out", "onet/a", "onet/b").await.unwrap();
    bed.link("other/in", "onet/b", "onet/a").await.unwrap();
    bed.link("onet/stays", "onet/b", "onet/b").await.unwrap();
    assert_eq!(bed.delete("onet/a").await.unwrap().relationships, 2);
    for named in ["onet/out", "other/in"] {
        assert_eq!(bed.relationship(&owner(), named).await.unwrap_err(), Reason::NotFound, "{named}");
    }
    bed.relationship(&owner(), "onet/stays").await.unwrap();
}

pub(crate) async fn a_deletion_of_a_variant_leaves_the_thing(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put("onet/a#es", "uno").await;
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    let deleted = bed.delete("onet/a#es").await.unwrap();
    assert_eq!((deleted.variants, deleted.relationships), (0, 0));
    bed.get(&owner(), "onet/a").await.unwrap();
    bed.relationship(&owner(), "onet/r").await.unwrap();
}

pub(crate) async fn a_relationship_with_itself_is_deleted_once(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    assert_eq!(bed.delete("onet/a").await.unwrap().relationships, 1);
    assert_eq!(bed.mutations().await.len(), 4);
}

pub(crate) async fn a_name_that_is_created_again_goes_on_after_its_last_ulid(bed: Bed) {
    bed.put("onet/a", "one").await;
    let deleted = bed.delete("onet/a").await.unwrap();
    let bed = bed.reopened().await;
    bed.clock.advance(-3_600_000);
    let again = bed.put("onet/a", "two").await;
    assert!(again.state.etag.0 > deleted.ulid);
}

pub(crate) async fn a_name_that_is_created_again_is_created_anew(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.delete("onet/a").await.unwrap();
    bed.clock.advance(9_000);
    let again = bed.put("onet/a", "one").await;
    assert_eq!((again.outcome, again.state.created_at), (Outcome::Created, bed.clock.now()));
}

pub(crate) async fn what_depends_on_a_thing_is_deleted_before_it(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put("onet/a#es", "uno").await;
    bed.link("onet/r", "onet/a", "onet/a").await.unwrap();
    bed.mutations().await;
    bed.delete("onet/a").await.unwrap();
    let mutations = bed.mutations().await;
    assert_eq!(mutations[0].entity.kind, EntityKind::Relationship);
    assert!(mutations.windows(2).all(|pair| pair[0].ulid < pair[1].ulid));
}
