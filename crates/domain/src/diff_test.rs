//! What differs between two states: the shortest way to say it, and never more than that is bounded.

use proptest::prelude::*;

use super::*;
use crate::{Etag, Id, Key, ThingBody, Timestamp, Visibility};

fn thing(content: Option<&str>, data: Option<&str>) -> State {
    let body = ThingBody {
        thing_type: "Note".parse().unwrap(),
        visibility: Visibility::Public,
        content: content.map(|text| text.to_owned().try_into().unwrap()),
        code: None,
        data: data.map(|text| Data::parse(text).unwrap()),
        embedding: None,
    };
    let key = Key::canonical("onet".parse().unwrap(), Id::from_canonical("a").unwrap());
    State::Thing(crate::Thing { key, body, created_at: Timestamp::MIN, etag: Etag(ulid::Ulid(0)) })
}

fn of_data(before: &str, after: &str) -> Vec<(String, Difference)> {
    let changes = diff(Some(&thing(None, Some(before))), Some(&thing(None, Some(after))));
    changes.into_iter().map(|change| (change.path, change.difference)).collect()
}

fn of_content(before: &str, after: &str) -> Vec<Hunk> {
    let changes = diff(Some(&thing(Some(before), None)), Some(&thing(Some(after), None)));
    match changes.into_iter().next() {
        Some(Change { path, difference: Difference::ContentReplaced(hunks) }) if path == "/content" => hunks,
        None => Vec::new(),
        Some(other) => panic!("{other:?}"),
    }
}

fn number(lexeme: &str) -> Json {
    Json::Number(lexeme.into())
}

#[test]
fn values_that_differ_are_named_by_pointer_and_the_rest_is_not() {
    let found = of_data(r#"{"a/b":{"c":1},"d":[1],"same":0}"#, r#"{"a/b":{"c":1.0,"new":null},"same":0}"#);
    let expected = [
        ("/data/a~1b/c", Difference::Replaced(number("1"), number("1.0"))),
        ("/data/a~1b/new", Difference::Added(Json::Null)),
        ("/data/d", Difference::Removed(Json::Array(vec![number("1")]))),
    ];
    assert_eq!(found, expected.map(|(path, difference)| (path.to_owned(), difference)));
    assert_eq!(of_data(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#), []);
}

#[test]
fn a_creation_has_every_field_and_a_deletion_too() {
    let state = thing(Some("x\ny"), Some(r#"{"a":1}"#));
    let paths = |changes: Vec<Change>| changes.into_iter().map(|change| change.path).collect::<Vec<_>>();
    let all = ["/type", "/visibility", "/content", "/data"];
    assert_eq!(paths(diff(None, Some(&state))), all);
    assert_eq!(paths(diff(Some(&state), None)), all);
    let hunk = Hunk { before_line: 1, after_line: 1, removed: String::new(), added: "x\ny".into() };
    assert_eq!(diff(None, Some(&state))[2].difference, Difference::ContentAdded(hunk));
    assert_eq!(diff(Some(&state), Some(&state)), []);
    assert_eq!(diff(None, None), []);
}

#[test]
fn lines_that_differ_are_told_with_their_numbers() {
    let hunk = |before_line, after_line, removed: &str, added: &str| Hunk {
        before_line,
        after_line,
        removed: removed.into(),
        added: added.into(),
    };
    assert_eq!(of_content("a\nb\nc\n", "a\nB\nc\nd\n"), [hunk(2, 2, "b\n", "B\n"), hunk(4, 4, "", "d\n")]);
    assert_eq!(of_content("a\nb", "a"), [hunk(1, 1, "a\nb", "a")]);
    assert_eq!(of_content("a\nx\n", "a\n"), [hunk(2, 2, "x\n", "")]);
    assert_eq!(of_content("", "a"), [hunk(1, 1, "", "a")]);
}

/// As many members as 1 MiB holds: to look each one up among all the others would take minutes.
#[test]
fn a_difference_of_many_members_is_in_their_order() {
    let data = |range: std::ops::Range<u32>, value: u8| {
        let members: Vec<_> = range.map(|number| format!("\"{number}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let found = of_data(&data(0..100_000, 0), &data(1..100_001, 1));
    let expected = (0..=100_000).map(|number| format!("/data/{number}"));
    assert!(found.iter().map(|(path, _)| path.clone()).eq(expected));
    assert!(matches!(found[0].1, Difference::Removed(_)) && matches!(found[100_000].1, Difference::Added(_)));
}

/// Its paths alone would have 20 GiB.
#[test]
fn many_members_under_a_long_key_are_told_as_one() {
    let data = |value: u8| {
        let members: Vec<_> = (0..40_000).map(|number| format!("\"{number}\":{value}")).collect();
        format!(r#"{{"first":{value},"{}":{{{}}},"last":{value}}}"#, "k".repeat(500_000), members.join(","))
    };
    let found = of_data(&data(0), &data(1));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.len()).collect();
    assert_eq!(paths, ["/data/first".len(), "/data/".len() + 500_000, "/data/last".len()]);
    assert!(matches!(&found[1].1, Difference::Replaced(Json::Object(_), Json::Object(_))));
}

/// Every line twice as often in another order: the script of these would take as long as the square of them.
#[test]
fn texts_without_a_short_script_are_told_as_one_hunk() {
    let text = |step: u64| {
        let lines: Vec<_> = (0..100_000_u64).map(|line| (line * step % 7_919).to_string()).collect();
        lines.join("\n") + "\n"
    };
    let (before, after) = (format!("first\n{}", text(3)), format!("first\n{}", text(5)));
    let hunks = of_content(&before, &after);
    assert_eq!(hunks.len(), 1);
    assert_eq!((hunks[0].before_line, apply(&before, &hunks)), (3, after));
    let blank = |lines: usize| format!("{}x{}", "\n".repeat(lines), "\n".repeat(lines));
    let (before, after) = (blank(400_000), blank(400_300));
    assert_eq!(apply(&before, &of_content(&before, &after)), after);
}

/// What the hunks make of a text.
fn apply(before: &str, hunks: &[Hunk]) -> String {
    let lines: Vec<_> = before.split_inclusive('\n').collect();
    let (mut after, mut next) = (String::new(), 0);
    for hunk in hunks {
        let first = hunk.before_line - 1;
        after.push_str(&lines[next..first].concat());
        assert_eq!(after.split_inclusive('\n').count(), hunk.after_line - 1, "{hunk:?}");
        after.push_str(&hunk.added);
        next = first + hunk.removed.split_inclusive('\n').count();
        assert_eq!(lines[first..next].concat(), hunk.removed);
    }
    after.push_str(&lines[next..].concat());
    after
}

/// The fewest lines to take out and put in, by the table of all prefixes.
fn fewest(before: &str, after: &str) -> usize {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let mut row: Vec<usize> = (0..=new.len()).collect();
    for (taken, line) in old.iter().enumerate() {
        let mut next = vec![taken + 1];
        for (put, other) in new.iter().enumerate() {
            next.push(if line == other { row[put] } else { 1 + row[put + 1].min(next[put]) });
        }
        row = next;
    }
    row[new.len()]
}

proptest! {
    #[test]
    fn hunks_make_the_second_text_of_the_first_with_as_few_lines_as_can_be(
        before in "([ab]?\n){0,12}[ab]?", after in "([ab]?\n){0,12}[ab]?"
    ) {
        let hunks = of_content(&before, &after);
        prop_assert_eq!(apply(&before, &hunks), after.clone());
        let lines = |text: &str| text.split_inclusive('\n').count();
        let told: usize = hunks.iter().map(|hunk| lines(&hunk.removed) + lines(&hunk.added)).sum();
        prop_assert_eq!(told, fewest(&before, &after));
    }
}
