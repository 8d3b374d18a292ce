//! Owns which names a file has put so far, so that equal rows are sent once and contradictions are found.
//!
//! Takes about 40 bytes of memory a name. Never sees the server.

use std::collections::{HashMap, hash_map::Entry};

use prost::Message as _;
use proto::{
    common::v1::Key,
    things::v1::{ImportRow, import_row},
};
use sha2::{Digest as _, Sha256};

/// What a file has put so far.
#[derive(Default)]
pub(super) struct Seen(HashMap<u128, First>);

/// The first row of a name.
struct First {
    state: u64,
    line: u64,
}

/// What a row is to the rows before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sighting {
    /// The first of its name.
    New,
    /// It says the same as an earlier one.
    Equal,
    /// It says something else than the first of its name, which stands on this line.
    Other(u64),
}

impl Seen {
    /// Notes the row on `line`.
    pub(super) fn note(&mut self, row: &ImportRow, line: u64) -> Sighting {
        let (kind, key) = match &row.row {
            Some(import_row::Row::Thing(thing)) => (b't', &thing.key),
            Some(import_row::Row::Relationship(relationship)) => (b'r', &relationship.key),
            Some(import_row::Row::Namespace(_)) | None => return Sighting::New,
        };
        let name = digest(kind, &key.as_ref().map(Key::encode_to_vec).unwrap_or_default());
        let state = digest(kind, &row.encode_to_vec()) as u64;
        match self.0.entry(name) {
            Entry::Vacant(free) => {
                free.insert(First { state, line });
                Sighting::New
            }
            Entry::Occupied(first) if first.get().state == state => Sighting::Equal,
            Entry::Occupied(first) => Sighting::Other(first.get().line),
        }
    }
}

fn digest(kind: u8, bytes: &[u8]) -> u128 {
    let digest = Sha256::new_with_prefix([kind]).chain_update(bytes).finalize();
    u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use proto::things::v1::{Relationship, Thing};

    use super::*;

    fn key() -> Key {
        Key { ns: "onet".into(), id: "x".into(), ..Key::default() }
    }

    fn thing(word: &str) -> ImportRow {
        let thing = Thing { key: Some(key()), r#type: word.into(), ..Thing::default() };
        ImportRow { row: Some(import_row::Row::Thing(thing)) }
    }

    #[test]
    fn an_equal_row_is_told_from_one_that_contradicts() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(&thing("a"), 2), Sighting::New);
        assert_eq!(seen.note(&thing("a"), 3), Sighting::Equal);
        assert_eq!(seen.note(&thing("b"), 4), Sighting::Other(2));
        assert_eq!(seen.note(&thing("a"), 5), Sighting::Equal);
    }

    #[test]
    fn a_thing_and_a_relationship_of_one_name_do_not_meet() {
        let mut seen = Seen::default();
        seen.note(&thing("a"), 2);
        let relationship = Relationship { key: Some(key()), ..Relationship::default() };
        let row = ImportRow { row: Some(import_row::Row::Relationship(relationship)) };
        assert_eq!(seen.note(&row, 3), Sighting::New);
    }
}
