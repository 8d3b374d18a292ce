//! A namespace as JSON.
//!
//! Owns the members of a namespace over HTTP.

use domain::{Json, Style};
use proto::convert::style_to_wire;
use proto::things::v1 as wire;
use serve::Refusal;

use super::thing::style_word;
use super::{Fields, Violations, Writer};

/// As JSON.
pub fn namespace(namespace: &wire::Namespace) -> String {
    let wire::Namespace { ns, style, created_at, url } = namespace;
    let mut json = Writer::object();
    json.text("url", url);
    json.text("ns", ns);
    json.text("style", style_word(*style));
    json.time("created_at", created_at.as_ref());
    json.finish()
}

/// The style that a body asks for: wiki where it says none.
pub(crate) fn read_namespace(body: Json) -> Result<i32, Refusal> {
    let mut violations = Violations::default();
    let mut fields = Fields::of(body, "", &["style"], &["url", "ns", "created_at"], &mut violations);
    let style: Option<Style> = fields.parsed("style", str::parse);
    violations.or(style_to_wire(style.unwrap_or_default()).into())
}
