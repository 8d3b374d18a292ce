//! Owns what differs between two states of a name: which fields, members and lines. Never knows who may see it.

mod lines;

use std::collections::HashMap;

use crate::{Code, Content, Data, Json, Name, State};

pub use self::lines::Hunk;

/// The paths of all changes have at most so many bytes. Otherwise a long key around many small members would make of
/// 1 MiB of data some 100 GiB of paths.
const MAX_PATH_BYTES: usize = 4 << 20;

/// Fields that a client gives: what a difference is about.
const FIELDS: [&str; 7] = ["type", "from", "to", "visibility", "content", "code", "data"];

/// One value that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Where it is in the state: a JSON Pointer (RFC 6901).
    pub path: String,
    /// What differs there.
    pub difference: Difference,
}

/// What differs at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// It was not there before.
    Added(Json),
    /// It is not there afterwards.
    Removed(Json),
    /// It was the first and is the second.
    Replaced(Json, Json),
    /// The content, of which there was none before.
    ContentAdded(Hunk),
    /// The content, of which there is none afterwards.
    ContentRemoved(Hunk),
    /// The content, of which these lines are others.
    ContentReplaced(Vec<Hunk>),
}

/// What differs between two states, in the order of their fields. Objects are compared member by member, and members in
/// another order are the same; everything else is compared whole. O(n) but for the lines of content, of which no more
/// than 4,000,000 are compared.
pub fn diff(before: Option<&State>, after: Option<&State>) -> Vec<Change> {
    let mut finder = Finder { found: Vec::new(), room: MAX_PATH_BYTES };
    for field in FIELDS {
        let mut path = format!("/{field}");
        match field {
            "content" => finder.content(path, content(before), content(after)),
            "data" if data(before) == data(after) => {}
            _ => {
                let [old, new] = [before, after].map(|state| value(state?, field));
                finder.compare(&mut path, old.as_ref(), new.as_ref());
            }
        }
    }
    finder.found
}

struct Finder {
    found: Vec<Change>,
    /// Bytes of paths that may still come.
    room: usize,
}

impl Finder {
    /// Adds what differs at `path`, or nothing and answers `false` if there is no room for it.
    fn compare(&mut self, path: &mut String, before: Option<&Json>, after: Option<&Json>) -> bool {
        if before == after {
            return true;
        }
        if let (Some(Json::Object(old)), Some(Json::Object(new))) = (before, after) {
            let (count, room) = (self.found.len(), self.room);
            if self.members(path, old, new) {
                return true;
            }
            self.found.truncate(count);
            self.room = room;
        }
        let Some(room) = self.room.checked_sub(path.len()) else { return false };
        self.room = room;
        let difference = match (before.cloned(), after.cloned()) {
            (None, None) => return true,
            (None, Some(after)) => Difference::Added(after),
            (Some(before), None) => Difference::Removed(before),
            (Some(before), Some(after)) => Difference::Replaced(before, after),
        };
        self.found.push(Change { path: path.clone(), difference });
        true
    }

    fn members(&mut self, path: &mut String, old: &[(Box<str>, Json)], new: &[(Box<str>, Json)]) -> bool {
        let mut added: HashMap<&str, &Json> = new.iter().map(|(name, value)| (&**name, value)).collect();
        let mut members: Vec<_> = old.iter().map(|(name, value)| (name, Some(value), added.remove(&**name))).collect();
        let added = new.iter().filter(|(name, _)| added.contains_key(&**name));
        members.extend(added.map(|(name, value)| (name, None, Some(value))));
        let length = path.len();
        members.into_iter().all(|(name, before, after)| {
            path.truncate(length);
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            let has_room = self.compare(path, before, after);
            path.truncate(length);
            has_room
        })
    }

    fn content(&mut self, path: String, before: Option<&str>, after: Option<&str>) {
        let whole = |removed: &str, added: &str| Hunk {
            before_line: 1,
            after_line: 1,
            removed: removed.to_owned(),
            added: added.to_owned(),
        };
        let difference = match (before, after) {
            (None, None) => return,
            (None, Some(after)) => Difference::ContentAdded(whole("", after)),
            (Some(before), None) => Difference::ContentRemoved(whole(before, "")),
            (Some(before), Some(after)) if before == after => return,
            (Some(before), Some(after)) => Difference::ContentReplaced(lines::hunks(before, after)),
        };
        self.found.push(Change { path, difference });
    }
}

fn content(state: Option<&State>) -> Option<&str> {
    match state? {
        State::Thing(thing) => thing.body.content.as_ref().map(Content::as_str),
        State::Relationship(_) => None,
    }
}

fn data(state: Option<&State>) -> Option<&Data> {
    match state? {
        State::Thing(thing) => thing.body.data.as_ref(),
        State::Relationship(relationship) => relationship.body.data.as_ref(),
    }
}

/// A field but content.
fn value(state: &State, field: &str) -> Option<Json> {
    let end = |name: &Name| Json::object([("ns", name.ns.as_str()), ("id", name.id.as_str())]);
    match (state, field) {
        (_, "visibility") => Some(state.visibility().as_str().into()),
        (_, "data") => data(Some(state)).map(Data::to_json),
        (State::Thing(thing), "type") => Some(thing.body.thing_type.as_str().into()),
        (State::Thing(thing), "code") => thing.body.code.as_ref().map(Code::as_str).map(Json::from),
        (State::Relationship(relationship), "type") => Some(relationship.body.relationship_type.as_str().into()),
        (State::Relationship(relationship), "from") => Some(end(&relationship.body.from)),
        (State::Relationship(relationship), "to") => Some(end(&relationship.body.to)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "diff_test.rs"]
mod tests;
