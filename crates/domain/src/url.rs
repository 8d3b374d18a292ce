//! Owns how names are written as URL paths. Never reads one: [`Path::decode_url`](crate::Path::decode_url) does.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Key, Name, Namespace, Style};

/// Everything but what MediaWiki's `wfUrlencode` leaves literal.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b';')
    .remove(b'@')
    .remove(b'$')
    .remove(b'!')
    .remove(b'*')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'/')
    .remove(b':');

/// The canonical URL path of a thing: `/onet/Software_developer%23es`. `style` is the namespace's.
pub fn encode(key: &Key, style: Style) -> String {
    let mut path = encode_parts(&key.ns, key.id.as_str(), style);
    if !key.variant.is_canonical() {
        path.push_str("%23");
        path.push_str(key.variant.as_str());
    }
    path
}

/// The canonical URL path of a relationship: `/_/relationships/onet/a-b`. `style` is the namespace's.
pub fn encode_relationship(name: &Name, style: Style) -> String {
    format!("/_/relationships{}", encode_parts(&name.ns, name.id.as_str(), style))
}

/// The URL path that lists a namespace: `/onet/`.
pub fn namespace(ns: &Namespace) -> String {
    format!("/{ns}/")
}

fn encode_parts(ns: &Namespace, id: &str, style: Style) -> String {
    let mut path = format!("/{ns}");
    for segment in id.split('/') {
        path.push('/');
        // What proxies and browsers would remove or merge is made to look like something else.
        if matches!(segment, "" | "." | "..") || segment.starts_with('~') {
            path.push('~');
        }
        match style {
            Style::Wiki => path.extend(utf8_percent_encode(&segment.replace(' ', "_"), ENCODED)),
            Style::Literal => path.extend(utf8_percent_encode(segment, ENCODED)),
        }
    }
    path
}
