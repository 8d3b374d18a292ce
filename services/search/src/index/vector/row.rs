//! Owns what is known of a vector besides its numbers. Never stores it.

use std::borrow::Cow;

use domain::{Key, TypeName};

use crate::document::Document;

/// What of a thing is filtered by.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Attributes {
    pub(super) key: Key,
    pub(super) thing_type: TypeName,
    /// Whether everybody may come upon it in a list.
    pub(super) is_listed: bool,
    /// In milliseconds.
    pub(super) updated_at: i64,
}

/// A vector with everything that a segment has of it.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) attributes: Cow<'a, Attributes>,
    pub(super) vector: &'a [f32],
    pub(super) signs: &'a [u64],
    pub(super) bytes: &'a [i8],
    pub(super) scale: f32,
}

impl Attributes {
    pub(super) fn of(document: &Document) -> Self {
        Self {
            key: document.key.clone(),
            thing_type: document.thing_type.clone(),
            is_listed: document.is_listed(),
            updated_at: document.updated_at.millis(),
        }
    }

    /// The name within the namespace: the id and, behind a NUL, the variant.
    pub(super) fn name(&self) -> String {
        format!("{}\0{}", self.key.id.as_str(), self.key.variant.as_str())
    }
}
