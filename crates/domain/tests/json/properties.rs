//! What holds for every text and value, with `serde_json` for comparison.

use std::{collections::BTreeSet, fmt::Write as _};

use domain::{
    Json,
    json::{self, merge_patch, parse},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, value::RawValue};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn compact_text_says_the_same_value(value in any_json()) {
        prop_assert_eq!(parse(&value.to_string()), Ok(value));
    }

    #[test]
    fn spaces_and_escapes_do_not_change_the_value(value in any_json(), choices in any::<u64>()) {
        let mut text = String::new();
        write_loosely(&value, &mut Choices(choices | 1), &mut text);
        prop_assert_eq!(parse(&text), Ok(value), "{}", text);
    }

    #[test]
    fn a_value_is_the_one_that_serde_json_reads(value in any_json(), choices in any::<u64>()) {
        let mut text = String::new();
        write_loosely(&value, &mut Choices(choices | 1), &mut text);
        if let Ok(theirs) = serde_json::from_str::<Value>(&text) {
            prop_assert!(is_same(&value, &theirs), "{text}");
        }
    }

    #[test]
    fn a_text_is_json_if_serde_json_says_so(text in token_soup()) {
        let theirs = serde_json::from_str::<&RawValue>(&text);
        match parse(&text) {
            Ok(_) => prop_assert!(theirs.is_ok(), "{text}"),
            Err(error) if is_of_ours(&error) => {}
            Err(error) => prop_assert!(theirs.is_err(), "{text}: {error}"),
        }
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
        let mut written = String::new();
        json::write_string(&mut written, &text);
        prop_assert_eq!(written, serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn a_merge_patch_does_what_the_rfc_says(target in any_json(), patch in any_json()) {
        let theirs = merge_by_the_rfc(to_serde(&target), &to_serde(&patch));
        prop_assert_eq!(to_serde(&merge_patch(target, patch)), theirs);
    }

    #[test]
    fn a_merge_patch_changes_nothing_the_second_time(target in any_json(), patch in any_json()) {
        let once = merge_patch(target, patch.clone());
        prop_assert_eq!(merge_patch(once.clone(), patch), once);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let number = "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?";
    let text = prop_oneof![any::<String>(), "[a-c\"\\\\\n\t\u{1f}\u{7f}é\u{2028}😀/]{0,4}"]
        .prop_map(|text| text.replace('\0', "0"));
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        number.prop_map(|lexeme| Json::Number(lexeme.into())),
        text.clone().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let key = prop_oneof![select(vec!["a", "b", "c", ""]).prop_map(String::from), text.clone()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((key, inner), 0..6).prop_map(|mut members| {
                let mut seen = BTreeSet::new();
                members.retain(|(key, _)| seen.insert(key.clone()));
                Json::object(members)
            }),
        ]
    })
}

/// Nearly JSON.
fn token_soup() -> impl Strategy<Value = String> {
    let token = select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\":",
        "\"",
        "\\",
        "\\u00e9",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "null",
        "true",
        "false",
        "nul",
        "0",
        "-",
        "1.5",
        "01",
        "1e5",
        "1e",
        ".5",
        "1.",
        "+1",
        "NaN",
        " ",
        "\n",
        "\t",
        "\u{c}",
        "\u{a0}",
        "\u{feff}",
        "é",
        "//",
        "'a'",
    ]);
    let structured = any_json().prop_map(|value| value.to_string());
    let broken = (structured, any::<prop::sample::Index>(), token.clone()).prop_map(|(mut text, place, token)| {
        let place = place.index(text.len() + 1);
        let place = (0..=place).rev().find(|&place| text.is_char_boundary(place)).unwrap();
        text.insert_str(place, token);
        text
    });
    prop_oneof![prop::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat()), broken, any::<String>()]
}

/// Whether a refusal is by a rule that RFC 8259 does not have.
fn is_of_ours(error: &json::Error) -> bool {
    !error.rule.starts_with("must be JSON") && !error.rule.starts_with("must be one JSON value")
}

/// Cheap choices from a seed that is not 0 (xorshift).
struct Choices(u64);

impl Choices {
    fn of(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % count
    }

    fn space(&mut self) -> &'static str {
        ["", "", " ", "\n", "\t", "\r\n  "][self.of(6) as usize]
    }
}

/// The value as text, with spaces and escapes that it need not have.
fn write_loosely(value: &Json, choices: &mut Choices, text: &mut String) {
    text.push_str(choices.space());
    match value {
        Json::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                write_loosely(item, choices, text);
            }
            text.push_str(choices.space());
            text.push(']');
        }
        Json::Object(members) => {
            text.push('{');
            for (place, (key, value)) in members.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                write_loosely(&Json::string(key.clone()), choices, text);
                text.push(':');
                write_loosely(value, choices, text);
            }
            text.push_str(choices.space());
            text.push('}');
        }
        Json::String(string) => {
            text.push('"');
            for character in string.chars() {
                let is_bare = character >= ' ' && !"\"\\".contains(character);
                match choices.of(4) {
                    0 if character == '/' => text.push_str("\\/"),
                    0..=2 if is_bare => text.push(character),
                    _ => {
                        for unit in character.encode_utf16(&mut [0; 2]) {
                            write!(text, "\\u{unit:04X}").unwrap();
                        }
                    }
                }
            }
            text.push('"');
        }
        _ => text.push_str(&value.to_string()),
    }
    text.push_str(choices.space());
}

fn is_same(ours: &Json, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        (Json::String(ours), Value::String(theirs)) => **ours == **theirs,
        (Json::Number(_), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= ours.abs() * 1e-15
        }
        (Json::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
        }
        (Json::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, ours)| theirs.get(&**key).is_some_and(|theirs| is_same(ours, theirs)))
        }
        _ => false,
    }
}

fn to_serde(value: &Json) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

/// The pseudocode of RFC 7396, section 2.
fn merge_by_the_rfc(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut merged = if let Value::Object(members) = target { members } else { serde_json::Map::new() };
    for (key, change) in changes {
        if change.is_null() {
            merged.remove(key);
        } else {
            let member = merged.remove(key).unwrap_or(Value::Null);
            merged.insert(key.clone(), merge_by_the_rfc(member, change));
        }
    }
    Value::Object(merged)
}
