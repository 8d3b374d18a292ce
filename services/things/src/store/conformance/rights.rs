//! Who may write what.

use domain::{Condition, Etag, Style};
use proto::common::v1::Reason;
use serve::Refusal;
use ulid::Ulid;

use super::bed::{Bed, anonymous, call, edge, keyed, name, note, owner, private, reason, unlisted};
use crate::change::Outcome;

async fn refused(bed: &Bed, scopes: &[&str], named: &str) -> Refusal {
    let put = bed.things.put_thing(call(&keyed(scopes)), name(named), note("mine"), Condition::None);
    put.await.unwrap_err()
}

pub(crate) async fn writing_needs_write_on_the_namespace(bed: Bed) {
    bed.put("onet/a", "one").await;
    for named in ["onet/a", "onet:a"] {
        let refusal = refused(&bed, &["read:onet", "write:other"], named).await;
        assert_eq!(refusal.reason, Reason::PermissionDenied);
        assert!(refusal.message.contains("write:onet"), "{}", refusal.message);
    }
    bed.put_as(&keyed(&["write:onet"]), "onet/a", note("two")).await.unwrap();
}

pub(crate) async fn a_refused_writer_does_not_learn_what_exists(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    bed.register("a/b", Style::Wiki).await.unwrap();
    let expected = refused(&bed, &[], "onet:a").await;
    assert_eq!(expected.reason, Reason::PermissionDenied);
    for named in ["onet:x", "onet:a#es", "onet:x#es"] {
        assert_eq!(refused(&bed, &[], named).await, expected, "{named}");
    }
    assert_eq!(refused(&bed, &[], "a/b:c").await.reason, Reason::PermissionDenied);
    assert_eq!(refused(&bed, &[], "c/d:e").await.reason, Reason::PermissionDenied);
}

pub(crate) async fn a_refused_writer_by_path_does_not_learn_what_exists(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    let expected = refused(&bed, &[], "onet/a").await;
    for named in ["onet/x", "onet/a#es"] {
        assert_eq!(refused(&bed, &[], named).await, expected, "{named}");
    }
    let delete = async |named| {
        let deletion = bed.things.delete_thing(call(&keyed(&[])), name(named), Condition::None);
        deletion.await.unwrap_err()
    };
    assert_eq!(delete("onet/a").await, expected);
    assert_eq!(delete("onet/x").await, expected);
    bed.register("onet/b", Style::Wiki).await.unwrap();
    for named in ["onet/b/x", "onet/c/x"] {
        assert_eq!(refused(&bed, &[], named).await, expected, "{named}");
    }
}

pub(crate) async fn an_anonymous_writer_is_asked_for_a_key(bed: Bed) {
    bed.put("onet/a", "one").await;
    for named in ["onet/a", "onet:x", "a/b/c", "a/b:c"] {
        let refused = bed.put_as(&anonymous(), named, note("mine")).await;
        assert_eq!(refused.unwrap_err(), Reason::Unauthenticated, "{named}");
    }
}

pub(crate) async fn registering_needs_admin(bed: Bed) {
    let writer = keyed(&["write:a/b", "admin:a"]);
    assert_eq!(bed.register_as(&writer, "a/b", Style::Wiki).await.unwrap_err(), Reason::PermissionDenied);
    assert_eq!(bed.register_as(&anonymous(), "a/b", Style::Wiki).await.unwrap_err(), Reason::Unauthenticated);
    bed.register_as(&keyed(&["admin:a/*"]), "a/b", Style::Wiki).await.unwrap();
}

pub(crate) async fn registering_on_the_way_needs_write(bed: Bed) {
    assert_eq!(refused(&bed, &["read:onet"], "onet/a").await.reason, Reason::PermissionDenied);
    bed.put_as(&keyed(&["write:onet"]), "onet/a", note("one")).await.unwrap();
}

pub(crate) async fn a_peer_writes_nothing(bed: Bed) {
    assert_eq!(refused(&bed, &["peer"], "onet/a").await.reason, Reason::PermissionDenied);
}

pub(crate) async fn a_relationship_needs_write_on_its_own_namespace_only(bed: Bed) {
    bed.put("onet/a", "one").await;
    let writer = keyed(&["write:r"]);
    bed.link_as(&writer, "r/x", "onet/a", "onet/a").await.unwrap();
    assert_eq!(bed.link_as(&writer, "onet/x", "onet/a", "onet/a").await.unwrap_err(), Reason::PermissionDenied);
}

/// A public relationship `r/x` from `onet/a` to one that only readers of `onet` see, and its etag.
async fn with_a_hidden_end(bed: &Bed) -> Etag {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/hidden", private("two")).await.unwrap();
    bed.link("r/x", "onet/a", "onet/hidden").await.unwrap().state.etag
}

pub(crate) async fn a_writer_who_does_not_see_a_relationship_cannot_put_over_it_nor_learn_its_etag(bed: Bed) {
    let etag = with_a_hidden_end(&bed).await;
    let writer = keyed(&["write:r"]);
    let put = async |to: &str, condition| {
        let put = bed.things.put_relationship(call(&writer), edge("r/x", "onet/a", to), condition);
        put.await.unwrap_err()
    };
    let refusal = put("onet/a", Condition::None).await;
    assert_eq!((refusal.reason, refusal.metadata.len()), (Reason::EndMissing, 0));
    assert!(!refusal.message.contains("hidden") && !refusal.message.contains(&etag.to_string()));
    let stale = Etag(Ulid(1));
    for condition in
        [Condition::CreateOnly, Condition::UpdateOnly, Condition::Etags(vec![stale]), Condition::Etags(vec![etag])]
    {
        assert_eq!(put("onet/a", condition).await, refusal);
    }
    assert_eq!(put("onet/hidden", Condition::None).await, refusal, "also where they name the end");
    let kept = bed.relationship(&keyed(&["read:onet"]), "r/x").await.unwrap();
    assert_eq!(kept.etag, etag);
}

pub(crate) async fn a_writer_who_does_not_see_a_relationship_frees_its_name(bed: Bed) {
    let etag = with_a_hidden_end(&bed).await;
    let writer = keyed(&["write:r"]);
    let delete =
        async |named: &str, condition| bed.things.delete_relationship(call(&writer), name(named), condition).await;
    let stale = || Condition::Etags(vec![Etag(Ulid(1))]);
    let (hidden, mut absent) = (delete("r/x", stale()).await.unwrap_err(), delete("r/y", stale()).await.unwrap_err());
    absent.message = absent.message.replace("r/y", "r/x");
    assert_eq!((hidden.reason, &hidden), (Reason::NotFound, &absent));
    delete("r/x", Condition::None).await.unwrap();
    let put = bed.link_as(&writer, "r/x", "onet/a", "onet/a").await.unwrap();
    assert_eq!(put.outcome, Outcome::Created);
    assert!(put.state.etag > etag);
}

pub(crate) async fn a_writer_who_names_the_unlisted_end_puts_again(bed: Bed) {
    bed.put_as(&owner(), "onet/a", unlisted("one")).await.unwrap();
    let writer = keyed(&["write:r"]);
    let first = bed.link_as(&writer, "r/x", "onet/a", "onet/a").await.unwrap();
    let again = bed.link_as(&writer, "r/x", "onet/a", "onet/a").await.unwrap();
    assert_eq!((again.outcome, again.state.etag), (Outcome::Unchanged, first.state.etag));
    bed.put("onet/b", "two").await;
    assert_eq!(bed.link_as(&writer, "r/x", "onet/b", "onet/b").await.unwrap_err(), Reason::EndMissing);
    let unseen = bed.things.put_relationship(call(&writer), edge("r/x", "onet/b", "onet/b"), Condition::CreateOnly);
    assert_eq!(reason(unseen.await).unwrap_err(), Reason::EndMissing);
}
