//! JSON: what is taken, what is refused, and what is kept.

mod properties;

use domain::{
    Data, Json,
    json::{self, merge_patch, parse},
};

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(parse(text).unwrap_err().to_string(), message);
}

#[test]
fn key_order_and_lexemes_are_kept() {
    let text = r#"{"b":1.50,"a":[-0,1E+2,100000000000000000000000000000000001],"":{}}"#;
    assert_eq!(parse(text).unwrap().to_string(), text);
    let compact = r#"{"é/\u001f":"\"\\\b\f\n\r\té😀"}"#;
    let loose = r#" { "\u00E9\/\u001F" : "\"\\\u0008\f\u000a\r\t\u00e9\uD83D\uDE00" } "#;
    assert_eq!(parse(loose).unwrap().to_string(), compact);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    refused("", "must be JSON: a value is missing (at byte 0)");
    refused("{\"a\":tru}", "must be JSON: a value is missing (at byte 5)");
    refused("[1,]", "must be JSON: a value is missing (at byte 3)");
    refused("[1 2]", "must be JSON: , or ] is missing (at byte 3)");
    refused("{\"a\":1,}", "must be JSON: a key in quotes is missing (at byte 7)");
    refused("{\"a\" 1}", "must be JSON: : is missing (at byte 5)");
    refused("{\"a\":1", "must be JSON: , or } is missing (at byte 6)");
    refused("\"a\nb\"", "must be JSON: a control character in a string must be escaped (at byte 2)");
    refused("\"a", "must be JSON: a string has no end (at byte 2)");
    refused(r#""\x""#, "must be JSON: an escape in a string is unknown (at byte 2)");
    refused(r#""\u12x4""#, "must be JSON: \\u in a string needs four hexadecimal digits (at byte 5)");
    refused("-", "must be JSON: a digit is missing in a number (at byte 1)");
    refused("1.e5", "must be JSON: a digit is missing in a number (at byte 2)");
    refused("01", "must be one JSON value, with nothing after it (at byte 1)");
    refused("{} {}", "must be one JSON value, with nothing after it (at byte 3)");
}

#[test]
fn a_repeated_key_is_refused() {
    refused(r#"{"a":1,"b":{"a":2,"c":0,"a":2}}"#, "must not repeat the key \"a\" in an object (at byte 12)");
    refused(r#"{"a":1,"\u0061":1}"#, "must not repeat the key \"a\" in an object (at byte 1)");
    let keys: Vec<String> = (0..60_000).map(|number| format!("\"k{number}\":0")).collect();
    let many = format!("{{{},\"k7\":1}}", keys.join(","));
    refused(&many, "must not repeat the key \"k7\" in an object (at byte 1)");
    assert_eq!(parse(r#"[{"a":1},{"a":1}]"#).unwrap().as_array().map(<[Json]>::len), Some(2));
}

#[test]
fn nul_and_half_surrogates_are_refused() {
    refused(r#""a\u0000""#, "must not contain \\u0000 (at byte 3)");
    refused("\"\0\"", "must be JSON: a control character in a string must be escaped (at byte 1)");
    for half in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#, r#""\ud800x""#] {
        refused(half, "must not contain half a surrogate pair (at byte 2)");
    }
    assert_eq!(parse(r#""\ud800\udc00\udbff\udfff""#), Ok(Json::from("\u{10000}\u{10ffff}")));
}

#[test]
fn a_number_has_64_digits_and_an_exponent_within_308() {
    let long = "1".repeat(64);
    for number in [long.clone(), format!("-{long}e-308"), format!("0.{}", &long[1..]), "1e+0308".into(), "1E308".into()]
    {
        assert_eq!(parse(&number).unwrap().to_string(), number);
    }
    for number in [format!("{long}1"), format!("1.{long}"), format!("1e{}", "0".repeat(65)), "9".repeat(1 << 20)] {
        refused(&number, "must have numbers of at most 64 digits (at byte 0)");
    }
    for number in ["1e309", "1e-309", "1e99999999999999999999"] {
        refused(number, "must have numbers with an exponent within ±308 (at byte 0)");
    }
}

#[test]
fn nesting_ends_at_64_also_in_a_mebibyte_of_it() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(parse(&nested(64)).unwrap().to_string(), nested(64));
    refused(&nested(65), "must be nested at most 64 deep (at byte 64)");
    refused(&"[".repeat(1 << 20), "must be nested at most 64 deep (at byte 64)");
    refused(&"{\"a\":".repeat(1 << 18), "must be nested at most 64 deep (at byte 320)");
    assert!(json::parse_to_depth(&nested(66), 66).is_ok());
    let wide = format!("[{}[]]", "[{}],".repeat(100));
    assert_eq!(parse(&wide).unwrap().to_string(), wide);
}

#[test]
fn the_examples_of_rfc_7396_hold() {
    for (target, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let merged = merge_patch(parse(target).unwrap(), parse(patch).unwrap());
        assert_eq!(merged.to_string(), result, "{target} changed by {patch}");
    }
}

#[test]
fn a_merge_patch_keeps_the_order_of_keys() {
    let target = parse(r#"{"c":1,"a":2,"b":3}"#).unwrap();
    let patch = parse(r#"{"z":0,"b":{"y":1},"y":0,"c":1.0,"a":null}"#).unwrap();
    assert_eq!(merge_patch(target, patch).to_string(), r#"{"c":1.0,"b":{"y":1},"z":0,"y":0}"#);
}

#[test]
fn values_are_made_and_read_by_name() {
    let items = Json::from(vec![Json::from(1_i64), Json::Null]);
    let value = Json::object([("text", Json::from("a")), ("truth", true.into()), ("items", items)]);
    assert_eq!(value.to_string(), r#"{"text":"a","truth":true,"items":[1,null]}"#);
    assert_eq!(value.get("text").and_then(Json::as_str), Some("a"));
    assert_eq!(value.get("truth").and_then(Json::as_bool), Some(true));
    let items = value.get("items").and_then(Json::as_array).unwrap();
    assert_eq!((items[0].as_u64(), items[0].as_i64(), items[1].is_null()), (Some(1), Some(1), true));
    assert_eq!((value.get("none"), items[0].get("a")), (None, None));
}

#[test]
fn data_is_an_object_kept_as_compact_text() {
    let data = Data::parse(" { \"b\" : 1.0 , \"a\" : \"\\u0041\" } ").unwrap();
    assert_eq!(data.as_str(), r#"{"b":1.0,"a":"A"}"#);
    assert_eq!(Data::try_from(data.to_json()), Ok(data.clone()));
    assert_ne!(Data::parse(r#"{"b":1,"a":"A"}"#), Ok(data.clone()));
    assert_ne!(Data::parse(r#"{"a":"A","b":1.0}"#), Ok(data));
    for text in ["[]", "null", "\"a\"", "1"] {
        assert_eq!(Data::parse(text).unwrap_err().to_string(), "data: must be a JSON object");
    }
    assert_eq!(Data::parse("{").unwrap_err().to_string(), "data: must be JSON: a key in quotes is missing (at byte 1)");
}

#[test]
fn data_has_at_most_a_mebibyte_of_compact_text() {
    let of_length = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    let longest = of_length(Data::MAX_BYTES);
    assert_eq!(Data::parse(&format!("  {longest}  ")).unwrap().as_str(), longest);
    let refusal = Data::parse(&of_length(Data::MAX_BYTES + 1)).unwrap_err();
    assert_eq!(refusal.to_string(), "data: must be at most 1 MiB as compact text");
}
