//! Putting things.

use domain::{Data, Embedding, Id, Style, ThingBody, Visibility};
use proto::common::v1::Reason;

use super::bed::{Bed, call, foreigner, name, note, owner};
use crate::change::Outcome;
use crate::store::Direction;

pub(crate) async fn a_put_thing_is_read_back_as_it_was_given(bed: Bed) {
    let body = ThingBody {
        code: Some("15-1252".parse().unwrap()),
        data: Some(Data::parse(r#"{"b":1,"a":[true]}"#).unwrap()),
        embedding: Some(vec![0.5, -1.0].try_into().unwrap()),
        ..note("# Developer")
    };
    let put = bed.put_as(&owner(), "onet/a", body.clone()).await.unwrap();
    let read = bed.get(&owner(), "onet/a").await.unwrap();
    assert_eq!(read.body, body);
    assert_eq!(read, put.state);
}

pub(crate) async fn a_put_of_an_absent_name_creates_it(bed: Bed) {
    let put = bed.put("onet/a", "one").await;
    assert_eq!(put.outcome, Outcome::Created);
    assert_eq!(put.state.created_at, bed.clock.now());
}

pub(crate) async fn a_put_of_a_present_name_replaces_it_whole(bed: Bed) {
    let body = ThingBody { code: Some("c".parse().unwrap()), ..note("one") };
    let first = bed.put_as(&owner(), "onet/a", body).await.unwrap();
    let second = bed.put("onet/a", "two").await;
    assert_eq!(second.outcome, Outcome::Replaced);
    assert!(second.state.etag > first.state.etag);
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap().body, note("two"));
}

pub(crate) async fn a_put_that_equals_the_state_writes_nothing_and_keeps_the_etag(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    bed.clock.advance(1_000);
    let second = bed.put("onet/a", "one").await;
    assert_eq!(second.outcome, Outcome::Unchanged);
    assert_eq!(second.state, first.state);
    assert_eq!(bed.mutations().await.len(), 1);
}

pub(crate) async fn another_embedding_is_another_state(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    let embedding: Embedding = vec![1.0].try_into().unwrap();
    let second = bed.put_as(&owner(), "onet/a", ThingBody { embedding: Some(embedding), ..note("one") }).await.unwrap();
    assert_eq!(second.outcome, Outcome::Replaced);
    assert!(second.state.etag > first.state.etag);
}

pub(crate) async fn an_embedding_never_reaches_the_outbox(bed: Bed) {
    let embedding = Some(vec![0.123_456].try_into().unwrap());
    bed.put_as(&owner(), "onet/a", ThingBody { embedding, ..note("one") }).await.unwrap();
    let payload = &bed.batches().await[0].payloads[0];
    let text = String::from_utf8_lossy(payload);
    assert!(text.contains(r#""has_embedding":true"#), "{text}");
    assert!(!text.contains("0.123"), "{text}");
}

pub(crate) async fn another_visibility_is_another_state(bed: Bed) {
    bed.put("onet/a", "one").await;
    let hidden = ThingBody { visibility: Visibility::Private, ..note("one") };
    assert_eq!(bed.put_as(&owner(), "onet/a", hidden).await.unwrap().outcome, Outcome::Replaced);
}

pub(crate) async fn a_put_keeps_the_time_of_creation(bed: Bed) {
    let first = bed.put("onet/a", "one").await;
    bed.clock.advance(5_000);
    let second = bed.put("onet/a", "two").await;
    assert_eq!(second.state.created_at, first.state.created_at);
    assert_eq!(second.state.updated_at(), bed.clock.now());
}

pub(crate) async fn a_state_is_as_old_as_its_etag(bed: Bed) {
    bed.clock.advance(77);
    let put = bed.put("onet/a", "one").await;
    assert_eq!(put.state.updated_at(), put.state.etag.time());
    assert_eq!(put.state.updated_at(), bed.clock.now());
}

pub(crate) async fn data_keeps_its_key_order_and_number_lexemes(bed: Bed) {
    let data = Data::parse(r#"{"z":1.50,"a":-0,"m":1E+2}"#).unwrap();
    bed.put_as(&owner(), "onet/a", ThingBody { data: Some(data), ..note("one") }).await.unwrap();
    let read = bed.get(&owner(), "onet/a").await.unwrap();
    assert_eq!(read.body.data.unwrap().as_str(), r#"{"z":1.50,"a":-0,"m":1E+2}"#);
}

pub(crate) async fn an_underscore_is_a_space_in_a_wiki_namespace(bed: Bed) {
    let put = bed.put("onet/Software_developer", "one").await;
    assert_eq!(put.state.key.id.as_str(), "Software developer");
    assert_eq!(bed.get(&owner(), "onet:Software developer").await.unwrap(), put.state);
    assert_eq!(bed.get(&owner(), "onet:Software_developer").await.unwrap(), put.state);
}

pub(crate) async fn an_underscore_stays_in_a_literal_namespace(bed: Bed) {
    bed.register("stripe.com/api", Style::Literal).await.unwrap();
    let put = bed.put("stripe.com/api/customers/cus_123", "one").await;
    assert_eq!(put.state.key.id.as_str(), "customers/cus_123");
    let spaced = bed.get(&owner(), "stripe.com/api/customers/cus 123").await;
    assert_eq!(spaced.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn an_id_that_its_namespace_does_not_take_is_refused_with_field_and_rule(bed: Bed) {
    bed.put("onet/a", "one").await;
    for id in ["onet:_a", "onet:a__b", "onet:a\u{7}", "onet:/a", "new:a\u{202e}"] {
        let put = bed.things.put_thing(call(&owner()), name(id), note("x"), domain::Condition::None);
        let refusal = put.await.unwrap_err();
        assert_eq!(refusal.reason, Reason::FieldInvalid, "{id}");
        assert_eq!(refusal.violations[0].field, "thing.key.id", "{id}");
        assert_eq!(bed.get(&owner(), id).await.unwrap_err(), Reason::FieldInvalid, "{id}");
    }
}

/// A text of so many letters that no store makes smaller.
fn letters(count: usize, mut seed: u64) -> String {
    let letters = (0..count).map(|_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (seed >> 33) as u8 % 26)
    });
    letters.collect()
}

pub(crate) async fn what_is_largest_is_kept(bed: Bed) {
    let ns = format!("{}/b", letters(253, 1));
    bed.register(&ns, Style::Wiki).await.unwrap();
    let (head, tail) = (r#"{"a":"#.repeat(64), "}".repeat(64));
    let text = "x".repeat(Data::MAX_BYTES - head.len() - tail.len() - 2);
    let data = Data::parse(&format!("{head}\"{text}\"{tail}")).unwrap();
    assert_eq!(data.as_str().len(), Data::MAX_BYTES);
    let embedding = Some(vec![1.5; 4_096].try_into().unwrap());
    let body = ThingBody {
        thing_type: letters(255, 2).parse().unwrap(),
        code: Some(letters(255, 3).parse().unwrap()),
        data: Some(data),
        embedding,
        ..note(&"\u{1}".repeat(1 << 20))
    };
    let [from, to, between] = [4, 5, 6].map(|seed| format!("{ns}:{}", letters(Id::MAX_BYTES, seed)));
    let variant = format!("{from}#{}", letters(64, 7));
    for named in [&from, &variant, &to] {
        bed.put_as(&owner(), named, body.clone()).await.unwrap();
        assert_eq!(bed.get(&owner(), named).await.unwrap().body, body);
    }
    bed.link(&between, &from, &to).await.unwrap();
    let (_, id) = to.split_once(':').unwrap();
    let (walked, is_truncated) = bed.walk(&owner(), super::bed::from(&from, 6)).await.unwrap();
    assert_eq!((walked.last(), is_truncated), (Some(&format!("{id} 1")), false));
    let listed = bed.at(&owner(), &to, Direction::Incoming).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(bed.mutations().await.len(), 4);
    bed.delete(&from).await.unwrap();
    assert_eq!(bed.relationship(&owner(), &between).await.unwrap_err(), Reason::NotFound);
}

pub(crate) async fn tenants_do_not_share_names(bed: Bed) {
    bed.put("onet/a", "ours").await;
    bed.put_as(&foreigner(), "onet/a", note("theirs")).await.unwrap();
    assert_eq!(bed.get(&owner(), "onet/a").await.unwrap().body, note("ours"));
    assert_eq!(bed.get(&foreigner(), "onet/a").await.unwrap().body, note("theirs"));
}

pub(crate) async fn concurrent_puts_of_one_name_are_serial(bed: Bed) {
    let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let puts = futures::future::join_all(texts.iter().map(|text| bed.put("onet/a", text))).await;
    assert_eq!(puts.iter().filter(|put| put.outcome == Outcome::Created).count(), 1);
    let mutations = bed.mutations().await;
    assert_eq!(mutations.len(), 100);
    assert!(mutations.windows(2).all(|pair| pair[0].ulid < pair[1].ulid && pair[0].after == pair[1].before));
}
