//! A thing as a page for people.
//!
//! Owns the page. Content is Markdown of strangers: its HTML is shown as text, its links lead only to the web, to mail
//! and within this server, and nothing of it is loaded.

use std::fmt::Write as _;

use domain::Json;
use proto::things::v1::Thing;
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// The page may load its style sheet and nothing else.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The style sheet of every page.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The page of a state that lives, or lived, at `url`.
pub(crate) fn page(thing: &Thing, url: &str) -> String {
    let key = thing.key.clone().unwrap_or_default();
    let data = thing.data.as_deref().and_then(|data| domain::json::parse(data).ok());
    let title = escape(data.as_ref().and_then(title).unwrap_or(&key.id));
    let content = thing.content.as_deref().unwrap_or_default();
    let (ns, kind, url) = (escape(&key.ns), escape(&thing.r#type), escape(url));
    let variant = if key.variant.is_empty() { String::new() } else { format!(" · {}", escape(&key.variant)) };

    let mut page = String::with_capacity(1_024 + 2 * content.len() + thing.data.as_ref().map_or(0, String::len));
    let _ = write!(
        page,
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/_/style.css\">\n</head>\n<body>\n\
         <header><a href=\"/{ns}/\">{ns}</a> · {kind}{variant}</header>\n<main>\n"
    );
    if !content.trim_start().starts_with("# ") {
        let _ = writeln!(page, "<h1>{title}</h1>");
    }
    pulldown_cmark::html::push_html(&mut page, harmless(content));
    if let Some(members) = data.as_ref().and_then(Json::as_object).filter(|members| !members.is_empty()) {
        table(&mut page, members);
    }
    // A variant has a history of its own, but no relationships.
    let canonical = url.split("%23").next().unwrap_or(&url);
    let etag = escape(&thing.etag);
    let _ = write!(
        page,
        "</main>\n<footer><a href=\"{url}?view=history\">History</a> · \
         <a href=\"{canonical}?view=relationships\">Relationships</a> · {etag}</footer>\n</body>\n</html>\n"
    );
    page
}

/// The member `title` or `name`, in any letter case.
fn title(data: &Json) -> Option<&str> {
    let is_title = |name: &str| name.eq_ignore_ascii_case("title") || name.eq_ignore_ascii_case("name");
    data.as_object()?.iter().find(|(name, _)| is_title(name)).and_then(|(_, value)| value.as_str())
}

fn table(page: &mut String, members: &[(Box<str>, Json)]) {
    page.push_str("<table>\n");
    for (name, value) in members {
        let _ = match value {
            Json::String(text) => writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(text)),
            other => {
                writeln!(page, "<tr><th>{}</th><td><code>{}</code></td></tr>", escape(name), escape(&other.to_string()))
            }
        };
    }
    page.push_str("</table>\n");
}

/// The Markdown without what could do harm: HTML becomes text, pictures become links, links elsewhere their text.
fn harmless(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let mut open_links = Vec::new();
    Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).filter_map(move |event| {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
            Event::Start(Tag::Link { dest_url, title, .. } | Tag::Image { dest_url, title, .. }) => {
                // A picture within a link is its text: links do not nest.
                let is_link = !open_links.contains(&true) && leads_nowhere_bad(&dest_url);
                open_links.push(is_link);
                is_link.then(|| Event::Start(link(dest_url, title)))
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                let was_link = open_links.pop().unwrap_or(false);
                was_link.then_some(Event::End(TagEnd::Link))
            }
            other => Some(other),
        }
    })
}

fn link<'a>(dest_url: CowStr<'a>, title: CowStr<'a>) -> Tag<'a> {
    Tag::Link { link_type: LinkType::Inline, dest_url, title, id: CowStr::Borrowed("") }
}

/// Whether a link is relative, or of http, https or mailto.
fn leads_nowhere_bad(url: &str) -> bool {
    if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return false; // Browsers drop some of these, which can make a scheme of what is none.
    }
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
            ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
        _ => true,
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::common::v1::Key;

    use super::*;

    fn page_of(content: &str, data: &str) -> String {
        let key = Key { ns: "onet".into(), id: "a<b".into(), ..Key::default() };
        let thing = Thing {
            key: Some(key),
            r#type: "<Type>".into(),
            content: Some(content.into()),
            data: Some(data.into()),
            ..Thing::default()
        };
        page(&thing, "/onet/a%3Cb")
    }

    #[test]
    fn content_is_rendered_and_data_is_a_table() {
        let page = page_of("# Developer\n\n*writes* [code](/onet/Code)", r#"{"Title":"Dev","n":1.50,"l":["<"]}"#);
        assert!(page.contains("<title>Dev</title>") && page.contains("<h1>Developer</h1>"), "{page}");
        assert!(page.contains("<em>writes</em> <a href=\"/onet/Code\">code</a>"), "{page}");
        assert!(page.contains("<tr><th>n</th><td><code>1.50</code></td></tr>"), "{page}");
        assert!(page.contains("<code>[&quot;&lt;&quot;]</code>"), "{page}");
        assert!(page.contains("<a href=\"/onet/a%3Cb?view=history\">"), "{page}");
    }

    #[test]
    fn html_of_content_and_names_is_text() {
        let page = page_of("<script>alert(1)</script> a <b onclick=x>b</b>", r#"{"<i>":"<u>"}"#);
        for bad in ["<script", "<b ", "<i>", "<u>", "<Type>", "a<b"] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    }

    #[test]
    fn links_lead_to_the_web_to_mail_or_within() {
        for url in ["https://a.example/?b:c", "HTTP://a.example", "mailto:a@b.example", "../b", "/a/b:c", "#x", "a"] {
            assert!(leads_nowhere_bad(url), "{url}");
        }
        for url in [
            "javascript:alert(1)",
            "JavaScript:x",
            "data:text/html,x",
            "java\tscript:x",
            " javascript:x",
            "\u{1}javascript:x",
        ] {
            assert!(!leads_nowhere_bad(url), "{url}");
        }
        let page = page_of("[x](javascript:alert(1)) <javascript:alert(2)>", "{}");
        assert!(!page.contains("href=\"javascript"), "{page}");
    }

    #[test]
    fn a_picture_is_a_link_and_within_a_link_its_text() {
        let page = page_of("![alt](https://a.example/p.png) [![in](/p.png)](/b)", "{}");
        assert!(page.contains("<a href=\"https://a.example/p.png\">alt</a> <a href=\"/b\">in</a>"), "{page}");
        assert!(!page.contains("<img"), "{page}");
    }

    proptest! {
        #[test]
        fn no_content_brings_a_tag_or_an_attribute_of_its_own(content in "[a-z<>\"'&;:/()!\\[\\]`*_ \n#|=-]{0,80}") {
            let page = page_of(&content, "{}");
            let tags = ["script", "img", "iframe", "style", "svg", "object", "form", "input", "base"];
            for tag in tags {
                prop_assert!(!page.contains(&format!("<{tag}")), "{}", page);
            }
            // Of each tag what is not in quotes; text may say ` on` wherever it stands.
            let tags = page.split('<').filter_map(|part| Some(part.split_once('>')?.0));
            for tag in tags {
                prop_assert!(tag.split('"').step_by(2).all(|outside| !outside.contains(" on")), "{}", page);
            }
        }
    }
}
