//! Differences of states.

use domain::{Change, Difference, Hunk, Json};

use crate::events::v1 as wire;

/// On the wire.
pub fn change_to_wire(change: Change) -> wire::Change {
    let Change { path, difference } = change;
    let text = |value: Json| value.to_string();
    let (operation, before, after, hunks) = match difference {
        Difference::Added(after) => (wire::Operation::Added, String::new(), text(after), Vec::new()),
        Difference::Removed(before) => (wire::Operation::Removed, text(before), String::new(), Vec::new()),
        Difference::Replaced(before, after) => (wire::Operation::Replaced, text(before), text(after), Vec::new()),
        Difference::ContentAdded(hunk) => (wire::Operation::Added, String::new(), String::new(), vec![hunk]),
        Difference::ContentRemoved(hunk) => (wire::Operation::Removed, String::new(), String::new(), vec![hunk]),
        Difference::ContentReplaced(hunks) => (wire::Operation::Replaced, String::new(), String::new(), hunks),
    };
    let hunks = hunks.into_iter().map(hunk_to_wire).collect();
    wire::Change { path, operation: operation.into(), before, after, hunks }
}

fn hunk_to_wire(hunk: Hunk) -> wire::Hunk {
    let Hunk { before_line, after_line, removed, added } = hunk;
    wire::Hunk { before_line: before_line as i64, after_line: after_line as i64, removed, added }
}
