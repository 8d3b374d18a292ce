//! A namespace as JSON.
//!
//! Owns the members of a namespace over HTTP.

use domain::{Json, Style};
use proto::convert::style_to_wire;
use proto::things::v1 as wire;
use serve::Refusal;

use super::thing::style_word;
use super::{Fields, Violations, Writer};

/// Members that only answers have; in a put they are ignored.
const OUTPUT_ONLY: [&str; 7] =
    ["url", "ns", "created_at", "things", "relationships", "first_created_at", "last_changed_at"];

/// As JSON.
pub fn namespace(namespace: &wire::Namespace) -> String {
    let mut json = Writer::object();
    write(&mut json, namespace);
    json.finish()
}

/// A page of them as JSON.
pub fn namespaces(page: &wire::ListNamespacesResponse) -> String {
    let mut json = Writer::object();
    json.array("items", &page.namespaces, write);
    json.text("next_page_token", &page.next_page_token);
    json.finish()
}

fn write(json: &mut Writer, namespace: &wire::Namespace) {
    let wire::Namespace { ns, style, created_at, url, contents } = namespace;
    json.text("url", url);
    json.text("ns", ns);
    json.text("style", style_word(*style));
    json.time("created_at", created_at.as_ref());
    if let Some(wire::NamespaceContents { things, relationships, first_created_at, last_changed_at }) = contents {
        json.number("things", things);
        json.optional_number("relationships", *relationships);
        json.time("first_created_at", first_created_at.as_ref());
        json.time("last_changed_at", last_changed_at.as_ref());
    }
}

/// The style that a body asks for: wiki where it says none.
pub(crate) fn read_namespace(body: Json) -> Result<i32, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &["style"], &OUTPUT_ONLY, &mut violations);
    let style: Option<Style> = fields.parsed("style", str::parse);
    violations.or(style_to_wire(style.unwrap_or_default()).into())
}
