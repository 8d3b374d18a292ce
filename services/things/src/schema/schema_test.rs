//! What a schema takes and refuses, and what it says of data.

use super::*;

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap()
}

fn rule(text: &str) -> String {
    Schema::parse(text).unwrap_err().rule
}

fn breaches(schema: &Schema, data: &str) -> Vec<String> {
    let found = schema.breaches(Some(&Data::parse(data).unwrap()), MAX_BREACHES);
    found.into_iter().map(|Breach { at, rule }| format!("{at} {rule}")).collect()
}

#[test]
fn a_breach_is_told_with_its_place() {
    let schema = schema(
        r##"{"$defs":{"zip":{"$anchor":"zip","type":"string","pattern":"^[0-9]{5}$"}},
        "required":["name"],"properties":{"name":true,"address":{"properties":{"zip":{"$ref":"#zip"}}},
        "tags":{"items":{"type":"string"}},"a/b":{"anyOf":[{"type":"null"},{"const":1}]}},"additionalProperties":false}"##,
    );
    assert_eq!(breaches(&schema, r#"{"name":"x","address":{"zip":"12345"},"tags":["a"],"a/b":1.0}"#), [""; 0]);
    let data = r#"{"address":{"zip":"1"},"tags":["a",2],"a/b":2,"other":1}"#;
    assert_eq!(
        breaches(&schema, data),
        [
            " \"name\" is a required property",
            " Additional properties are not allowed ('other' was unexpected)",
            "/a~1b must satisfy one of #/properties/a~1b/anyOf",
            "/address/zip value does not match \"^[0-9]{5}$\"",
            "/tags/1 value is not of type \"string\"",
        ]
    );
}

#[test]
fn absent_data_are_an_empty_object() {
    assert!(schema(r#"{"type":"object"}"#).breaches(None, 1).is_empty());
    assert_eq!(schema(r#"{"required":["a"]}"#).breaches(None, 1).len(), 1);
    assert_eq!(schema("false").breaches(None, 9), [Breach { at: String::new(), rule: "must not be there".into() }]);
}

#[test]
fn no_more_of_the_data_is_told_than_a_little() {
    let schema = schema(r#"{"additionalProperties":false,"properties":{"a":{"enum":["b"]}}}"#);
    let long = "x".repeat(10_000);
    for rule in breaches(&schema, &format!(r#"{{"a":"{long}","{long}":1}}"#)) {
        assert!(rule.len() <= 130, "{rule}");
    }
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (text, expected) in [
        (r#"{"properties":{"x":{"minimum":"a"}}}"#, r#"/properties/x/minimum: "a" is not of type "number""#),
        (r#"{"properties":{"x":{"pattern":"(?=a)"}}}"#, "/properties/x/pattern: must be a regular expression that is"),
        (r#"{"pattern":"(\\d{1000}){1000}"}"#, "/pattern: must be a regular expression that is matched"),
        (r#"{"$ref":"https://example.com/x"}"#, "/$ref: must lead to a place in this schema"),
        (r#"{"items":{"$ref":"other.json#/a"}}"#, "/items/$ref: must lead to a place in this schema"),
        (r##"{"$ref":"#/$defs/none"}"##, "/$ref: leads to no place"),
        (r##"{"$ref":"#none"}"##, "/$ref: leads to no place"),
        (r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, "/$schema: must be https"),
        (r#"{"properties":{"x":{"$id":"https://example.com/"}}}"#, "/properties/x/$id: must stand at the top"),
        (r##"{"$dynamicRef":"#x"}"##, "/$dynamicRef: must be a $ref"),
        ("[]", "must be a JSON object"),
        (r#"{"a":1,"a":2}"#, "must not repeat the key"),
    ] {
        assert!(rule(text).starts_with(expected), "{text}: {}", rule(text));
    }
    assert!(Schema::parse(&format!(r#"{{"title":"{}"}}"#, "x".repeat(MAX_TEXT))).is_err());
}

#[test]
fn a_loop_about_one_value_is_refused_and_one_about_what_is_in_it_is_not() {
    assert!(rule(r##"{"$defs":{"a":{"anyOf":[{"$ref":"#"}]}},"$ref":"#/$defs/a"}"##).contains("lead back"));
    let tree = schema(r##"{"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}},"additionalProperties":false}"##);
    assert_eq!(breaches(&tree, r#"{"left":{"right":{"x":1}}}"#).len(), 1);
}

/// Parts that each lead twice to the next one.
fn doubling(count: usize, inner: bool) -> String {
    let part = |number: usize| {
        let twice = format!(r##"{{"allOf":[{{"$ref":"#/$defs/{0}"}},{{"$ref":"#/$defs/{0}"}}]}}"##, number + 1);
        let part = if inner { format!(r#"{{"properties":{{"x":{twice}}}}}"#) } else { twice };
        format!(r#""{number}":{part},"#)
    };
    let parts: String = (0..count).map(part).collect();
    format!(r##"{{"$ref":"#/$defs/0","$defs":{{{parts}"{count}":{{"title":"x"}}}}}}"##)
}

#[test]
fn a_schema_whose_parts_are_too_many_for_one_value_is_refused() {
    assert!(rule(&doubling(15, false)).contains("at most 10000 parts"));
    assert!(rule(&doubling(40, true)).contains("at most 10000 parts"));
    let chain = (0..40).map(|n| format!(r##""{n}":{{"$ref":"#/$defs/{}"}},"##, n + 1)).collect::<Vec<_>>().concat();
    assert!(rule(&format!(r##"{{"$ref":"#/$defs/0","$defs":{{{chain}"40":{{}}}}}}"##)).contains("at most 32 parts"));
    schema(&doubling(5, true));
}

#[test]
fn parts_that_lead_back_to_themselves_twice_are_judged_in_bounded_time() {
    let twice = schema(r##"{"properties":{"x":{"allOf":[{"$ref":"#"},{"$ref":"#"}]},"y":false}}"##);
    let deep = format!("{}{}{}", r#"{"x":"#.repeat(60), r#"{"y":1}"#, "}".repeat(60));
    let found = breaches(&twice, &deep);
    assert_eq!(found, [format!("{}/y must not be there", "/x".repeat(60))]);
}

#[test]
fn the_longest_chain_over_the_deepest_data_fits_a_thread() {
    let part = |n| format!(r##""{n}":{{"allOf":[{{"$ref":"#/$defs/{}"}}]}},"##, n + 1);
    let chain: String = (1..15).map(part).collect();
    let text = format!(r##"{{"$ref":"#/$defs/1","$defs":{{{chain}"15":{{"additionalProperties":{{"$ref":"#"}}}}}}}}"##);
    let deep = format!("{}1{}", r#"{"x":"#.repeat(63), "}".repeat(63));
    let judge = move || breaches(&schema(&text), &deep);
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(judge).unwrap();
    assert_eq!(thread.join().unwrap(), [""; 0]);
}

#[test]
fn a_hostile_pattern_is_matched_in_linear_time() {
    let schema = schema(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#);
    assert_eq!(breaches(&schema, &format!(r#"{{"a":"{}b"}}"#, "a".repeat(500_000))).len(), 1);
}

#[test]
fn formats_are_not_asserted_and_numbers_are_doubles() {
    assert_eq!(breaches(&schema(r#"{"properties":{"a":{"format":"email"}}}"#), r#"{"a":"no"}"#), [""; 0]);
    let schema = schema(r#"{"properties":{"a":{"type":"integer","maximum":5}}}"#);
    assert_eq!(breaches(&schema, r#"{"a":5.0}"#), [""; 0]);
    assert_eq!(breaches(&schema, &format!(r#"{{"a":1{}e308}}"#, "0".repeat(60))).len(), 1);
}
