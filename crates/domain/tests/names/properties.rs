//! What holds for every name and every URL.

use std::collections::BTreeSet;

use domain::{Id, Key, Namespace, Path, Style, Variant, url};
use percent_encoding::{percent_decode_str, percent_encode_byte};
use proptest::{prelude::*, sample::select};
use unicode_normalization::UnicodeNormalization as _;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_decoded_url_is_the_name_that_was_encoded((key, style) in any_key()) {
        let path = Path::decode_url(&url::encode(&key, style)).unwrap();
        prop_assert_eq!(kept(&path, style), key.name().to_string());
        prop_assert_eq!(path.variant(), &key.variant);
        prop_assert!(readings(&path, style).contains(&key), "{:?}", path.splits());
    }

    #[test]
    fn a_url_is_normal_by_rfc_3986((key, style) in any_key()) {
        let url = url::encode(&key, style);
        prop_assert_eq!(normalise_by_rfc_3986(&url), url);
    }

    #[test]
    fn a_browser_leaves_a_url_alone((key, style) in any_key()) {
        let url = url::encode(&key, style);
        let browsed = ::url::Url::parse("http://localhost:8080").unwrap().join(&url).unwrap();
        prop_assert_eq!(browsed.path(), url);
        prop_assert_eq!((browsed.query(), browsed.fragment()), (None, None));
    }

    #[test]
    fn merging_slashes_leaves_a_url_alone((key, style) in any_key()) {
        let url = url::encode(&key, style);
        prop_assert!(!url.contains("//") && !url.ends_with('/'), "{url}");
    }

    #[test]
    fn a_url_is_the_same_with_every_character_escaped((key, style) in any_key()) {
        let url = url::encode(&key, style);
        let escaped: String = decode_once(&url).bytes().skip(1).map(percent_encode_byte).collect();
        prop_assert_eq!(Path::decode_url(&format!("/{escaped}")), Path::decode_url(&url));
        prop_assert_eq!(Path::decode_url(&format!("/{}", escaped.to_lowercase())), Path::decode_url(&url));
    }

    #[test]
    fn decoded_text_is_read_as_its_url_is((key, style) in any_key()) {
        let path: Path = key.to_string().parse().unwrap();
        let from_url = Path::decode_url(&url::encode(&key, style)).unwrap();
        prop_assert_eq!(kept(&path, style), kept(&from_url, style));
        prop_assert_eq!(path.to_string(), key.to_string());
    }

    #[test]
    fn a_redirect_to_the_canonical_url_arrives(request in request_path(), style in any_style()) {
        let Ok(path) = Path::decode_url(&request) else { return Ok(()) };
        for key in readings(&path, style) {
            let canonical = url::encode(&key, style);
            let arrived = Path::decode_url(&canonical).unwrap();
            prop_assert_eq!(kept(&arrived, style), kept(&path, style));
            prop_assert!(readings(&arrived, style).iter().all(|again| url::encode(again, style) == canonical));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        let _ = (Path::decode_url(&text), text.parse::<Path>(), text.parse::<Namespace>(), text.parse::<Variant>());
        let _ = (Id::parse(&text, Style::Wiki), Id::parse(&text, Style::Literal));
    }
}

#[test]
fn two_names_have_two_urls() {
    let segments = ["", ".", "..", "~", "~.", "~~", "b", "%2F", "%7E", "b c", "b_c", "B"];
    let mut ids: Vec<String> = Vec::new();
    for one in segments {
        ids.push(one.into());
        ids.extend(segments.map(|other| format!("{one}/{other}")));
        ids.extend(segments.map(|other| format!("{one}/b/{other}")));
    }
    for style in [Style::Wiki, Style::Literal] {
        let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
        for (ns, id) in ["a", "a/b", "a/b/b"].iter().flat_map(|ns| ids.iter().map(move |id| (ns, id))) {
            let Ok(id) = Id::parse(id, style) else { continue };
            let key = Key::canonical(ns.parse().unwrap(), id);
            urls.insert(url::encode(&key, style));
            names.insert(key.to_string());
        }
        assert_eq!(urls.len(), names.len());
        assert!(names.len() > 500, "{}", names.len());
    }
}

/// The path as a namespace of that style keeps it.
fn kept(path: &Path, style: Style) -> String {
    match style {
        Style::Wiki => path.with_spaces().into_owned(),
        Style::Literal => path.as_is().into(),
    }
}

/// Every key that the path may mean if all namespaces are of that style.
fn readings(path: &Path, style: Style) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for (ns, id) in path.splits() {
        if let Ok(id) = Id::parse(id, style) {
            keys.insert(Key { ns, id, variant: path.variant().clone() });
        }
    }
    keys
}

fn any_style() -> impl Strategy<Value = Style> {
    select(vec![Style::Wiki, Style::Literal])
}

fn any_key() -> impl Strategy<Value = (Key, Style)> {
    let ns = "[a-z0-9.-]{1,6}(/[a-z0-9.-]{1,6}){0,2}".prop_filter_map("reserved or dots", |ns| ns.parse().ok());
    let character = prop_oneof![
        4 => any::<char>(),
        4 => prop::char::range(' ', '~'),
        1 => select(vec!['_', ' ', '%', '+', '\\', '|', '?', ';', '\u{e9}', '\u{1f600}', '\u{ac00}', '\u{200d}']),
    ];
    let segment = prop_oneof![
        2 => prop::collection::vec(character, 0..8).prop_map(String::from_iter),
        1 => select(AWKWARD).prop_map(String::from),
    ];
    let segments = prop::collection::vec(segment, 1..5);
    let variant = select(vec!["", "es", "es-mx"]).prop_map(|variant| variant.parse().unwrap_or(Variant::canonical()));
    (ns, segments, variant, any_style()).prop_filter_map("not an id", |(ns, segments, variant, style)| {
        let id = nearest_id(&segments.join("/"), style)?;
        Some((Key { ns, id, variant }, style))
    })
}

const AWKWARD: &[&str] =
    &["", ".", "..", "...", "~", "~~", "~.", "~..", "%2e", "%2E.", "%2F", "%7E", "%23es", "a_b", "_"];

/// `text` without what an id of that style must not have.
fn nearest_id(text: &str, style: Style) -> Option<Id> {
    let is_legal = |character: &char| *character == '/' || Id::from_canonical(&character.nfc().to_string()).is_ok();
    let mut text: String = text.chars().filter(is_legal).nfc().collect();
    if style == Style::Wiki {
        let words: Vec<&str> = text.split([' ', '_']).filter(|word| !word.is_empty()).collect();
        text = words.join(" ");
    }
    Id::parse(text.trim_start_matches(['/', ' ']), style).ok()
}

/// What a client may send: canonical or not, legal or not.
fn request_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(vec!["/", "a", "b", "_", "%20", " ", ".", "..", "~", "~~", "%2F", "%7e", "%41", "%23es", "%C3%A9", "#"]),
        1 => select(vec!["%", "%zz", "%00", "%ff", "%E2%80%AE", "?", "e%CC%81", "%EF%BF%BF"]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/a/{}", pieces.concat()))
}

fn decode_once(url: &str) -> String {
    percent_decode_str(url).decode_utf8().unwrap().into_owned()
}

/// Section 6.2.2: upper-case escapes, none of unreserved characters, no dot segments.
fn normalise_by_rfc_3986(path: &str) -> String {
    let mut bytes = path.bytes();
    let mut unescaped = String::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            unescaped.push(char::from(byte));
            continue;
        }
        let mut digit = || char::from(bytes.next().unwrap()).to_digit(16).unwrap() as u8;
        let escaped = digit() << 4 | digit();
        if escaped.is_ascii_alphanumeric() || b"-._~".contains(&escaped) {
            unescaped.push(char::from(escaped));
        } else {
            unescaped.push_str(percent_encode_byte(escaped));
        }
    }
    let mut kept = Vec::new();
    let last = unescaped.matches('/').count() - 1;
    for (place, segment) in unescaped.split('/').skip(1).enumerate() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
        if place == last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}
