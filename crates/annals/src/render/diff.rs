//! What differs between two states.

use domain::AsOf;
use gateway::json as http;
use proto::events::v1::{Change, DiffResponse, Hunk};

use super::{document, plain};

/// What differs between the states of the name whose URL path is `url` at these moments.
pub(crate) fn diff(difference: &DiffResponse, url: &str, moments: [AsOf; 2], is_json: bool) {
    let [from, to] = moments.map(|moment| moment.to_string());
    if is_json {
        let mut writer = http::Writer::object();
        writer.text("url", url);
        writer.text("from", &from);
        writer.text("to", &to);
        http::changes(&mut writer, difference);
        return document(&writer.finish());
    }
    println!("{url}\n  from  {from}\n  to    {to}");
    for change in &difference.changes {
        print!("{}", text(change));
    }
    if difference.changes.is_empty() {
        println!("nothing differs");
    }
}

/// A path, then lines with `-` that are gone and lines with `+` that are new, those of a text behind `@` and their numbers.
fn text(change: &Change) -> String {
    let Change { path, before, after, hunks, operation: _ } = change;
    let mut shown = vec![plain(path)];
    signed(&mut shown, before, after);
    for Hunk { before_line, after_line, removed, added } in hunks {
        shown.push(format!("@ {before_line} {after_line}"));
        signed(&mut shown, removed, added);
    }
    shown.push(String::new());
    shown.join("\n")
}

fn signed(shown: &mut Vec<String>, removed: &str, added: &str) {
    shown.extend(removed.lines().map(|line| format!("- {}", plain(line))));
    shown.extend(added.lines().map(|line| format!("+ {}", plain(line))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_lines_are_shown_as_they_were_and_are() {
        let value = Change { path: "/data/a".into(), before: "1".into(), after: "2".into(), ..Change::default() };
        assert_eq!(text(&value), "/data/a\n- 1\n+ 2\n");
        let hunk = |before_line, removed: &str, added: &str| Hunk {
            before_line,
            after_line: 7,
            removed: removed.into(),
            added: added.into(),
        };
        let hunks = vec![hunk(2, "b\n", "B\x1b\nC"), hunk(9, "", "d\n")];
        let content = Change { path: "/content".into(), hunks, ..Change::default() };
        assert_eq!(text(&content), "/content\n@ 2 7\n- b\n+ B\u{fffd}\n+ C\n@ 9 7\n+ d\n");
    }
}
