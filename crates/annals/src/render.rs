//! How answers look: neat and aligned for a person, one JSON document for a program.
//!
//! Owns standard output. The JSON is the gateway's: what HTTP shows is what `--json` prints.

mod aggregate;
mod diff;
mod event;
mod hit;
mod page;
mod state;

use proto::common::v1::Key;

pub(crate) use self::{
    aggregate::aggregate,
    diff::diff,
    event::{Follow, events},
    hit::found,
    page::{history, namespaces, reached, relationships, schemas, things},
    state::{deleted, linked, namespace, relationship, schema, schema_written, thing, written},
};

/// Prints one JSON document.
pub(crate) fn document(json: &str) {
    println!("{json}");
}

/// Text without the control characters that would steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    let visible = |character: char| match character {
        '\n' | '\t' => character,
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    };
    text.chars().map(visible).collect()
}

/// One line of at most `most` characters.
fn line(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = plain(&text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A number with commas: 19,265.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 thing`, `2,815 things`.
fn count(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// The name as plain text: `ns/id#variant`.
fn name(key: Option<&Key>) -> String {
    let Some(Key { ns, id, variant, path: _ }) = key else { return String::new() };
    let separator = if variant.is_empty() { "" } else { "#" };
    plain(&format!("{ns}/{id}{separator}{variant}"))
}

/// A moment as RFC 3339.
fn time(moment: Option<&prost_types::Timestamp>) -> String {
    match proto::convert::timestamp("time", moment.copied()) {
        Ok(Some(moment)) => moment.to_string(),
        Ok(None) | Err(_) => String::new(),
    }
}

/// Rows in columns as wide as their widest cell; the last is not padded.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 19_265, 1_234_567].map(grouped), ["0", "999", "1,000", "19,265", "1,234,567"]);
        assert_eq!((count(1, "thing"), count(2_000, "thing")), ("1 thing".into(), "2,000 things".into()));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".into(), "long".into(), "x".into()], vec!["äöü".into(), "b".into(), String::new()]];
        assert_eq!(table(&rows), "a    long  x\näöü  b\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\tand\n\u{7}"), "\u{fffd}[31mred\tand\n\u{fffd}");
        assert_eq!(line("a\n  b\u{1b}c", 4), "a b…");
    }
}
