//! What else is told of what matches: by which data, how many there are of each value, why; the same in memory and on the disk.

use domain::{Namespace, Visibility};

use super::{
    super::fed::{Fed, delete, key, public, put, tenant, with_data},
    *,
};
use crate::{
    facts::{Facts, Wanted},
    query,
};

/// As [`Matching`], of a query without conditions.
struct Asked {
    clauses: Vec<Clause>,
    needs: Needs,
    filter: Filter,
}

fn asked(text: &str, conditions: &[&str]) -> Asked {
    let clauses = if text.is_empty() { Vec::new() } else { query::parse("query", text).unwrap() };
    let fields = conditions.iter().map(|condition| Wanted::of(&condition.parse().unwrap())).collect();
    Asked { clauses, needs: Needs::Any, filter: Filter { fields, ..Filter::default() } }
}

impl Asked {
    fn of<T>(
        &self,
        fed: &Fed<Texts>,
        may_read: Option<&(dyn Fn(&Namespace) -> bool + Sync)>,
        ask: impl FnOnce(&Texts, &Matching<'_>) -> Result<T, Error>,
    ) -> T {
        let Self { clauses, needs, filter } = self;
        let wanted = Matching { clauses, needs: *needs, filter, sight: Sight(may_read), limit: 100 };
        ask(&fed.index.of(&tenant("a")).unwrap(), &wanted).unwrap()
    }

    fn found(&self, fed: &Fed<Texts>) -> Vec<String> {
        let found = self.of(fed, None, Texts::matching);
        found.into_iter().map(|found| found.key.id.as_str().to_owned()).collect()
    }
}

/// Some on the disk, one of which is replaced in memory, and some in memory; then all of it on the disk.
fn both_ways(check: impl Fn(&Fed<Texts>)) {
    let mut fed = Fed::<Texts>::of([
        with_data("one", "crane", r#"{"city":"Berlin","year":1924,"tags":["tall","old"]}"#),
        with_data("two", "crane", r#"{"city":"Bonn","year":1950}"#),
        with_data("three", "crane", r#"{"city":"Rostock","year":1990}"#),
        with_data("four", "buoy", r#"{"city":"Berlin"}"#),
        with_data("gone", "crane", r#"{"city":"Berlin"}"#),
    ]);
    fed.index.checkpoint().unwrap();
    fed.apply(with_data("three", "crane", r#"{"city":"Berlin","year":2001.5}"#));
    fed.apply(delete("n", "gone"));
    fed.apply(put("other", "five", Visibility::Private, "crane", ""));
    check(&fed);
    fed.index.checkpoint().unwrap();
    check(&fed.reopen());
}

#[test]
fn what_data_has_is_a_condition_of_a_search() {
    both_ways(|fed| {
        for (conditions, found) in [
            (&["/city=Berlin"][..], &["one", "three"][..]),
            (&["/city=[\"Bonn\",\"Rostock\"]"], &["two"]),
            (&["/year>=1924", "/year<1950.5"], &["one", "two"]),
            (&["/year>=1950"], &["three", "two"]),
            (&["/tags=old", "/city"], &["one"]),
            (&["!/tags", "/city"], &["three", "two"]),
            (&["!/city"], &["five"]),
            (&["/city=berlin"], &[]),
        ] {
            let mut names = asked("crane", conditions).found(fed);
            names.sort_unstable();
            assert_eq!(names, found, "{conditions:?}");
        }
    });
}

#[test]
fn names_are_those_that_fulfil_the_conditions_whatever_they_say() {
    both_ways(|fed| {
        let hashes = asked("", &["/city=Berlin"]).of(fed, None, Texts::hashes);
        let mut expected: Vec<u64> = ["one", "three", "four"].map(|id| hash_of(&key("n", id))).to_vec();
        expected.sort_unstable();
        assert_eq!(hashes, expected);
    });
}

#[test]
fn things_are_counted_by_value_as_the_caller_sees_them() {
    let facets =
        [Facet::Namespace, Facet::Type, Facet::Field("/city".parse().unwrap()), Facet::Field("/year".parse().unwrap())];
    both_ways(|fed| {
        let count = |text: &str, may_read: Option<&(dyn Fn(&Namespace) -> bool + Sync)>| {
            let counted = asked(text, &[]).of(fed, may_read, |texts, wanted| texts.facets(wanted, &facets));
            assert!(counted.iter().all(|counted| counted.others == 0));
            counted.into_iter().map(|counted| counted.values).collect::<Vec<_>>()
        };
        let of = |values: &[(&str, u64)]| values.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect();
        let cities = of(&[("\"Berlin\"", 2), ("\"Bonn\"", 1)]);
        let years = of(&[("1924", 1), ("1950", 1), ("2001.5", 1)]);
        let all: Vec<Vec<_>> = vec![of(&[("n", 3), ("other", 1)]), of(&[("Note", 4)]), cities, years];
        assert_eq!(count("crane", None), all);
        assert_eq!(count("crane", Some(&|_| false))[..2], [of(&[("n", 3)]), of(&[("Note", 3)])]);
        assert_eq!(count("", None)[2], of(&[("\"Berlin\"", 3), ("\"Bonn\"", 1)]));
        assert_eq!(count("nothing", None), vec![vec![]; 4]);
    });
}

#[test]
fn a_thing_counts_once_however_many_of_its_variants_match() {
    let mut variant = public("one", "crane", "");
    variant.key.variant = "es".parse().unwrap();
    variant.document.iter_mut().for_each(|document| {
        document.key = variant.key.clone();
        document.facts = Facts::of(r#"{"in":"es"}"#);
    });
    let mut fed = Fed::<Texts>::of([with_data("one", "crane", r#"{"in":"en"}"#), public("two", "crane", "")]);
    fed.index.checkpoint().unwrap();
    fed.apply(variant);
    for _ in 0..2 {
        let facets = [Facet::Type, Facet::Field("/in".parse().unwrap())];
        let counted = asked("crane", &[]).of(&fed, None, |texts, wanted| texts.facets(wanted, &facets));
        assert_eq!(counted[0].values, [("Note".to_owned(), 2)]);
        assert_eq!(counted[1].values, [("\"en\"".to_owned(), 1), ("\"es\"".to_owned(), 1)]);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn the_values_that_most_have_are_told_and_the_others_are_counted() {
    let mut fed = Fed::<Texts>::new();
    for number in 0..120 {
        let value = if number < 3 { 0 } else { number };
        fed.apply(with_data(&format!("id{number}"), "crane", &format!("{{\"value\":{value}}}")));
    }
    let facet = [Facet::Field("/value".parse().unwrap())];
    let counted = asked("crane", &[]).of(&fed, None, |texts, wanted| texts.facets(wanted, &facet));
    assert_eq!((counted[0].values.len(), counted[0].others), (100, 18));
    assert_eq!(counted[0].values[..2], [("0".to_owned(), 3), ("3".to_owned(), 1)]);
}

#[test]
fn a_score_is_the_sum_of_what_is_told_of_it() {
    both_ways(|fed| {
        for text in ["crane", "cranes tall", "cra*", "crame", "\"crane\" id"] {
            let asked = asked(text, &[]);
            let found = asked.of(fed, None, Texts::matching);
            let keys: Vec<_> = found.iter().map(|found| found.key.clone()).collect();
            assert!(!keys.is_empty(), "{text}");
            let explained = asked.of(fed, None, |texts, wanted| texts.explained(wanted, &keys));
            for (found, terms) in found.iter().zip(&explained) {
                let sum: f32 = terms.iter().map(|term| term.score).sum();
                assert!((sum - found.score).abs() < 1e-4, "{text}: {found:?} {terms:?}");
                assert_eq!((&terms[0].terms[..], terms[0].field), (&["crane".to_owned()][..], Field::Title), "{text}");
            }
        }
    });
}

#[test]
fn what_is_typed_has_all_its_words_in_the_names() {
    let fed = Fed::<Texts>::of([
        public("one", "Software developer", ""),
        public("two", "Software tester", "developer"),
        public("developing", "Hardware", "software"),
    ]);
    for _ in 0..2 {
        let offered = |text: &str| {
            let clauses = query::parse_unfinished("text", text).unwrap();
            Asked { clauses, needs: Needs::AllInNames, filter: Filter::default() }.found(&fed)
        };
        assert_eq!(offered("softw"), ["one", "two"]);
        assert_eq!(offered("software dev"), ["one"]);
        assert_eq!(offered("dev"), ["one", "developing"]);
        assert_eq!(offered("sofware develop"), ["one"]);
        assert_eq!(offered("software nob"), [""; 0]);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn what_is_typed_is_not_lost_among_words_of_contents() {
    let words: Vec<_> = (b'a'..=b'z')
        .flat_map(|one| (b'a'..=b'd').map(move |other| format!("la{}{}", one as char, other as char)))
        .collect();
    let fed = Fed::<Texts>::of([public("one", "Lighthouse", ""), public("two", "", &words.join(" "))]);
    for _ in 0..2 {
        let clauses = query::parse_unfinished("text", "l").unwrap();
        assert_eq!(Asked { clauses, needs: Needs::AllInNames, filter: Filter::default() }.found(&fed), ["one"]);
        fed.index.checkpoint().unwrap();
    }
}

#[test]
fn no_words_find_nothing() {
    both_ways(|fed| assert_eq!(asked("", &[]).found(fed), [""; 0]));
}

#[test]
fn in_a_namespace_scores_are_as_if_nothing_else_were_there() {
    let mine = || {
        [
            put("mine", "one", Visibility::Public, "crane", "old crane"),
            put("mine", "two", Visibility::Public, "old", ""),
        ]
    };
    let others =
        (0..20).map(|number| put("other", &format!("{number}"), Visibility::Public, "crane crane", "long text"));
    let (alone, among) = (Fed::<Texts>::of(mine()), Fed::<Texts>::of(mine().into_iter().chain(others)));
    for _ in 0..2 {
        let in_mine = |fed: &Fed<Texts>| {
            let mut asked = asked("old crane", &[]);
            asked.filter.ns = Some("mine".parse().unwrap());
            asked.of(fed, None, Texts::matching)
        };
        assert_eq!(in_mine(&alone), in_mine(&among));
        assert_eq!(in_mine(&alone).len(), 2);
        alone.index.checkpoint().unwrap();
        among.index.checkpoint().unwrap();
    }
}
