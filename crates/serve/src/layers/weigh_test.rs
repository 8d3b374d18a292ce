//! What passes the scale, and how much of it.

use proto::common::v1::Key;
use proto::events::v1::{AppendRequest, Event, RelayBatch};
use proto::things::v1::{BatchGetThingsRequest, ImportRow, ImportThingsRequest};

use super::*;

const APPEND: &str = "/annals.events.v1.EventsService/Append";
const IMPORT: &str = "/annals.things.v1.ThingsService/ImportThings";
const BATCH_GET: &str = "/annals.things.v1.ThingsService/BatchGetThings";

/// What is said about `body`, of which `step` bytes arrive at a time.
fn weigh(method: &str, body: &[u8], step: usize) -> Result<(), Refusal> {
    let mut scale = Scale::new(Arc::clone(Methods::new("events").get(method)), USUAL);
    body.chunks(step).try_for_each(|chunk| scale.data(chunk))
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

fn encoded(message: &impl prost::Message) -> Vec<u8> {
    frame(&message.encode_to_vec())
}

#[test]
fn a_list_has_at_most_a_thousand_elements() {
    let append =
        |count| encoded(&AppendRequest { events: vec![Event::default(); count], relay: Some(RelayBatch::default()) });
    let import =
        |count| encoded(&ImportThingsRequest { rows: vec![ImportRow::default(); count], ..Default::default() });
    let batch_get =
        |count| encoded(&BatchGetThingsRequest { keys: vec![Key::default(); count], include_embedding: true });
    for (method, list, body) in [
        (APPEND, "events", &append as &dyn Fn(usize) -> Vec<u8>),
        (IMPORT, "rows", &import),
        (BATCH_GET, "keys", &batch_get),
    ] {
        for step in [1, 7, 1 << 20] {
            assert_eq!(weigh(method, &body(1_000), step), Ok(()), "{list}");
            let refusal = weigh(method, &body(1_001), step).expect_err(list);
            assert_eq!(refusal, Refusal::invalid_field(list, "must be at most 1,000"));
        }
    }
}

#[test]
fn elements_are_counted_by_message_and_wherever_they_stand() {
    let row = &[0x0a, 0x00];
    let two_messages = [frame(&row.repeat(1_000)), frame(&row.repeat(1_000))].concat();
    assert_eq!(weigh(IMPORT, &two_messages, 3), Ok(()));
    let within_an_element = frame(&[&[0x0a, 0xd2, 0x0f][..], &row.repeat(1_001)].concat());
    assert_eq!(weigh(APPEND, &within_an_element, 3), Ok(()));

    let number = &[0x18, 0xff, 0x01][..];
    let fixed_64 = &[0x21, 0x0a, 0, 0x0a, 0, 0x0a, 0, 0x0a, 0][..];
    let fixed_32 = &[0x2d, 0x0a, 0, 0x0a, 0][..];
    let text = &[0x32, 4, 0x0a, 0, 0x0a, 0][..];
    let group = &[0x3b, 0x18, 1, 0x3c][..];
    for between in [number, fixed_64, fixed_32, text, group] {
        let message = |count| frame(&[between, row].concat().repeat(count));
        assert_eq!(weigh(APPEND, &message(1_000), 3), Ok(()), "{between:?}");
        weigh(APPEND, &message(1_001), 3).expect_err("one more");
    }
}

#[test]
fn a_message_is_refused_by_what_it_says_of_its_length() {
    let header = |length: u32| [&[0][..], &length.to_be_bytes()].concat();
    assert_eq!(weigh(APPEND, &header(USUAL.bytes), 2), Ok(()));
    assert_eq!(weigh(APPEND, &header(USUAL.bytes + 1), 2).expect_err("too large").reason, Reason::MessageTooLarge);
}

#[test]
fn a_peer_may_send_more() {
    let of_a_peer = || Scale::new(Arc::clone(Methods::new("events").get(APPEND)), OF_A_PEER);
    assert_eq!(of_a_peer().data(&[&[0][..], &(32_u32 << 20).to_be_bytes()].concat()), Ok(()));
    let event = &[0x0a, 0x00];
    assert_eq!(of_a_peer().data(&frame(&event.repeat(10_000))), Ok(()));
    let refusal = of_a_peer().data(&frame(&event.repeat(10_001))).expect_err("one more");
    assert_eq!(refusal, Refusal::invalid_field("events", "must be at most 10,000"));
}

#[test]
fn what_is_no_message_is_left_to_the_decoder() {
    for garbage in [&b"not a frame"[..], &[0, 0, 0, 0, 9, 0xff, 0xff, 0xff], &[1, 0, 0, 0, 4, 0x0a, 0, 0x0a, 0], &[]] {
        for method in [APPEND, "/nobody.v1.NoService/Nothing"] {
            assert_ne!(weigh(method, garbage, 2).map_err(|refusal| refusal.reason), Err(Reason::FieldInvalid));
        }
    }
}

#[test]
fn what_comes_before_a_message_that_is_refused_passes() {
    let row = &[0x0a, 0x00];
    let (good, bad) = (frame(&row.repeat(3)), frame(&row.repeat(1_001)));
    let mut scale = Scale::new(Arc::clone(Methods::new("events").get(IMPORT)), USUAL);
    scale.data(&[&good[..], &good, &bad].concat()).expect_err("too many");
    assert_eq!(scale.good(), 2 * good.len());
    let mut scale = Scale::new(Arc::clone(Methods::new("events").get(IMPORT)), USUAL);
    scale.data(&[&good[..], &bad[..9]].concat()).expect("not yet");
    scale.data(&bad[9..]).expect_err("too many");
    assert_eq!(scale.good(), 0);
}

#[test]
fn a_write_of_many_changes_may_be_larger_and_is_known_by_its_method() {
    let methods = crate::reflection::methods();
    assert!(methods.iter().any(|method| method.path == WRITE), "{WRITE} is a method");
    assert_eq!((OF_A_WRITE.bytes, OF_A_WRITE.elements), (16 << 20, USUAL.elements));
}
