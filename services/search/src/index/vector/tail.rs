//! Owns a tenant's newest vectors, in memory, where they are found at once. Never keeps many: each is compared.

use std::{borrow::Cow, collections::HashMap};

use super::{
    Nearest,
    code::Code,
    kernels::Simd,
    row::{Attributes, Row},
    scan::Query,
};
use crate::index::Found;

/// The newest vectors by the hashes of their names, and names that have none any more.
#[derive(Default)]
pub(super) struct Tail(HashMap<u64, Option<Entry>>);

/// A vector.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) attributes: Attributes,
    /// Of unit length.
    pub(super) vector: Vec<f32>,
    pub(super) code: Code,
}

impl Tail {
    pub(super) fn put(&mut self, hash: u64, entry: Option<Entry>) {
        self.0.insert(hash, entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Vectors.
    pub(super) fn len(&self) -> usize {
        self.0.values().flatten().count()
    }

    /// Names, and bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let bytes = |Entry { attributes: _, vector, code }: &Entry| {
            size_of_val(&vector[..]) + size_of_val(&code.signs[..]) + code.bytes.len() + size_of::<Entry>()
        };
        (self.0.len(), self.0.values().flatten().map(bytes).sum())
    }

    /// Whether the newest state of a name is here.
    pub(super) fn has(&self, hash: u64) -> bool {
        self.0.contains_key(&hash)
    }

    /// How near a name is that has a vector here which passes.
    pub(super) fn score(&self, hash: u64, query: &Query, wanted: &Nearest<'_>, simd: Simd) -> Option<f32> {
        let entry = self.0.get(&hash)?.as_ref()?;
        entry.passes(hash, wanted).then(|| simd.dot(&entry.vector, &query.vector))
    }

    /// Names that have none any more.
    pub(super) fn gone(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter(|(_, entry)| entry.is_none()).map(|(hash, _)| *hash)
    }

    /// As they are written.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.values().flatten().map(|Entry { attributes, vector, code: Code { signs, bytes, scale } }| Row {
            attributes: Cow::Borrowed(attributes),
            vector,
            signs,
            bytes,
            scale: *scale,
        })
    }

    /// What fulfils every condition and may be seen, with its cosine, in no order.
    pub(super) fn nearest(&self, query: &Query, wanted: &Nearest<'_>, simd: Simd) -> Vec<Found> {
        let entries = self.0.iter().filter_map(|(hash, entry)| Some((*hash, entry.as_ref()?)));
        let passing = entries.filter(|(hash, entry)| entry.passes(*hash, wanted));
        let found = |(_, Entry { attributes, vector, code: _ }): (u64, &Entry)| Found {
            key: attributes.key.clone(),
            score: simd.dot(vector, &query.vector),
        };
        passing.map(found).collect()
    }
}

impl Entry {
    /// Whether it fulfils every condition and may be seen.
    fn passes(&self, hash: u64, wanted: &Nearest<'_>) -> bool {
        let Attributes { key, thing_type, is_listed, updated_at } = &self.attributes;
        let Nearest { vector: _, filter, sight, among, limit: _ } = wanted;
        (*is_listed || sight.reads(&key.ns))
            && filter.has(&key.ns, thing_type, *updated_at)
            && among.is_none_or(|among| among.binary_search(&hash).is_ok())
    }
}
