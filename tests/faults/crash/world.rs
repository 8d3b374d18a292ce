//! Owns the names that the crash tests write to and what they write: few names, so that requests meet.

use domain::{
    Condition, Content, Data, Embedding, Etag, Id, Json, Key, Name, Namespace, RelationshipBody, Style, ThingBody,
    Variant, Visibility,
};

use super::dice::Dice;
use super::request::Asked;

/// Registered on the way.
pub(crate) const WIKI: &str = "crash";
/// Registered first.
pub(crate) const LITERAL: &str = "crash.example/deep";
/// Written by imports only.
pub(crate) const BULK: &str = "bulk";

const WIKI_IDS: [&str; 10] = ["a", "b", "Upper gauge", "c/d", "Łódź", "e", "f", "g.", "~h", "i/../j"];
const LITERAL_IDS: [&str; 6] = ["a_b", "a b", "customers/cus_123", "x", "y//z", "."];
const VARIANTS: [&str; 3] = ["", "es", "mobile"];
const RELATIONSHIPS: u64 = 30;
const BULK_IDS: u64 = 40;

pub(crate) fn style_of(ns: &Namespace) -> Style {
    if ns.as_str() == LITERAL { Style::Literal } else { Style::Wiki }
}

fn ns(text: &str) -> Namespace {
    text.parse().expect("a legal namespace")
}

fn name(ns_of: &str, id: &str) -> Name {
    let ns = ns(ns_of);
    let id = Id::parse(id, style_of(&ns)).expect("a legal id");
    Name { ns, id }
}

fn any_name(dice: &mut Dice) -> Name {
    if dice.one_in(3) { name(LITERAL, dice.pick(&LITERAL_IDS)) } else { name(WIKI, dice.pick(&WIKI_IDS)) }
}

fn any_key(dice: &mut Dice) -> Key {
    let variant = if dice.one_in(3) { dice.pick(&VARIANTS) } else { "" };
    let variant = if variant.is_empty() { Variant::canonical() } else { variant.parse().expect("a legal variant") };
    Key { variant, ..Key::from(any_name(dice)) }
}

fn any_relationship(dice: &mut Dice) -> Name {
    name(WIKI, &format!("edge {}", dice.below(RELATIONSHIPS)))
}

/// A thing that nobody else writes, to see that all before it has arrived.
pub(crate) fn barrier() -> Key {
    Key::from(name(WIKI, "barrier"))
}

/// A thing with large contents.
pub(crate) fn large() -> Key {
    Key::from(name(WIKI, "large"))
}

pub(crate) fn body(dice: &mut Dice, request: &str) -> ThingBody {
    // Now and then enough for SQLite to checkpoint within a few rounds.
    let length = if dice.one_in(60) { 60_000 } else { dice.below(200) };
    let content = format!("{request} {}", "x".repeat(length as usize));
    let data = format!(r#"{{"by":"{request}","n":{}}}"#, dice.below(10));
    let numbers = || vec![0.5, -1.0, dice_free_fraction(request)];
    ThingBody {
        thing_type: dice.pick(&["Gauge", "Weir"]).parse().expect("a legal type"),
        visibility: dice.pick(&[Visibility::Public, Visibility::Private, Visibility::Unlisted]),
        content: (!dice.one_in(4)).then(|| Content::try_from(content).expect("legal content")),
        code: dice.one_in(3).then(|| request.parse().expect("a legal code")),
        data: Some(Data::parse(&data).expect("legal data")),
        embedding: dice.one_in(5).then(|| Embedding::try_from(numbers()).expect("a legal embedding")),
    }
}

/// About a MiB, twice: things keeps the state, and for events the one before too.
pub(crate) fn large_body(request: &str) -> ThingBody {
    let content = format!("{request} {}", "x".repeat(1_000_000));
    ThingBody { content: Some(Content::try_from(content).expect("legal content")), ..failing_row().1 }
}

/// Something of the request, so that two embeddings differ.
fn dice_free_fraction(request: &str) -> f32 {
    f32::from(request.bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())))
}

fn condition(dice: &mut Dice, etag: Option<Etag>) -> Condition {
    match (dice.below(6), etag) {
        (0 | 1, Some(etag)) => Condition::Etags(vec![etag]),
        (2, _) => Condition::CreateOnly,
        (3, _) => Condition::UpdateOnly,
        _ => Condition::None,
    }
}

fn condition_of_deletion(dice: &mut Dice, etag: Option<Etag>) -> Condition {
    match etag {
        Some(etag) if dice.one_in(3) => Condition::Etags(vec![etag]),
        _ => Condition::None,
    }
}

/// Something to ask, all but imports. `known` gives the etag that the client last saw of a name.
pub(crate) fn anything(
    dice: &mut Dice,
    request: &str,
    known: impl Fn(&super::request::Subject) -> Option<Etag>,
) -> Asked {
    let thing = |key: &Key| known(&(domain::EntityKind::Thing, key.clone()));
    let relationship = |name: &Name| known(&(domain::EntityKind::Relationship, Key::from(name.clone())));
    match dice.below(20) {
        0..=7 => {
            let key = any_key(dice);
            Asked::Put { body: body(dice, request), condition: condition(dice, thing(&key)), key }
        }
        8..=10 => {
            let key = any_key(dice);
            let data = Json::object([("n", Json::Null), ("patched", Json::string(request))]);
            let content = Content::try_from(request.to_owned()).expect("legal content");
            let condition = condition_of_deletion(dice, thing(&key));
            Asked::Patch { content, data, condition, key }
        }
        11 | 12 => {
            let key = any_key(dice);
            Asked::Delete { condition: condition_of_deletion(dice, thing(&key)), key }
        }
        13 => {
            let name = any_relationship(dice);
            Asked::Unlink { condition: condition_of_deletion(dice, relationship(&name)), name }
        }
        _ => {
            let name = any_relationship(dice);
            let data = Data::parse(&format!(r#"{{"by":"{request}"}}"#)).expect("legal data");
            let body = RelationshipBody {
                relationship_type: "feeds".parse().expect("a legal type"),
                from: any_name(dice),
                to: any_name(dice),
                visibility: Visibility::Public,
                data: Some(data),
            };
            Asked::Link { body, condition: condition(dice, relationship(&name)), name }
        }
    }
}

/// Up to four messages of up to ten rows, no name twice, each with news for its thing; and some rows that cannot be.
pub(crate) fn import(dice: &mut Dice, request: &str) -> Asked {
    let mut messages: Vec<Vec<(Key, ThingBody)>> = Vec::new();
    let mut next = dice.below(BULK_IDS);
    for _ in 0..=dice.below(4) {
        let mut rows = Vec::new();
        for _ in 0..=dice.below(9) {
            let key = Key::from(name(BULK, &format!("row {}", next % BULK_IDS)));
            rows.push((key, body(dice, request)));
            next += 1;
        }
        messages.push(rows);
    }
    Asked::Import { messages, failing: dice.below(3) as usize }
}

/// A row that no import can put: a variant of nothing.
pub(crate) fn failing_row() -> (Key, ThingBody) {
    let variant = "es".parse().expect("a legal variant");
    let body = ThingBody {
        thing_type: "Gauge".parse().expect("a legal type"),
        visibility: Visibility::Public,
        content: None,
        code: None,
        data: None,
        embedding: None,
    };
    (Key { variant, ..Key::from(name(BULK, "none")) }, body)
}
