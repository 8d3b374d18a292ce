//! Texts that occur nowhere else, and who may see each of them.
//!
//! Owns the rules of design §9 as far as they decide about a text; not how a service comes to follow them.

use std::collections::{BTreeSet, HashMap};

/// Who may see a text of the owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sight {
    /// Whoever may call the tenant at all.
    Public,
    /// Whoever names this name.
    ByName(String),
    /// Readers of all these namespaces.
    Readers(Vec<String>),
    /// Who may read events.
    Events,
}

impl Sight {
    /// Readers of one namespace.
    pub(crate) fn readers(ns: &str) -> Self {
        Self::Readers(vec![ns.to_owned()])
    }

    /// What a thing and what it depends on allow together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Readers(one), Self::Readers(two)) => Self::Readers([one.clone(), two.clone()].concat()),
            (readers @ Self::Readers(_), _) | (_, readers @ Self::Readers(_)) => readers.clone(),
            (_, named @ Self::ByName(_)) | (named @ Self::ByName(_), _) => named.clone(),
            (one, _) => one.clone(),
        }
    }
}

/// Somebody who calls.
#[derive(Clone, Debug)]
pub(crate) struct Eyes {
    /// Whether their calls are about the owner's tenant.
    pub(crate) of_tenant: bool,
    /// Namespaces that they may read.
    pub(crate) reads: fn(&str) -> bool,
    /// Whether they may read events.
    pub(crate) events: bool,
}

impl Eyes {
    /// Whether they may see what `sight` says, having said `sent`.
    pub(crate) fn may_see(&self, sight: &Sight, sent: &[u8]) -> bool {
        self.of_tenant
            && match sight {
                Sight::Public => true,
                Sight::ByName(name) => contains(sent, name.as_bytes()),
                Sight::Readers(namespaces) => namespaces.iter().all(|ns| (self.reads)(ns)),
                Sight::Events => self.events,
            }
    }

    /// Whether they may see it if they say the right thing.
    pub(crate) fn may_ever_see(&self, sight: &Sight) -> bool {
        match sight {
            Sight::ByName(name) => self.may_see(sight, name.as_bytes()),
            _ => self.may_see(sight, b""),
        }
    }
}

/// Every text of the owner that can be told from all others.
#[derive(Clone, Default, Debug)]
pub(crate) struct Markers(HashMap<Vec<u8>, Sight>);

/// `mk` and ten digits.
const LENGTH: usize = 12;
const ULID_LENGTH: usize = 26;

impl Markers {
    /// A new text, which these may see.
    pub(crate) fn new_text(&mut self, sight: &Sight) -> String {
        let text = format!("mk{:010}", self.0.len());
        self.0.insert(text.clone().into_bytes(), sight.clone());
        text
    }

    /// That these may see a text or a ULID.
    pub(crate) fn declare(&mut self, text: &str, sight: &Sight) {
        self.0.insert(text.as_bytes().to_vec(), sight.clone());
    }

    /// The texts in `bytes`, and in what `bytes` has in base64.
    pub(crate) fn found(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = self.bare(bytes);
        for token in bytes.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_+/=".contains(byte)) {
            found.extend(decoded(token).iter().flat_map(|bytes| self.bare(bytes)));
        }
        found
    }

    fn bare(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len() {
            let length = match &bytes[at..] {
                [b'm', b'k', ..] => LENGTH,
                [b'0', b'1', ..] => ULID_LENGTH,
                _ => continue,
            };
            if let Some(text) = bytes.get(at..at + length)
                && self.0.contains_key(text)
            {
                found.insert(String::from_utf8_lossy(text).into_owned());
            }
        }
        found
    }

    /// The texts in an answer to `sent` that `eyes` must not see; what they said themselves they know.
    pub(crate) fn leaked(&self, eyes: &Eyes, sent: &[u8], answer: &[u8]) -> Vec<String> {
        let mut found = self.found(answer);
        found.retain(|text| !eyes.may_see(&self.0[text.as_bytes()], sent) && !contains(sent, text.as_bytes()));
        found.into_iter().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every text that `eyes` may see.
    pub(crate) fn visible(&self, eyes: &Eyes) -> BTreeSet<String> {
        let visible = self.0.iter().filter(|(_, sight)| eyes.may_ever_see(sight));
        visible.map(|(text, _)| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// `sent` with each text (but ULIDs) that `eyes` must not see replaced by one that nobody has, of the same length.
    /// `None` if there is none.
    pub(crate) fn twin(&self, eyes: &Eyes, sent: &[u8]) -> Option<Vec<u8>> {
        let hidden = self
            .bare(sent)
            .into_iter()
            .filter(|text| text.starts_with("mk") && !eyes.may_see(&self.0[text.as_bytes()], sent));
        let mut twin = sent.to_vec();
        for text in hidden {
            replace(&mut twin, text.as_bytes(), absent(&text).as_bytes());
        }
        (twin != sent).then_some(twin)
    }

    /// `answer` with the texts of a twin as they were.
    pub(crate) fn untwin(&self, answer: &[u8]) -> Vec<u8> {
        let mut answer = answer.to_vec();
        for at in 0..answer.len() {
            let own = answer.get(at..at + LENGTH).filter(|text| text.starts_with(b"mx"));
            if let Some(own) = own.map(|text| [b"mk", &text[2..]].concat())
                && self.0.contains_key(&own)
            {
                answer[at..at + LENGTH].copy_from_slice(&own);
            }
        }
        answer
    }
}

/// `answer` with `0` for every character of a ULID: of an answer about a write, those that the write made.
pub(crate) fn without_ulids(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let mut at = 0;
    while let Some(ulid) = answer.get_mut(at..at + ULID_LENGTH) {
        let is_ulid = ulid.starts_with(b"01") && ulid.iter().all(u8::is_ascii_alphanumeric);
        if is_ulid {
            ulid.fill(b'0');
        }
        at += if is_ulid { ULID_LENGTH } else { 1 };
    }
    answer
}

fn absent(text: &str) -> String {
    text.replacen("mk", "mx", 1)
}

fn decoded(token: &[u8]) -> Option<Vec<u8>> {
    use base64::{Engine as _, prelude::*};
    if token.len() < LENGTH {
        return None;
    }
    let token: Vec<u8> = token.iter().copied().filter(|byte| *byte != b'=').collect();
    BASE64_URL_SAFE_NO_PAD.decode(&token).or_else(|_| BASE64_STANDARD_NO_PAD.decode(&token)).ok()
}

/// Whether `needle` is in `hay`.
pub(crate) fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// Puts `new` wherever `old`, which is as long, is in `hay`.
pub(crate) fn replace(hay: &mut [u8], old: &[u8], new: &[u8]) {
    for at in 0..(hay.len() + 1).saturating_sub(old.len()) {
        if hay[at..].starts_with(old) {
            hay[at..at + old.len()].copy_from_slice(new);
        }
    }
}

#[test]
fn a_text_is_found_wherever_it_is_and_only_by_those_who_must_not_see_it() {
    use base64::{Engine as _, prelude::*};
    let mut markers = Markers::default();
    let (hidden, unlisted) = (markers.new_text(&Sight::readers("ns")), markers.new_text(&Sight::Public));
    markers.declare(&unlisted, &Sight::ByName(unlisted.clone()));
    let anyone = Eyes { of_tenant: true, reads: |_| false, events: false };
    let reader = Eyes { reads: |ns| ns == "ns", ..anyone.clone() };
    let token = BASE64_URL_SAFE_NO_PAD.encode(format!("\u{1}after {hidden}"));
    for answer in [format!("x{hidden}y\n"), format!("{{\"next_page_token\":\"{token}\"}}")] {
        assert_eq!(markers.leaked(&anyone, b"", answer.as_bytes()), std::slice::from_ref(&hidden), "{answer}");
        assert_eq!(markers.leaked(&reader, b"", answer.as_bytes()), [""; 0]);
        assert_eq!(markers.leaked(&anyone, hidden.as_bytes(), answer.as_bytes()), [""; 0], "they said it");
    }
    assert_eq!(markers.leaked(&anyone, b"", unlisted.as_bytes()), std::slice::from_ref(&unlisted));
    assert_eq!(markers.leaked(&anyone, unlisted.as_bytes(), unlisted.as_bytes()), [""; 0]);
}

#[test]
fn a_twin_says_what_nobody_has_and_can_be_taken_back() {
    let mut markers = Markers::default();
    let (hidden, public) = (markers.new_text(&Sight::readers("ns")), markers.new_text(&Sight::Public));
    let anyone = Eyes { of_tenant: true, reads: |_| false, events: false };
    let sent = format!("/ns/{hidden}?type={public}&id={hidden}").into_bytes();
    let twin = markers.twin(&anyone, &sent).expect("it says something hidden");
    assert!(twin.len() == sent.len() && !contains(&twin, hidden.as_bytes()) && contains(&twin, public.as_bytes()));
    assert_eq!(markers.untwin(&twin), sent);
    assert_eq!(markers.twin(&anyone, public.as_bytes()), None);
}
