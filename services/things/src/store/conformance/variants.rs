//! Variants.

use proto::common::v1::Reason;

use super::bed::{Bed, anonymous, name, note, owner, private, reason};

async fn preferring(bed: &Bed, named: &str, variants: &[&str]) -> String {
    let preferred = variants.iter().map(|variant| variant.parse().unwrap()).collect();
    let found = bed.things.get_thing(&anonymous(), name(named), preferred, false).await;
    reason(found).unwrap().0.key.to_string()
}

pub(crate) async fn a_variant_needs_its_canonical_thing(bed: Bed) {
    bed.put("onet/b", "one").await;
    for named in ["onet/a#es", "onet:a#es", "new/a#es"] {
        let refused = bed.put_as(&owner(), named, note("uno")).await;
        assert_eq!(refused.unwrap_err(), Reason::CanonicalMissing, "{named}");
    }
}

pub(crate) async fn a_variant_is_a_state_of_its_own(bed: Bed) {
    let canonical = bed.put("onet/a", "one").await;
    let variant = bed.put("onet/a#es", "uno").await;
    assert!(variant.state.etag > canonical.state.etag);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap(), canonical.state);
    assert_eq!(bed.get(&owner(), "onet:a#es").await.unwrap(), variant.state);
}

pub(crate) async fn the_best_preferred_variant_is_returned(bed: Bed) {
    for named in ["onet/a", "onet/a#es", "onet/a#fr"] {
        bed.put(named, "one").await;
    }
    assert_eq!(preferring(&bed, "onet/a", &["de", "fr", "es"]).await, "onet/a#fr");
    assert_eq!(preferring(&bed, "onet:a", &["de"]).await, "onet/a");
    let too_many = vec!["de".parse().unwrap(); 17];
    let refused = bed.things.get_thing(&owner(), name("onet/a"), too_many, false).await;
    assert_eq!(reason(refused).unwrap_err(), Reason::FieldInvalid);
}

pub(crate) async fn a_variant_that_is_asked_for_is_not_traded_for_a_preferred_one(bed: Bed) {
    for named in ["onet/a", "onet/a#es", "onet/a#fr"] {
        bed.put(named, "one").await;
    }
    assert_eq!(preferring(&bed, "onet/a#es", &["fr"]).await, "onet/a#es");
}

pub(crate) async fn a_variant_is_hidden_with_its_canonical_thing(bed: Bed) {
    bed.put_as(&owner(), "onet/a", private("one")).await.unwrap();
    bed.put("onet/a#es", "uno").await;
    assert_eq!(bed.get(&anonymous(), "onet/a#es").await.unwrap_err(), Reason::NotFound);
    bed.get(&owner(), "onet/a#es").await.unwrap();
}

pub(crate) async fn a_hidden_variant_is_passed_over_for_the_canonical_thing(bed: Bed) {
    bed.put("onet/a", "one").await;
    bed.put_as(&owner(), "onet/a#es", private("uno")).await.unwrap();
    assert_eq!(preferring(&bed, "onet/a", &["es"]).await, "onet/a");
}
