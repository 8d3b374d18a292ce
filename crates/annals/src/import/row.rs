//! Owns one row of a file: where it stood and its columns. Never decides what it becomes.

use domain::Json;
use sha2::{Digest as _, Sha256};

use super::template::MissingColumn;

/// A row that could be read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    columns: Json,
}

/// A row that could not be read or used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadRow {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Why, as a sentence.
    pub(crate) reason: String,
}

impl Row {
    /// A row of text fields, as many as there are columns.
    pub(crate) fn of_text(line: u64, columns: &[Box<str>], fields: &[&str]) -> Self {
        let members = columns.iter().cloned().zip(fields.iter().map(|field| Json::from(*field)));
        Self { line, columns: Json::Object(members.collect()) }
    }

    /// A row that is a JSON object, if `value` is one.
    pub(crate) fn of_json(line: u64, value: Json) -> Result<Self, BadRow> {
        if value.as_object().is_none() {
            return Err(BadRow { line, reason: "the line is not a JSON object".into() });
        }
        Ok(Self { line, columns: value })
    }

    /// The value of a column.
    pub(crate) fn get(&self, name: &str) -> Result<&Json, MissingColumn> {
        self.columns.get(name).ok_or_else(|| missing(name, self.names()))
    }

    /// All columns, as an object in their order.
    pub(crate) fn as_json(&self) -> &Json {
        &self.columns
    }

    /// The first 16 hexadecimal digits of the SHA-256 of all columns as one compact JSON object.
    pub(crate) fn hash(&self) -> String {
        let digest = Sha256::digest(self.columns.to_string());
        let first: [u8; 8] = digest[..8].try_into().expect("a SHA-256 has 32 bytes");
        format!("{:016x}", u64::from_be_bytes(first))
    }

    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.as_object().unwrap_or_default().iter().map(|(name, _)| &**name)
    }
}

/// The error for `name`, which is none of `known`.
pub(crate) fn missing<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> MissingColumn {
    match serve::config::nearest(name, known.clone()) {
        Some(near) => MissingColumn::Near { name: name.into(), near: near.into() },
        None => MissingColumn::Unknown { name: name.into(), known: known.map(str::to_owned).collect() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_compact_json_of_all_columns() {
        let row = Row::of_text(2, &["a".into(), "b".into()], &["1", "\"x\""]);
        let digest = Sha256::digest(r#"{"a":"1","b":"\"x\""}"#);
        let hex = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(row.hash(), hex);
    }

    #[test]
    fn equal_rows_have_equal_hashes_wherever_they_stand() {
        let row = |line, field| Row::of_text(line, &["a".into()], &[field]).hash();
        assert_eq!(row(2, "x"), row(9, "x"));
        assert_ne!(row(2, "x"), row(2, "y"));
    }

    #[test]
    fn a_line_that_is_no_object_is_a_bad_row() {
        let bad = Row::of_json(7, Json::Null).unwrap_err();
        assert_eq!(bad, BadRow { line: 7, reason: "the line is not a JSON object".into() });
    }
}
