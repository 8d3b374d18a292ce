//! Names and their URLs: the rules, one by one, with what a refusal says.

mod properties;

use domain::{Id, Invalid, Key, Namespace, Path, Style, Variant, url};

fn key(ns: &str, style: Style, id: &str) -> Key {
    Key::canonical(ns.parse().unwrap(), Id::parse(id, style).unwrap())
}

fn url_of(id: &str, style: Style) -> String {
    url::encode(&key("onet", style, id), style)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>, field: &str, rule: &str) {
    assert_eq!(result.unwrap_err(), Invalid::new(field, rule));
}

#[test]
fn the_examples_hold() {
    for (ns, style, id, url) in [
        ("onet", Style::Wiki, "15-1252.00", "/onet/15-1252.00"),
        ("onet", Style::Wiki, "Software developer", "/onet/Software_developer"),
        ("en.wikipedia.org", Style::Wiki, "Software developer", "/en.wikipedia.org/Software_developer"),
        ("github.com/repos", Style::Literal, "dot-do/workers", "/github.com/repos/dot-do/workers"),
        ("stripe.com/api", Style::Literal, "customers/cus_123", "/stripe.com/api/customers/cus_123"),
    ] {
        let key = key(ns, style, id);
        assert_eq!(url::encode(&key, style), url);
        let path = Path::decode_url(url).unwrap();
        let kept = if style == Style::Wiki { path.with_spaces() } else { path.as_is().into() };
        assert_eq!(kept, format!("{ns}/{id}"));
        assert!(path.splits().contains(&(key.ns, kept.split_at(ns.len() + 1).1.replace(' ', "_").as_str())));
    }
}

#[test]
fn a_url_leaves_literal_what_mediawiki_does() {
    let printable: String = (b'!'..=b'~').map(char::from).filter(|character| !"#/_".contains(*character)).collect();
    let literal: String = url_of(&printable, Style::Literal)["/onet/".len()..]
        .split('%')
        .enumerate()
        .flat_map(|(place, rest)| rest.chars().skip(if place == 0 { 0 } else { 2 }))
        .collect();
    assert_eq!(literal, "!$()*,-.0123456789:;@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz~");
}

#[test]
fn escapes_are_upper_case_hex_of_utf_8() {
    assert_eq!(url_of("é?", Style::Wiki), "/onet/%C3%A9%3F");
    assert_eq!(
        url_of("100% [a] {b} \"c\" 'd' a&b=c+d", Style::Wiki),
        "/onet/100%25_%5Ba%5D_%7Bb%7D_%22c%22_%27d%27_a%26b%3Dc%2Bd"
    );
}

#[test]
fn a_space_is_an_underscore_in_a_wiki_and_an_escape_elsewhere() {
    assert_eq!(url_of("a b", Style::Wiki), "/onet/a_b");
    assert_eq!(url_of("a_b", Style::Wiki), "/onet/a_b");
    assert_eq!(url_of("a b", Style::Literal), "/onet/a%20b");
    assert_eq!(url_of("a_b", Style::Literal), "/onet/a_b");
    assert_eq!(url_of(" a  b ", Style::Literal), "/onet/%20a%20%20b%20");
}

#[test]
fn a_tilde_guards_segments_that_proxies_change() {
    for (id, url) in [
        ("a//b", "/onet/a/~/b"),
        ("a/", "/onet/a/~"),
        (".", "/onet/~."),
        ("../..", "/onet/~../~.."),
        ("a/./b", "/onet/a/~./b"),
        ("~", "/onet/~~"),
        ("~joe/~", "/onet/~~joe/~~"),
        ("...", "/onet/..."),
        ("a~", "/onet/a~"),
    ] {
        for style in [Style::Wiki, Style::Literal] {
            assert_eq!(url_of(id, style), url);
            assert_eq!(Path::decode_url(url).unwrap().as_is(), format!("onet/{id}"));
        }
    }
}

#[test]
fn a_tilde_that_guards_nothing_belongs_to_the_id() {
    assert_eq!(Path::decode_url("/onet/~joe").unwrap().as_is(), "onet/~joe");
    assert_eq!(Path::decode_url("/onet/%7E%7Ejoe").unwrap().as_is(), "onet/~joe");
}

#[test]
fn segments_that_proxies_change_are_refused_unguarded() {
    for url in [
        "/onet/a//b",
        "/onet/a/",
        "/onet/./a",
        "/onet/a/..",
        "/onet/%2e%2E/a",
        "/onet/a%2F%2Fb",
        "//onet/a",
        "/onet/a/..%23es",
    ] {
        refused(Path::decode_url(url), "path", "must write a segment that is empty, . or .. with a ~ in front");
    }
}

#[test]
fn a_url_is_decoded_exactly_once() {
    assert_eq!(Path::decode_url("/onet/a%252Fb").unwrap().as_is(), "onet/a%2Fb");
    assert_eq!(Path::decode_url("/onet/a%2Fb"), Path::decode_url("/onet/a/b"));
    assert_eq!(Path::decode_url("/onet/a+b").unwrap().as_is(), "onet/a+b");
}

#[test]
fn broken_escapes_are_refused() {
    for url in ["/onet/100%", "/onet/%4", "/onet/%zz", "/onet/%%41"] {
        refused(Path::decode_url(url), "path", "must have two hexadecimal digits after each %");
    }
    for url in ["/onet/%ff", "/onet/%C3", "/onet/%ED%A0%80", "/onet/%C0%AF"] {
        refused(Path::decode_url(url), "path", "must be UTF-8 when percent-decoded");
    }
    refused(Path::decode_url("onet/a"), "path", "must begin with a slash");
}

#[test]
fn a_variant_is_the_end_of_the_path() {
    let spanish = Key { variant: "es-MX".parse().unwrap(), ..key("onet", Style::Wiki, "Software developer") };
    assert_eq!(spanish.to_string(), "onet/Software developer#es-mx");
    assert_eq!(spanish.entity_id(), "Software developer#es-mx");
    assert_eq!(url::encode(&spanish, Style::Wiki), "/onet/Software_developer%23es-mx");
    let path = Path::decode_url("/onet/Software_developer%23es-MX").unwrap();
    assert_eq!((path.as_is(), path.variant()), ("onet/Software_developer", &spanish.variant));
    assert_eq!(path.with_spaces(), "onet/Software developer");
}

#[test]
fn a_path_takes_one_variant() {
    let rule = "must match [a-z0-9-]{1,64}";
    for text in ["onet/a#", "onet/a#b#c", "onet/a#b/c", "onet/a#é"] {
        refused(text.parse::<Path>(), "variant", rule);
    }
    let (es, de): (Variant, Variant) = ("es".parse().unwrap(), "de".parse().unwrap());
    let path: Path = "onet/a".parse().unwrap();
    let spanish = path.with_variant(es.clone()).unwrap();
    assert_eq!(spanish.to_string(), "onet/a#es");
    assert_eq!(spanish.clone().with_variant(es), Ok(spanish.clone()));
    refused(spanish.with_variant(de), "variant", "must be the one that the path names");
}

#[test]
fn a_variant_is_a_short_word() {
    let longest = "x".repeat(64);
    assert_eq!(longest.parse::<Variant>().unwrap().as_str(), longest);
    for text in ["", "a b", "a_b", "a.b", "é", &"x".repeat(65)] {
        refused(text.parse::<Variant>(), "variant", "must match [a-z0-9-]{1,64}");
    }
    assert!(Variant::canonical().is_canonical());
}

#[test]
fn a_namespace_looks_like_a_domain() {
    let longest = "x".repeat(255);
    for text in ["onet", "en.wikipedia.org", "github.com/repos", "a/b/c", "...", "-", &longest] {
        assert_eq!(text.parse::<Namespace>().unwrap().as_str(), text);
    }
    for text in ["Onet", "a_b", "a b", "/a", "a/", "a//b", "é", "a#b", "a%20b", "a\0", "~a"] {
        refused(text.parse::<Namespace>(), "ns", "must match [a-z0-9.-]+(/[a-z0-9.-]+)*");
    }
    for text in [".", "..", "a/.", "../a"] {
        refused(text.parse::<Namespace>(), "ns", "must not have a segment . or ..");
    }
    refused("".parse::<Namespace>(), "ns", "is required");
    refused("x".repeat(256).parse::<Namespace>(), "ns", "must be at most 255 bytes");
}

#[test]
fn what_belongs_to_the_web_is_no_namespace() {
    let rule = "must not be .well-known, favicon.ico or robots.txt, which are reserved";
    for text in [".well-known", ".well-known/acme", "favicon.ico", "robots.txt"] {
        refused(text.parse::<Namespace>(), "ns", rule);
    }
    refused(Path::decode_url("/.well-known/acme"), "path", &format!("must begin with a namespace, which {rule}"));
    assert!("a/robots.txt".parse::<Namespace>().is_ok());
}

#[test]
fn a_style_is_wiki_or_literal() {
    assert_eq!(("wiki".parse(), "literal".parse()), (Ok(Style::Wiki), Ok(Style::Literal)));
    refused("Wiki".parse::<Style>(), "style", "must be wiki or literal");
}

#[test]
fn an_id_has_a_length() {
    for style in [Style::Wiki, Style::Literal] {
        assert!(Id::parse(&"é".repeat(1_024), style).is_ok());
        refused(Id::parse(&"x".repeat(2_049), style), "id", "must be at most 2,048 bytes");
        refused(Id::parse("", style), "id", "is required");
    }
}

#[test]
fn an_id_starts_with_no_slash_and_has_no_hash() {
    refused(Id::parse("/a", Style::Literal), "id", "must not start with a slash");
    refused(Id::parse("a#es", Style::Wiki), "id", "must not contain #, which begins a variant");
}

#[test]
fn a_wiki_id_has_single_spaces_within() {
    let rule = "must not have leading, trailing or double spaces (or _, which is a space in a wiki)";
    for text in [" a", "a ", "a  b", "_a", "a_", "a__b", "a _b", "_", " "] {
        refused(Id::parse(text, Style::Wiki), "id", rule);
        assert_eq!(Id::parse(text, Style::Literal).unwrap().as_str(), text);
    }
    assert_eq!(Id::parse("a_b c", Style::Wiki).unwrap().as_str(), "a b c");
}

#[test]
fn an_id_is_in_nfc_and_case_counts() {
    refused(Id::parse("e\u{301}", Style::Wiki), "id", "must be in Unicode normalisation form C");
    refused(Id::parse("\u{212b}", Style::Literal), "id", "must be in Unicode normalisation form C");
    assert_ne!(Id::parse("É", Style::Wiki), Id::parse("é", Style::Wiki));
}

#[test]
fn an_id_has_no_characters_that_deceive() {
    for (characters, rule) in [
        ("\0\u{1}\t\n\r\u{1f}\u{7f}\u{80}\u{85}\u{9f}", "must not contain control characters"),
        ("\u{e000}\u{f8ff}\u{f0000}\u{10fffd}", "must not contain private-use characters"),
        ("\u{378}\u{fdd0}\u{ffff}\u{1fffe}\u{10ffff}", "must not contain unassigned characters"),
        (
            "\u{a0}\u{1680}\u{2000}\u{2003}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}",
            "must not contain a space other than U+0020",
        ),
        (
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
            "must not contain bidirectional controls",
        ),
    ] {
        for character in characters.chars() {
            for text in [format!("a{character}"), format!("é{character}b")] {
                refused(Id::parse(&text, Style::Literal), "id", rule);
                refused(format!("onet/{text}").parse::<Path>(), "path", rule);
            }
        }
    }
}

#[test]
fn an_id_may_have_letters_marks_and_emoji_of_any_script() {
    for text in ["東京", "नमस्ते", "مرحبا", "👩\u{200d}💻", "a\u{ad}b", "Ωmega", "x²+y²"] {
        assert_eq!(Id::parse(text, Style::Wiki).unwrap().as_str(), text);
    }
}

#[test]
fn a_path_offers_every_split_longest_namespace_first() {
    let path = Path::decode_url("/github.com/repos/dot-do/workers").unwrap();
    let splits: Vec<(String, &str)> = path.splits().into_iter().map(|(ns, id)| (ns.to_string(), id)).collect();
    let expected = [
        ("github.com/repos/dot-do", "workers"),
        ("github.com/repos", "dot-do/workers"),
        ("github.com", "repos/dot-do/workers"),
    ];
    assert_eq!(splits, expected.map(|(ns, id)| (ns.to_owned(), id)));
    let path: Path = "onet/a//b/".parse().unwrap();
    assert_eq!(path.splits(), [("onet".parse().unwrap(), "a//b/")]);
    assert_eq!(path.first_segment(), "onet");
}

#[test]
fn a_path_is_a_namespace_and_an_id() {
    let rule = "must have an id, which must not start with a slash, after the namespace";
    for text in ["onet", "onet/", "onet//a"] {
        refused(text.parse::<Path>(), "path", rule);
    }
    refused("".parse::<Path>(), "path", "is required");
    refused(
        Path::decode_url("/_/healthz"),
        "path",
        "must begin with a namespace, which must match [a-z0-9.-]+(/[a-z0-9.-]+)*",
    );
    refused(
        format!("a/{}", "x".repeat(2_304)).parse::<Path>(),
        "path",
        "must be at most 2,304 bytes without its variant",
    );
}

#[test]
fn a_refusal_says_where_it_lies() {
    let error = Id::parse("", Style::Wiki).unwrap_err().within("key").within("thing");
    assert_eq!(error.to_string(), "thing.key.id: is required");
}
