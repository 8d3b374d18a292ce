//! What is found and what is not: the same in memory and on the disk, before and after a kill.

use std::collections::BTreeMap;

use domain::{Id, Timestamp, Variant, Visibility};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::query;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn key(ns: &str, id: &str) -> Key {
    Key { ns: ns.parse().unwrap(), id: Id::from_canonical(id).unwrap(), variant: Variant::canonical() }
}

fn put(ns: &str, id: &str, visibility: Visibility, title: &str, content: &str) -> Change {
    let key = key(ns, id);
    let document = Document {
        key: key.clone(),
        thing_type: "Note".parse().unwrap(),
        visibility,
        updated_at: Timestamp::from_millis(1_000).unwrap(),
        texts: [title.into(), id.into(), content.into(), String::new()],
    };
    Change { key, document: Some(document) }
}

fn delete(ns: &str, id: &str) -> Change {
    Change { key: key(ns, id), document: None }
}

/// An index of one tenant, fed as a follower feeds it.
struct Fed {
    dir: TempDir,
    index: Index,
    end: u64,
}

impl Fed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        Self { dir, index, end: 0 }
    }

    fn apply(&mut self, change: Change) {
        self.end += 1;
        let cursor = Cursor { epoch: 1, offset: self.end };
        self.index.apply(&tenant("a"), change, cursor.offset).unwrap();
        self.index.arrive(Some(cursor));
    }

    fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut fed = Self::new();
        changes.into_iter().for_each(|change| fed.apply(change));
        fed
    }

    /// Kills it, and starts it again.
    fn reopen(self) -> Self {
        let Self { dir, index, .. } = self;
        drop(index);
        let index = Index::open(dir.path()).unwrap();
        let end = index.position().map_or(0, |cursor| cursor.offset);
        Self { dir, index, end }
    }

    fn found(&self, text: &str) -> Vec<String> {
        self.search(text, Filter::default(), None).into_iter().map(|found| found.key.id.as_str().to_owned()).collect()
    }

    fn search(&self, text: &str, filter: Filter, may_read: Option<&(dyn Fn(&Namespace) -> bool + Sync)>) -> Vec<Found> {
        let wanted = Wanted { clauses: query::parse(text).unwrap(), filter, may_read, limit: 1_000 };
        self.index.search(&tenant("a"), &wanted).unwrap()
    }
}

fn public(id: &str, title: &str, content: &str) -> Change {
    put("n", id, Visibility::Public, title, content)
}

#[test]
fn a_title_counts_more_than_content_and_words_match_in_another_form() {
    let mut fed = Fed::of([
        public("one", "Gardener", "develops nothing"),
        public("two", "Software Developers", "plants"),
        public("three", "Baker", "bread"),
    ]);
    for _ in 0..2 {
        assert_eq!(fed.found("developing"), ["two", "one"]);
        assert_eq!(fed.found("gardeners"), ["one"]);
        assert_eq!(fed.found("nobody"), [""; 0]);
        fed.index.checkpoint().unwrap();
        fed = fed.reopen();
    }
}

#[test]
fn phrases_prefixes_and_slips_of_a_letter_are_found() {
    let fed = Fed::of([
        public("one", "", "the keeper of the lighthouse"),
        public("two", "", "the lighthouse keeper"),
        public("three", "", "a lightship"),
    ]);
    for _ in 0..2 {
        assert_eq!(fed.found("\"lighthouse keeper\""), ["two"]);
        assert_eq!(fed.found("light*").len(), 3);
        assert_eq!(fed.found("lihgtship"), ["three"]);
        assert_eq!(fed.found("\"lihgtship\""), [""; 0]);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn filters_hold_in_memory_and_on_the_disk() {
    let fed = Fed::of([
        put("github.com", "one", Visibility::Public, "crane", ""),
        put("github.com/repos", "two", Visibility::Public, "crane", ""),
        put("github.community", "three", Visibility::Public, "crane", ""),
    ]);
    for _ in 0..2 {
        let count = |filter| fed.search("crane", filter, None).len();
        let ns = |text: &str| Some(text.parse().unwrap());
        assert_eq!(count(Filter { ns: ns("github.com"), ..Filter::default() }), 1);
        assert_eq!(count(Filter { ns_prefix: ns("github.com"), ..Filter::default() }), 2);
        assert_eq!(count(Filter { types: vec!["Crane".parse().unwrap()], ..Filter::default() }), 0);
        assert_eq!(count(Filter { types: vec!["Note".parse().unwrap()], ..Filter::default() }), 3);
        assert_eq!(count(Filter { updated_from: Some(1_000), updated_until: Some(1_001), ..Filter::default() }), 3);
        assert_eq!(count(Filter { updated_until: Some(1_000), ..Filter::default() }), 0);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn what_is_hidden_has_no_part_in_what_is_found_or_in_its_score() {
    let visible = || [public("one", "crane", "of the harbour"), put("mine", "two", Visibility::Private, "crane", "")];
    let hidden = |text: &str| put("theirs", "three", Visibility::Private, text, "crane harbour harbour");
    let may_read = |ns: &Namespace| ns.as_str() == "mine";
    for is_on_disk in [false, true] {
        let (without, with) =
            (Fed::of(visible()), Fed::of(visible().into_iter().chain([hidden("cranes"), hidden("harbor")])));
        if is_on_disk {
            without.index.checkpoint().unwrap();
            with.index.checkpoint().unwrap();
        }
        for text in ["crane", "harbour", "harbor", "harb*", "\"crane\"", "\"harbor\"", "theirs"] {
            let [without, with] = [&without, &with].map(|fed| fed.search(text, Filter::default(), Some(&may_read)));
            assert_eq!(without, with, "{text}");
        }
        assert_eq!(with.found("\"harbor\""), ["three"]);
    }
}

#[test]
fn a_variant_is_for_readers_of_its_namespace() {
    let mut change = public("one", "", "grúa");
    change.key.variant = "es".parse().unwrap();
    let document = change.document.as_mut().unwrap();
    document.key = change.key.clone();
    let fed = Fed::of([change]);
    for _ in 0..2 {
        let count = |may_read: &(dyn Fn(&Namespace) -> bool + Sync)| {
            fed.search("grua", Filter::default(), Some(may_read)).len()
        };
        assert_eq!((count(&|_| false), count(&|_| true)), (0, 1));
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn a_tenant_finds_nothing_of_another() {
    let fed = Fed::of([public("one", "crane", "")]);
    let wanted =
        Wanted { clauses: query::parse("crane").unwrap(), filter: Filter::default(), may_read: None, limit: 10 };
    assert_eq!(fed.index.search(&tenant("b"), &wanted).unwrap(), []);
}

#[test]
fn an_index_that_is_damaged_is_made_again_from_the_beginning() {
    let fed = Fed::of([public("one", "crane", "")]);
    fed.index.checkpoint().unwrap();
    let text = fed.dir.path().join("text/a");
    let segment = fs::read_dir(&text).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "idx")).unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[0] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let mut fed = fed.reopen();
    assert_eq!((fed.index.position(), fed.found("crane")), (None, vec![]));
    fed.apply(public("one", "crane", ""));
    assert_eq!(fed.found("crane"), ["one"]);
}

/// A name, and what it has from then on.
type Event = (String, Option<&'static str>);

fn change((id, word): &Event) -> Change {
    word.map_or_else(|| delete("n", id), |word| public(id, word, ""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is written when to the disk, killed and applied again: what is found is what a map has.
    #[test]
    fn what_is_found_is_the_newest_state(steps in prop::collection::vec((0_u8..12, 0_u8..6, 0_u8..4), 1..60)) {
        const WORDS: [&str; 4] = ["crane", "quay", "buoy", "pilot"];
        let (mut fed, mut events, mut newest) = (Fed::new(), Vec::<Event>::new(), BTreeMap::new());
        for (step, name, word) in steps {
            match step {
                10 => fed.index.checkpoint().unwrap(),
                11 => {
                    fed = fed.reopen();
                    let lost = events.split_off(fed.end as usize);
                    for event in &lost {
                        fed.apply(change(event));
                    }
                    events.extend(lost);
                }
                _ => {
                    let event = (format!("id{name}"), (step >= 2).then_some(WORDS[usize::from(word)]));
                    fed.apply(change(&event));
                    newest.insert(event.0.clone(), event.1);
                    events.push(event);
                }
            }
        }
        for word in WORDS {
            let mut found = fed.found(&format!("\"{word}\""));
            found.sort_unstable();
            let expected: Vec<_> =
                newest.iter().filter(|(_, has)| **has == Some(word)).map(|(id, _)| id.clone()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
