//! What is found and what is not: the same in memory and on the disk, before and after a kill.

use std::fs;

use domain::{Namespace, Visibility};
use proptest::prelude::*;
use tantivy::{Directory as _, Index, directory::TerminatingWrite as _};

use super::{
    super::fed::{Fed, WORDS, names_with, play, public, put, tenant},
    *,
};
use crate::query;

type MayRead<'a> = Option<&'a (dyn Fn(&Namespace) -> bool + Sync)>;

impl Fed<Texts> {
    fn found(&self, text: &str) -> Vec<String> {
        self.search(text, &Filter::default(), None).into_iter().map(|found| found.key.id.as_str().to_owned()).collect()
    }

    fn search(&self, text: &str, filter: &Filter, may_read: MayRead<'_>) -> Vec<Found> {
        self.best(1_000, text, filter, may_read)
    }

    fn best(&self, limit: usize, text: &str, filter: &Filter, may_read: MayRead<'_>) -> Vec<Found> {
        let clauses = query::parse("query", text).unwrap();
        let wanted = Matching { clauses: &clauses, needs: Needs::Any, filter, sight: Sight(may_read), limit };
        self.index.of(&tenant("a")).map_or(Vec::new(), |texts| texts.matching(&wanted).unwrap())
    }
}

#[test]
fn a_title_counts_more_than_content_and_words_match_in_another_form() {
    let mut fed = Fed::<Texts>::of([
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
    let fed = Fed::<Texts>::of([
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
    let fed = Fed::<Texts>::of([
        put("github.com", "one", Visibility::Public, "crane", ""),
        put("github.com/repos", "two", Visibility::Public, "crane", ""),
        put("github.community", "three", Visibility::Public, "crane", ""),
    ]);
    for _ in 0..2 {
        let count = |filter| fed.search("crane", &filter, None).len();
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
        let (without, with) = (
            Fed::<Texts>::of(visible()),
            Fed::<Texts>::of(visible().into_iter().chain([hidden("cranes"), hidden("harbor")])),
        );
        if is_on_disk {
            without.index.checkpoint().unwrap();
            with.index.checkpoint().unwrap();
        }
        for text in ["crane", "harbour", "harbor", "harb*", "\"crane\"", "\"harbor\"", "theirs"] {
            let [without, with] = [&without, &with].map(|fed| fed.search(text, &Filter::default(), Some(&may_read)));
            assert_eq!(without, with, "{text}");
        }
        assert_eq!(with.found("\"harbor\""), ["three"]);
    }
}

#[test]
fn what_tells_most_of_a_thing_is_what_few_others_have() {
    let fed = Fed::<Texts>::of([
        public("one", "Crane operator", "operates a crane"),
        public("two", "Pump operator", "operates a pump"),
        public("three", "Crane mechanic", "mends what operators break"),
        put("theirs", "four", Visibility::Private, "quay", ""),
        put("theirs", "five", Visibility::Private, "quay", ""),
    ]);
    let texts = ["Crane operator", "", "operates a crane at the quay, unlike anybody", ""].map(str::to_owned);
    for _ in 0..2 {
        let telling =
            |may_read: MayRead<'_>| fed.index.of(&tenant("a")).unwrap().telling(&texts, Sight(may_read), 9).unwrap();
        let word = |word: &str| Clause::Word(word.into());
        assert_eq!(telling(Some(&|_| false))[..1], [word("crane")]);
        assert!(telling(Some(&|_| false)).contains(&word("oper")));
        assert!(!telling(Some(&|_| false)).contains(&word("quay")));
        assert!(telling(None).contains(&word("quay")));
        assert!(!telling(None).contains(&word("unlik")));
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn a_variant_is_for_readers_of_its_namespace() {
    let mut change = public("one", "", "grúa");
    change.key.variant = "es".parse().unwrap();
    let document = change.document.as_mut().unwrap();
    document.key = change.key.clone();
    let fed = Fed::<Texts>::of([change]);
    for _ in 0..2 {
        let count = |may_read: &(dyn Fn(&Namespace) -> bool + Sync)| {
            fed.search("grua", &Filter::default(), Some(may_read)).len()
        };
        assert_eq!((count(&|_| false), count(&|_| true)), (0, 1));
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn a_tenant_finds_nothing_of_another() {
    let fed = Fed::<Texts>::of([public("one", "crane", "")]);
    assert_eq!((fed.found("crane").len(), fed.index.of(&tenant("b")).is_none()), (1, true));
}

#[test]
fn an_index_that_is_damaged_is_made_again_from_the_beginning() {
    let fed = Fed::<Texts>::of([public("one", "crane", "")]);
    fed.index.checkpoint().unwrap();
    let text = fed.dir.path().join("tenants/a");
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

/// A commit writes what it deletes into a file of its number, and a kill before its end leaves that. The next commit has the same
/// number.
#[test]
fn what_a_kill_has_left_of_a_commit_is_not_in_the_way_of_the_next() {
    let fed = Fed::<Texts>::of([public("one", "crane", ""), public("two", "crane", "")]);
    fed.index.checkpoint().unwrap();
    let index = Index::open_in_dir(fed.dir.path().join("tenants/a")).unwrap();
    let (segment, last) = (index.searchable_segment_ids().unwrap()[0], index.load_metas().unwrap().opstamp);
    for number in last..last + 20 {
        let name = format!("{}.{number}.del", segment.uuid_string());
        let left = index.directory().open_write(name.as_ref()).unwrap();
        left.terminate().unwrap();
    }
    let mut fed = fed.reopen();
    fed.apply(public("one", "quay", ""));
    fed.index.checkpoint().unwrap();
    assert_eq!((fed.found("quay"), fed.found("crane")), (vec!["one".to_owned()], vec!["two".to_owned()]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However few are wanted, they are the first of all, with the same scores: in several files, with replaced documents, some
    /// of them in memory, and of which many are equally good.
    #[test]
    fn the_best_are_the_first_of_all(words in prop::collection::vec((0_u16..300, prop::collection::vec(0_usize..4, 0..7)), 400)) {
        let mut fed = Fed::<Texts>::new();
        for (number, (name, words)) in words.iter().enumerate() {
            let text = words.iter().map(|word| WORDS[*word]).collect::<Vec<_>>().join(" ");
            let (title, content) = if number % 3 == 0 { (&*text, "") } else { ("quay", &*text) };
            let ns = if name % 2 == 0 { "even" } else { "odd" };
            fed.apply(put(ns, &format!("id{name}"), Visibility::Public, title, content));
            if number % 110 == 109 {
                fed.index.checkpoint().unwrap();
            }
        }
        let even = Filter { ns: Some("even".parse().unwrap()), ..Filter::default() };
        for text in ["crane", "crane quay", "buoy pilot crane quay", "\"crane quay\" buoy", "qu* pilot", "piilot crane"] {
            for filter in [&Filter::default(), &even] {
                let all = fed.search(text, filter, None);
                for limit in [1, 2, 7, 26] {
                    let best = fed.best(limit, text, filter, None);
                    prop_assert_eq!(&best[..], &all[..limit.min(all.len())], "{} of {}", limit, text);
                }
            }
        }
    }

    /// Whatever is written when to the disk, killed and applied again: what is found is what a map has.
    #[test]
    fn what_is_found_is_the_newest_state(steps in prop::collection::vec((0_u8..12, 0_u8..6, 0_u8..4), 1..60)) {
        let (fed, newest) = play::<Texts>(steps);
        for word in WORDS {
            let mut found = fed.found(&format!("\"{word}\""));
            found.sort_unstable();
            prop_assert_eq!(found, names_with(&newest, word));
        }
    }
}
