//! Owns a set of documents of one file. Never knows what they are.

use tantivy::DocId;

/// A set of documents.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// None of so many.
    pub(super) fn none(documents: u32) -> Self {
        Self(vec![0; documents.div_ceil(u64::BITS) as usize])
    }

    pub(super) fn insert(&mut self, document: DocId) {
        self.0[(document / u64::BITS) as usize] |= 1 << (document % u64::BITS);
    }

    pub(super) fn has(&self, document: DocId) -> bool {
        self.0[(document / u64::BITS) as usize] & 1 << (document % u64::BITS) != 0
    }
}
