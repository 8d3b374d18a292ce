//! Owns about how many bytes a state takes on the wire. Never encodes one.

use domain::{Key, Relationship, Thing, ThingBody};

/// What everything but id, content, data and embedding takes at most, nearly: namespace, type, code and URL.
const FIXED: usize = 512;

/// Of a thing.
pub(crate) fn of_thing(thing: &Thing) -> usize {
    let ThingBody { content, data, embedding, .. } = &thing.body;
    let text = content.as_ref().map_or(0, |content| content.as_str().len());
    let data = data.as_ref().map_or(0, |data| data.as_str().len());
    of_texts(&thing.key, text + data + embedding.as_ref().map_or(0, |e| 4 * e.as_slice().len()))
}

/// Of a thing whose content, data and embedding have so many bytes.
pub(crate) fn of_texts(key: &Key, bytes: usize) -> usize {
    FIXED + key.id.as_str().len() + bytes
}

/// Of a relationship.
pub(crate) fn of_relationship(relationship: &Relationship) -> usize {
    let Relationship { name, body, .. } = relationship;
    let names = [&name.id, &body.from.id, &body.to.id].map(|id| id.as_str().len());
    2 * FIXED + names.iter().sum::<usize>() + body.data.as_ref().map_or(0, |data| data.as_str().len())
}
