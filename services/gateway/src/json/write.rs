//! JSON text, written member by member.
//!
//! Owns commas and escapes. Never reorders and never looks into text that is JSON already.

use std::fmt::{Display, Write as _};

use domain::json::write_string;
use prost_types::Timestamp;

/// An object that is being written.
pub struct Writer {
    text: String,
}

impl Writer {
    /// An object without members yet.
    pub fn object() -> Self {
        Self::with_capacity(256)
    }

    /// The same, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text }
    }

    /// A member that is a string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(&mut self.text, value);
    }

    /// A member that is a string; none if it is empty.
    pub fn text_unless_empty(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A member that is a string; none if there is none.
    pub fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A member whose text is JSON as it is: a number, a boolean.
    pub fn number(&mut self, name: &str, value: impl Display) {
        self.name(name);
        write!(self.text, "{value}").expect("a String takes every write");
    }

    /// The same; none if there is none.
    pub fn optional_number(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    /// A member that is JSON text already; none if it is empty.
    pub fn json(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.name(name);
            self.text.push_str(value);
        }
    }

    /// A member that is a moment, RFC 3339; none if there is none.
    pub fn time(&mut self, name: &str, moment: Option<&Timestamp>) {
        // Services send moments of the years 1970 to 9999 only; one that is not is no moment to show.
        if let Ok(Some(moment)) = proto::convert::timestamp(name, moment.copied()) {
            self.name(name);
            write!(self.text, "\"{moment}\"").expect("a String takes every write");
        }
    }

    /// A member that is an object.
    pub fn member(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.text.push('{');
        write(self);
        self.text.push('}');
    }

    /// A member that is null.
    pub fn null(&mut self, name: &str) {
        self.json(name, "null");
    }

    /// A member that is an array of objects, one an item.
    pub fn array<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.name(name);
        self.text.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.text.push('{');
            write(self, item);
            self.text.push('}');
        }
        self.text.push(']');
    }

    /// A member that is an array of values whose text is JSON as it is.
    pub fn numbers(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>) {
        self.name(name);
        self.text.push('[');
        for (index, value) in values.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(self.text, "{comma}{value}").expect("a String takes every write");
        }
        self.text.push(']');
    }

    /// A member that is an array of strings.
    pub fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        self.name(name);
        self.text.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write_string(&mut self.text, value);
        }
        self.text.push(']');
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        write_string(&mut self.text, name);
        self.text.push(':');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_in_order_and_escaped_only_where_json_demands() {
        let mut json = Writer::object();
        json.text("a", "\"ü/\n{");
        json.member("b", |json| json.number("c", 1));
        json.array("d", [1, 2], |json, item| json.number("e", item));
        json.numbers("f", [1.5, 2.0]);
        json.texts("g", ["{", "x"]);
        json.json("data", r#"{"n":1.50}"#);
        json.text_unless_empty("h", "");
        json.null("i");
        assert_eq!(
            json.finish(),
            r#"{"a":"\"ü/\n{","b":{"c":1},"d":[{"e":1},{"e":2}],"f":[1.5,2],"g":["{","x"],"data":{"n":1.50},"i":null}"#
        );
    }
}
