//! Deleting things.

use domain::{Condition, Data, EntityKind, Etag, MutationType};
use proto::common::v1::Reason;
use proto::convert::NewRelationship;
use ulid::Ulid;

use super::bed::{Bed, call, edge, name, note, owner};
use crate::change::{Change, Outcome, Sequence, Write};
use crate::delete::Dependents;
use crate::store::Direction;

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

async fn write(bed: &Bed, changes: Vec<Change>) {
    let write = Write {
        caller: owner(),
        provenance: call(&owner()).provenance,
        changes,
        sequence: Sequence::default(),
        part: None,
    };
    for answer in bed.store.things.write(write).await.unwrap() {
        answer.unwrap();
    }
}

/// So many relationships to `onet/hub` from a thing for each thousand.
async fn incoming(bed: &Bed, count: u64) {
    bed.put("onet/hub", "one").await;
    let numbers: Vec<_> = (0..count).collect();
    for (thousand, numbers) in numbers.chunks(1_000).enumerate() {
        let from = format!("onet/from{thousand}");
        bed.put(&from, "one").await;
        let put = |number: &u64| {
            let relationship = edge(&format!("onet/r{number:05}"), &from, "onet/hub");
            Change::PutRelationship { relationship, condition: Condition::None }
        };
        write(bed, numbers.iter().map(put).collect()).await;
    }
}

pub(crate) async fn a_deletion_takes_however_many_steps_it_needs(bed: Bed) {
    incoming(&bed, 1_100).await;
    let variant = |number: u32| {
        let reference = name(&format!("onet/hub#v{number:03}"));
        Change::PutThing { reference, body: note("one"), condition: Condition::None }
    };
    write(&bed, (0..300).map(variant).collect()).await;
    bed.mutations().await;
    let deleted = bed.delete("onet/hub").await.unwrap();
    assert_eq!((deleted.relationships, deleted.variants), (1_100, 300));
    let mutations = bed.mutations().await;
    let names: Vec<_> = mutations.iter().map(|mutation| mutation.entity.key.to_string()).collect();
    let relationships = (0..1_100).map(|number| format!("onet/r{number:05}"));
    let variants = (0..300).map(|number| format!("onet/hub#v{number:03}"));
    assert_eq!(names, relationships.chain(variants).chain(["onet/hub".to_owned()]).collect::<Vec<_>>());
    assert!(mutations.windows(2).all(|pair| pair[0].ulid < pair[1].ulid));
    assert!(mutations.iter().all(|mutation| mutation.before.is_some() && mutation.after.is_none()));
}

pub(crate) async fn a_deletion_of_more_dependents_than_a_write_takes_is_refused_and_keeps_all(bed: Bed) {
    incoming(&bed, Dependents::MAX_COUNT + 1).await;
    bed.mutations().await;
    assert_eq!(bed.delete("onet/hub").await.unwrap_err(), Reason::DependentsExceeded);
    assert_eq!(bed.mutations().await, []);
    bed.unlink("onet/r00000").await.unwrap();
    assert_eq!(bed.delete("onet/hub").await.unwrap().relationships as u64, Dependents::MAX_COUNT);
    assert_eq!(bed.at(&owner(), "onet/from0", Direction::Both).await.unwrap(), [""; 0]);
}

pub(crate) async fn a_deletion_of_more_bytes_than_a_write_takes_is_refused_until_some_are_gone(bed: Bed) {
    bed.put("onet/hub", "one").await;
    let mebibyte = format!(r#"{{"a":"{}"}}"#, "x".repeat((1 << 20) - 8));
    for number in 0..63 {
        let data = Some(Data::parse(&mebibyte).unwrap());
        let relationship = NewRelationship { data, ..edge(&format!("onet/r{number}"), "onet/hub", "onet/hub") };
        write(&bed, vec![Change::PutRelationship { relationship, condition: Condition::None }]).await;
    }
    for variant in ["onet/hub#es", "onet/hub#fr"] {
        bed.put(variant, &"x".repeat(1 << 20)).await;
    }
    assert_eq!(bed.delete("onet/hub").await.unwrap_err(), Reason::DependentsExceeded);
    bed.delete("onet/hub#es").await.unwrap();
    let deleted = bed.delete("onet/hub").await.unwrap();
    assert_eq!((deleted.relationships, deleted.variants), (63, 1));
}

pub(crate) async fn a_refused_condition_comes_before_too_many_dependents(bed: Bed) {
    bed.put("onet/hub", "one").await;
    for number in 0..65 {
        bed.put(&format!("onet/hub#v{number}"), &"x".repeat(1 << 20)).await;
    }
    let stale = Condition::Etags(vec![Etag(Ulid(1))]);
    let refusal = bed.things.delete_thing(call(&owner()), name("onet/hub"), stale).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::EtagStale);
    assert_eq!(bed.delete("onet/hub").await.unwrap_err(), Reason::DependentsExceeded);
}
