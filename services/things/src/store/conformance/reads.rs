//! Reading things by name.

use domain::{Style, ThingBody};
use proto::common::v1::Reason;

use super::bed::{Bed, name, note, owner, reason};
use crate::store::Read;

pub(crate) async fn an_absent_thing_is_not_found(bed: Bed) {
    bed.put("onet/b", "one").await;
    for named in ["onet/a", "onet:a", "none/a", "a/b/c", "a/b:c", "onet/b#es"] {
        let refusal = bed.things.get_thing(&owner(), name(named), vec![], false).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::NotFound, "{named}");
        assert_eq!(refusal.message, format!("thing {} does not exist", named.replace(':', "/")));
    }
}

pub(crate) async fn a_thing_is_found_by_path_and_by_key(bed: Bed) {
    let put = bed.put("onet/15-1252.00", "one").await;
    assert_eq!(bed.get(&owner(), "onet/15-1252.00").await.unwrap(), put.state);
    assert_eq!(bed.get(&owner(), "onet:15-1252.00").await.unwrap(), put.state);
}

pub(crate) async fn a_path_needs_no_known_split(bed: Bed) {
    bed.register("github.com/repos", Style::Literal).await.unwrap();
    bed.put("github.com:about", "one").await;
    bed.put("github.com/repos/dot-do/workers", "two").await;
    let read = bed.get(&owner(), "github.com/repos/dot-do/workers").await.unwrap();
    assert_eq!((read.key.ns.as_str(), read.key.id.as_str()), ("github.com/repos", "dot-do/workers"));
    assert_eq!(bed.get(&owner(), "github.com/about").await.unwrap().key.ns.as_str(), "github.com");
}

pub(crate) async fn an_embedding_is_returned_where_it_is_asked_for(bed: Bed) {
    let embedding = Some(vec![0.25; 3].try_into().unwrap());
    bed.put_as(&owner(), "onet/a", ThingBody { embedding: embedding.clone(), ..note("one") }).await.unwrap();
    let read = async |asked| bed.things.get_thing(&owner(), name("onet/a"), vec![], asked).await.unwrap().0;
    assert_eq!(read(true).await.body.embedding, embedding);
    assert_eq!(read(false).await.body.embedding, None);
}

async fn batch(bed: &Bed, names: impl IntoIterator<Item = String>) -> Result<String, Reason> {
    let references = names.into_iter().map(|named| name(&named)).collect();
    let reads = reason(bed.things.batch_get_things(&owner(), references, false).await)?;
    Ok(reads
        .iter()
        .map(|read| match read {
            Read::Found(..) => 'f',
            Read::Missing => 'm',
            Read::Unread => 'u',
        })
        .collect())
}

pub(crate) async fn a_batch_answers_in_order_and_says_what_is_missing(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put("onet/b", "two").await;
    let names = ["onet/b", "onet/x", "onet:a", "none/a", "onet/b"].map(str::to_owned);
    assert_eq!(batch(&bed, names).await.unwrap(), "fmfmf");
}

pub(crate) async fn a_large_batch_ends_before_it_is_too_large(bed: Bed) {
    for number in 0..9 {
        bed.put(&format!("onet/{number}"), &"x".repeat(1 << 20)).await;
    }
    let names = (0..9).map(|number| format!("onet/{number}"));
    assert_eq!(batch(&bed, names).await.unwrap(), "fffffffuu");
}

pub(crate) async fn a_batch_of_none_or_too_many_is_refused(bed: Bed) {
    assert_eq!(batch(&bed, []).await.unwrap_err(), Reason::FieldInvalid);
    assert_eq!(batch(&bed, vec!["onet/a".to_owned(); 1_001]).await.unwrap_err(), Reason::FieldInvalid);
    assert_eq!(batch(&bed, vec!["onet/a".to_owned(); 1_000]).await.unwrap(), "m".repeat(1_000));
}

pub(crate) async fn the_canonical_key_is_returned(bed: Bed) {
    bed.put("en.wikipedia.org/Software developer", "one").await;
    let (thing, style) =
        bed.things.get_thing(&owner(), name("en.wikipedia.org/Software_developer"), vec![], false).await.unwrap();
    assert_eq!(domain::url::encode(&thing.key, style), "/en.wikipedia.org/Software_developer");
}
