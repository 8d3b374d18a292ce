//! Where in a JSON text a mistake is.
//!
//! Owns the way from a byte to the path of the value there. Never checks the text: what stands before is fine.

use std::fmt::Write as _;

/// The most steps of a path, so that a refusal of deep text is no deep text itself.
const MAX_STEPS: usize = 4;

/// The longest key that is shown, in bytes.
const MAX_KEY: usize = 64;

enum Step<'a> {
    Key(Option<&'a str>),
    Index(usize),
}

/// The path of the value at byte `offset`, below `root`: `data.a[3]`. Empty if that is the whole text and `root` is.
pub(super) fn place(root: &str, text: &str, offset: usize) -> String {
    let mut steps = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < offset.min(bytes.len()) {
        match bytes[at] {
            b'{' => steps.push(Step::Key(None)),
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Key(key)) => *key = None,
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let end = end_of_string(bytes, at + 1);
                if let Some(Step::Key(key @ None)) = steps.last_mut()
                    && end < offset
                {
                    *key = text.get(at + 1..end);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = root.to_owned();
    for step in steps.iter().take(MAX_STEPS) {
        match step {
            Step::Key(None) => break,
            Step::Key(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(shown(key));
            }
            Step::Index(index) => write!(path, "[{index}]").expect("a String takes every write"),
        }
    }
    path
}

/// The beginning of a key that a refusal may show.
pub(super) fn shown(key: &str) -> &str {
    &key[..key.floor_char_boundary(MAX_KEY)]
}

/// Where the quote is that ends the string whose first character is at `from`.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str, mark: &str) -> String {
        place("", text, text.find(mark).unwrap())
    }

    #[test]
    fn a_byte_is_in_the_value_of_its_path() {
        let text = r#"{"type":"a,\"{[","data":{"x":[1,{"y":2}],"z":3}}"#;
        assert_eq!(at(text, "2"), "data.x[1].y");
        assert_eq!(at(text, "3"), "data.z");
        assert_eq!(at(text, "a,"), "type");
        assert_eq!(at(text, "{"), "");
        assert_eq!(at(text, "\"z\""), "data");
        assert_eq!(place("events[3]", text, text.find('2').unwrap()), "events[3].data.x[1].y");
    }

    #[test]
    fn a_path_stays_short() {
        let deep = "{\"a\":".repeat(100);
        assert_eq!(place("", &deep, deep.len()), "a.a.a.a");
        let long = format!("{{\"{}\":?", "k".repeat(1_000));
        assert_eq!(place("", &long, long.len()).len(), MAX_KEY);
    }

    proptest! {
        #[test]
        fn no_text_and_no_offset_make_it_panic(text in "[\\[\\]{}\",:\\\\aü]{0,40}", offset in 0_usize..60) {
            let _ = place("", &text, offset);
        }
    }
}
