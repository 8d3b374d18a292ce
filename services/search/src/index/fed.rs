//! Feeds an index in tests as a follower does.

use std::collections::BTreeMap;

use domain::{Cursor, Id, Key, TenantId, Timestamp, Variant, Visibility};
use tempfile::TempDir;

use super::{Change, Index, OfTenant};
use crate::{document::Document, facts::Facts};

pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(super) fn key(ns: &str, id: &str) -> Key {
    Key { ns: ns.parse().unwrap(), id: Id::from_canonical(id).unwrap(), variant: Variant::canonical() }
}

pub(super) fn put(ns: &str, id: &str, visibility: Visibility, title: &str, content: &str) -> Change {
    let key = key(ns, id);
    let document = Document {
        key: key.clone(),
        thing_type: "Note".parse().unwrap(),
        visibility,
        updated_at: Timestamp::from_millis(1_000).unwrap(),
        texts: [title.into(), id.into(), content.into(), String::new()],
        facts: Facts::default(),
        embedding: None,
    };
    Change { key, document: Some(document) }
}

pub(super) fn public(id: &str, title: &str, content: &str) -> Change {
    put("n", id, Visibility::Public, title, content)
}

/// A public note of namespace `n` with data.
pub(super) fn with_data(id: &str, title: &str, data: &str) -> Change {
    let mut change = public(id, title, "");
    change.document.iter_mut().for_each(|document| document.facts = Facts::of(data));
    change
}

pub(super) fn delete(ns: &str, id: &str) -> Change {
    Change { key: key(ns, id), document: None }
}

/// What a name has, if it has anything.
pub(super) type Newest = BTreeMap<String, Option<&'static str>>;

/// What names have in [`play`].
pub(super) const WORDS: [&str; 4] = ["crane", "quay", "buoy", "pilot"];

/// Feeds an index as `steps` say, each of what to do (below 3 delete, below 9 put, 9 and 10 move everything to the disk, 11 kill
/// and feed again what is lost), a name and a word; and says what each name has then.
pub(super) fn play<T: OfTenant<Settings: Default>>(steps: Vec<(u8, u8, u8)>) -> (Fed<T>, Newest) {
    let (mut fed, mut events, mut newest) = (Fed::<T>::new(), Vec::new(), Newest::new());
    let change =
        |(id, word): &(String, Option<&str>)| word.map_or_else(|| delete("n", id), |word| public(id, word, ""));
    for (step, name, word) in steps {
        match step {
            9 | 10 => fed.index.checkpoint().unwrap(),
            11 => {
                fed = fed.reopen();
                let lost = events.split_off(fed.end as usize);
                for event in &lost {
                    fed.apply(change(event));
                }
                events.extend(lost);
            }
            _ => {
                let event = (format!("id{name}"), (step >= 3).then_some(WORDS[usize::from(word)]));
                fed.apply(change(&event));
                newest.insert(event.0.clone(), event.1);
                events.push(event);
            }
        }
    }
    (fed, newest)
}

/// The names that have a word, in order.
pub(super) fn names_with(newest: &Newest, word: &str) -> Vec<String> {
    newest.iter().filter(|(_, has)| **has == Some(word)).map(|(id, _)| id.clone()).collect()
}

/// An index of one tenant.
pub(super) struct Fed<T: OfTenant> {
    pub(super) dir: TempDir,
    pub(super) index: Index<T>,
    /// How many events it has been fed.
    pub(super) end: u64,
}

impl<T: OfTenant<Settings: Default>> Fed<T> {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path(), T::Settings::default()).unwrap();
        Self { dir, index, end: 0 }
    }

    pub(super) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut fed = Self::new();
        changes.into_iter().for_each(|change| fed.apply(change));
        fed
    }

    pub(super) fn apply(&mut self, change: Change) {
        self.end += 1;
        let cursor = Cursor { epoch: 1, offset: self.end };
        self.index.apply(&tenant("a"), vec![(change, cursor.offset)]).unwrap();
        self.index.arrive(Some(cursor));
    }

    /// Kills it, and starts it again: what was not on the disk is to be fed again.
    pub(super) fn reopen(self) -> Self {
        let Self { dir, index, .. } = self;
        drop(index);
        let index = Index::open(dir.path(), T::Settings::default()).unwrap();
        let end = index.position().map_or(0, |cursor| cursor.offset);
        Self { dir, index, end }
    }
}
