//! Patching things.

use domain::{Data, ThingBody, Visibility, json};
use proto::common::v1::Reason;
use proto::convert::{Edit, ThingPatch};

use super::bed::{Bed, note, owner};
use crate::change::Outcome;

fn merge(patch: &str) -> ThingPatch {
    ThingPatch { data: Edit::Set(json::parse(patch).unwrap()), ..ThingPatch::default() }
}

fn with_data(data: &str) -> ThingBody {
    ThingBody { data: Some(Data::parse(data).unwrap()), ..note("one") }
}

pub(crate) async fn a_patch_changes_the_given_fields_only(bed: Bed) {
    bed.put_as(&owner(), "onet/a", with_data(r#"{"a":1}"#)).await.unwrap();
    let patch = ThingPatch { visibility: Some(Visibility::Unlisted), ..ThingPatch::default() };
    let patched = bed.patch("onet/a", patch).await.unwrap();
    assert_eq!(patched.outcome, Outcome::Replaced);
    assert_eq!(patched.state.body, ThingBody { visibility: Visibility::Unlisted, ..with_data(r#"{"a":1}"#) });
}

pub(crate) async fn a_patch_clears_fields(bed: Bed) {
    bed.put_as(&owner(), "onet/a", with_data(r#"{"a":1}"#)).await.unwrap();
    let patch = ThingPatch { content: Edit::Clear, data: Edit::Clear, ..ThingPatch::default() };
    let patched = bed.patch("onet/a", patch).await.unwrap().state.body;
    assert_eq!((patched.content, patched.data), (None, None));
}

pub(crate) async fn a_patch_merges_data(bed: Bed) {
    bed.put_as(&owner(), "onet/a", with_data(r#"{"a":1,"b":{"c":2,"d":3}}"#)).await.unwrap();
    let patched = bed.patch("onet/a", merge(r#"{"b":{"c":null,"e":4},"a":"x"}"#)).await.unwrap();
    assert_eq!(patched.state.body.data.unwrap().as_str(), r#"{"a":"x","b":{"d":3,"e":4}}"#);
}

pub(crate) async fn a_merge_into_no_data_begins_with_an_empty_object(bed: Bed) {
    bed.put("onet/a", "one").await;
    let patched = bed.patch("onet/a", merge(r#"{"a":1,"b":null}"#)).await.unwrap();
    assert_eq!(patched.state.body.data.unwrap().as_str(), r#"{"a":1}"#);
}

pub(crate) async fn a_patch_that_changes_nothing_keeps_the_etag(bed: Bed) {
    let put = bed.put_as(&owner(), "onet/a", with_data(r#"{"a":1}"#)).await.unwrap();
    let patched = bed.patch("onet/a", merge(r#"{"a":1}"#)).await.unwrap();
    assert_eq!((patched.outcome, patched.state.etag), (Outcome::Unchanged, put.state.etag));
}

pub(crate) async fn a_patch_of_an_absent_thing_is_not_found(bed: Bed) {
    for named in ["onet/a", "a/b/c", "a/b:c"] {
        assert_eq!(bed.patch(named, merge("{}")).await.unwrap_err(), Reason::NotFound, "{named}");
    }
}

pub(crate) async fn a_patch_keeps_the_embedding(bed: Bed) {
    let embedding = Some(vec![1.0, 2.0].try_into().unwrap());
    bed.put_as(&owner(), "onet/a", ThingBody { embedding: embedding.clone(), ..note("one") }).await.unwrap();
    bed.patch("onet/a", merge(r#"{"a":1}"#)).await.unwrap();
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap().body.embedding, embedding);
}

pub(crate) async fn a_merge_that_grows_too_large_is_refused(bed: Bed) {
    let half = "x".repeat(Data::MAX_BYTES / 2);
    bed.put_as(&owner(), "onet/a", with_data(&format!(r#"{{"a":"{half}"}}"#))).await.unwrap();
    let refused = bed.patch("onet/a", merge(&format!(r#"{{"b":"{half}"}}"#))).await;
    assert_eq!(refused.unwrap_err(), Reason::FieldInvalid);
}
